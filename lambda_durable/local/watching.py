"""Whether a folder's Python files have changed."""

from __future__ import annotations

import os
from pathlib import Path

_NOT_OURS = {"__pycache__", "node_modules", "site-packages", ".git", ".aws-sam"}


class Watch:
    """Knows the Python files below a folder, hidden and installed ones apart."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen = self._look()

    def changed(self) -> list[str]:
        """The files that changed, came or went since the last look."""
        now, before = self._look(), self._seen
        self._seen = now
        return sorted(
            os.path.relpath(name, self._folder)
            for name in now.keys() | before.keys()
            if now.get(name) != before.get(name)
        )

    def _look(self) -> dict[str, tuple[int, int]]:
        found = {}
        for folder, folders, files in os.walk(self._folder):
            folders[:] = [
                name for name in folders if name not in _NOT_OURS and not name.startswith((".", "venv"))
            ]
            for name in files:
                if name.endswith(".py"):
                    path = os.path.join(folder, name)
                    try:
                        status = os.stat(path)
                    except OSError:
                        continue
                    found[path] = (status.st_mtime_ns, status.st_size)
        return found
