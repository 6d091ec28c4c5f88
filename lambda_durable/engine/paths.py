"""Paths: how steps are named in the journal.

A path is made of ids joined by `/`. What a user wrote is percent-escaped in it, so a user's id can hold
any character and never equals a made-up path: `x:1` is the first repeat of `x`, `m[2]` the third branch
of `m`, `g/x` the step `x` in the group `g`.
"""

from __future__ import annotations

import re
from functools import lru_cache

from ..errors import ConfigurationError

LONGEST_ID = 256
UNDO = ":undo"
"""The scope of what undoes a run's steps."""

HELD = ":held"
"""The scope of the messages that are kept while a run is paused."""

FEED = ":feed"
"""The scope of what a run publishes, whichever its journal is."""

_ESCAPES = str.maketrans({c: f"%{ord(c):02X}" for c in "%/:[]"})


def check_id(id: object) -> str:
    """A user's id, escaped. Raises ConfigurationError for a bad one."""
    if not isinstance(id, str):
        raise ConfigurationError(f"a step id is a string, and this is {id!r} ({type(id).__name__})")
    if not 1 <= len(id) <= LONGEST_ID:
        shown = repr(id) if len(id) < 40 else f"{id[:40]!r}..."
        raise ConfigurationError(f"a step id has 1 to {LONGEST_ID} characters, and {shown} has {len(id)}")
    return escape(id)


def escape(text: str) -> str:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ConfigurationError(f"{text!r} holds a lone surrogate, which is no character") from None
    return text.translate(_ESCAPES)


def join(scope: str, name: str) -> str:
    return f"{scope}/{name}" if scope else name


def branch(path: str, key: str) -> str:
    return f"{path}[{key}]"


def undo(path: str) -> str:
    """The path of what undoes the step at `path`. All of them lie in one scope."""
    return join(UNDO, escape(path))


def shown(path: str) -> str:
    """The name that a path goes by: what undoes `g/x` is `undo/g/x`."""
    return f"undo/{undone(path)}" if path.startswith(f"{UNDO}/") else path


def undone(path: str) -> str:
    """The path of the step that is undone at a path."""
    escaped = path.removeprefix(f"{UNDO}/")
    return re.sub("%(..)", lambda found: chr(int(found[1], 16)), escaped)


@lru_cache(4096)
def parent(path: str) -> str:
    """The scope whose partition holds the record at `path`: `g` for `g/x`, `m` for `m[2]`, "" for `x`."""
    if is_branch(path):
        return path[: path.rindex("[")]
    return path.rpartition("/")[0]


def enclosing(path: str) -> list[str]:
    """The groups, fan-outs and branches that a path lies in, outermost first: ["p", "p[0]", "p[0]/g"]."""
    found: list[str] = []
    while path := parent(path):
        found.append(path)
    return found[::-1]


def ancestors(scope: str) -> list[str]:
    """The scopes that enclose `scope`, outermost first, itself last: ["", "p[0]", "p[0]/g"].

    The made-up scope of a fan-out (`p`) is none of them: it holds only its branches' outcomes.
    """
    found = [""]
    for end in (i for i, c in enumerate(scope + "/") if c == "/"):
        if scope[:end]:
            found.append(scope[:end])
    return found


def is_branch(path: str) -> bool:
    """Whether the path is that of a branch: `m[2]`."""
    return path.endswith("]")


def branch_key(path: str) -> str:
    """The key of a branch: `2` for `m[2]`."""
    return path[path.rindex("[") + 1 : -1]


def within(path: str, scope: str) -> bool:
    """Whether `path` is the scope, or lies in it."""
    return not scope or path == scope or path.startswith((f"{scope}/", f"{scope}["))
