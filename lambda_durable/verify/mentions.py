"""Whether the code still has the id of a step anywhere: where a rehearsal came no further, that tells whether the step
may be called there."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

SHORTEST_PART = 2
"""Characters of a text that an id may be made with: `pay-` for f"pay-{number}"."""


def mentions(handler: Callable[..., Any], path: str) -> bool:
    """Whether the modules that lie beside a handler's, or below, hold the id of the step at a path as a text, or a text
    that it begins or ends with. True where there is no source to look into."""
    file = inspect.getsourcefile(inspect.unwrap(handler))
    if file is None:
        return True
    texts = _texts(str(Path(file).resolve().parent))
    if texts is None:
        return True
    id = _id(path)
    parts = (text for text in texts if len(text) >= SHORTEST_PART)
    return id in texts or any(id.startswith(text) or id.endswith(text) for text in parts)


def _id(path: str) -> str:
    name = re.sub(r":\d+$", "", path.rpartition("/")[2])
    return re.sub("%(..)", lambda found: chr(int(found[1], 16)), name)


@lru_cache(maxsize=16)
def _texts(folder: str) -> frozenset[str] | None:
    """The texts in the modules of a folder that are imported; None if one of them can't be read."""
    found: set[str] = set()
    files = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    for file in files:
        if file is None or not file.endswith(".py") or not Path(file).resolve().is_relative_to(folder):
            continue
        try:
            tree = ast.parse(Path(file).read_bytes())
        except (OSError, SyntaxError, ValueError):
            return None
        found.update(
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        )
    return frozenset(found) or None
