"""The pages' files, as they are in the package."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).with_name("static")
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

PREFIX = "/static/"

_FILES = {
    PREFIX + file.relative_to(_FOLDER).as_posix(): file
    for file in _FOLDER.rglob("*")
    if file.suffix in _TYPES
}


def find(path: str) -> tuple[str, bytes] | None:
    """The type and content of a file, which a path below `/static/` names; every other path is one that the pages know
    themselves, and gets the shell. None for a file that is not there."""
    file = _FILES.get(path) if path.startswith(PREFIX) else _FOLDER / "index.html"
    return None if file is None else (_TYPES[file.suffix], file.read_bytes())
