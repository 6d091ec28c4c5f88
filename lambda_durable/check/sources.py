"""Source files: which are looked at, what is in them, and what their comments say to ignore."""

from __future__ import annotations

import ast
import io
import os
import re
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_IGNORE: Final = re.compile(r"\bdurable:\s*ignore(?:\[(?P<rules>[^\]]*)\])?", re.IGNORECASE)
_OTHERS: Final = {"node_modules", "site-packages", "__pycache__", "build", "dist", "cdk.out"}


class UnreadableError(Exception):
    """A file that can't be checked."""


@dataclass(eq=False, slots=True)
class Ignore:
    """A comment that says what to ignore on its line: rules by id; without any, all."""

    line: int
    column: int
    rules: frozenset[str]
    used: set[str] = field(default_factory=set)

    def covers(self, rule: str) -> bool:
        return not self.rules or rule in self.rules


@dataclass(eq=False, slots=True)
class Source:
    """A file of Python. `shown` is its path as the user would write it."""

    path: Path
    shown: str
    tree: ast.Module
    ignores: dict[int, Ignore]


def read(path: Path) -> Source:
    """Raises UnreadableError."""
    shown = _shown(path)
    try:
        content = path.read_bytes()
        tree = ast.parse(content, filename=shown)
        ignores = {ignore.line: ignore for ignore in _ignores(content)}
    except OSError as error:
        raise UnreadableError(f"{shown} can't be read: {error.strerror}") from None
    except SyntaxError as error:
        where = f"{shown}:{error.lineno}:{error.offset}" if error.lineno else shown
        raise UnreadableError(f"{where} is no Python: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError, tokenize.TokenError) as error:
        raise UnreadableError(f"{shown} is no Python: {error or type(error).__name__}") from None
    return Source(path, shown, tree, ignores)


def discover(paths: Iterable[Path]) -> Iterator[Path]:
    """The files to look at: those that are named, and all Python in folders, but for what is installed there."""
    seen = set()
    for path in paths:
        for found in _inside(path) if path.is_dir() else (path,):
            resolved = found.resolve()
            if resolved not in seen:
                seen.add(resolved)
                yield found


def _inside(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(
            name
            for name in folders
            if name not in _OTHERS
            and not name.startswith(".")
            and not os.path.exists(os.path.join(place, name, "pyvenv.cfg"))
        )
        yield from (Path(place, name) for name in sorted(files) if name.endswith(".py"))


def _ignores(content: bytes) -> Iterator[Ignore]:
    if b"durable:" not in content:
        return
    for token in tokenize.tokenize(io.BytesIO(content).readline):
        if token.type == tokenize.COMMENT and (found := _IGNORE.search(token.string)):
            rules = (found["rules"] or "").replace(" ", "").split(",")
            line, column = token.start
            yield Ignore(line, column + found.start(), frozenset(filter(None, rules)))


def _shown(path: Path) -> str:
    try:
        return path.resolve().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return path.as_posix()
