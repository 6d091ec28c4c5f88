"""How many steps a CEL expression may take.

Nothing can stop the library once it evaluates, and what it loops over comes from who sends an event. One loop is in
proportion to the event, which is at most 5 MB; loops in one another multiply.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

MOST_STEPS: Final = 10_000_000
"""Rounds of the innermost loop; some three seconds of a Lambda."""

_TOKENS: Final = re.compile(
    r"""'(?:[^'\\]|\\.)*' | "(?:[^"\\]|\\.)*" | \.\s*(?:all|exists|exists_one|existsOne|map|filter)\s*\( | [()]""",
    re.VERBOSE,
)


def loops(source: str) -> int:
    """How many loops are in one another at most."""
    open_: list[bool] = []
    deepest = 0
    for token in _TOKENS.findall(source):
        if token == ")":
            del open_[-1:]
        elif token.endswith("(") and token[0] in ".(":
            open_.append(token[0] == ".")
            deepest = max(deepest, sum(open_))
    return deepest


def largest(values: Iterable[Any]) -> int:
    """How many items the largest list or object in JSON values has."""
    found, left = 0, list(values)
    while left:
        value = left.pop()
        if isinstance(value, dict | list):
            found = max(found, len(value))
            left.extend(value.values() if isinstance(value, dict) else value)
    return found
