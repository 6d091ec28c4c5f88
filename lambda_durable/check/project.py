"""The modules of the project: which file an import leads to."""

from __future__ import annotations

import sys
from pathlib import Path

from .sources import Source, UnreadableError, read


class Project:
    """Finds and reads the project's own modules; what is installed is another project's."""

    def __init__(self) -> None:
        self._sources: dict[Path, Source | None] = {}

    def source(self, path: Path) -> Source:
        """Raises UnreadableError."""
        resolved = path.resolve()
        found = self._sources.get(resolved)
        if found is None:
            found = self._sources[resolved] = read(path)
        return found

    def find(self, name: str, *, level: int, importer: Source) -> Source | None:
        """The file of a module, as another one imports it; None for what is none of the project's."""
        folder = importer.path.resolve().parent
        if level:
            for _ in range(level - 1):
                folder = folder.parent
            return self._at(folder, name.split(".") if name else [])
        if name.partition(".")[0] == "lambda_durable":
            return None
        for root in _roots(folder):
            if root != _top(folder) and name.partition(".")[0] in sys.stdlib_module_names:
                continue
            if (found := self._at(root, name.split("."))) is not None:
                return found
        return None

    def _at(self, folder: Path, parts: list[str]) -> Source | None:
        place = folder.joinpath(*parts)
        for path in (place.with_name(f"{place.name}.py"), place / "__init__.py"):
            if not parts and path.name != "__init__.py":
                continue
            if path in self._sources or path.is_file():
                return self._read(path.resolve())
        return None

    def _read(self, path: Path) -> Source | None:
        if path not in self._sources:
            try:
                self._sources[path] = read(path)
            except UnreadableError:
                self._sources[path] = None
        return self._sources[path]


def _top(folder: Path) -> Path:
    """The folder that a file's absolute imports begin in: the one around its outermost package."""
    while (folder / "__init__.py").is_file():
        folder = folder.parent
    return folder


def _roots(folder: Path) -> list[Path]:
    """Where a module may lie: beside the outermost package, where the command is called, and in `src` there."""
    here = Path.cwd()
    return list(dict.fromkeys([_top(folder), here, here / "src"]))
