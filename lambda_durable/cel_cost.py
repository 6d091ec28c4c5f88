"""How many steps a CEL expression may take.

Nothing can stop the library once it evaluates, and what it loops over comes from who sends an event. A loop over a list
is in proportion to the event, which is at most 5 MB. Loops in one another multiply; so does what the library copies in
each round: `event.data` where it is named inside, a variable of a loop around, and all that `map` and `filter` have
gathered so far. (A `map` that makes the whole event of each item takes longer than this says.)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

MOST_STEPS: Final = 10_000_000
"""Rounds of the innermost loop, or values that are copied; some three seconds of a Lambda."""

CHARACTERS: Final = 100
"""As many of a text take as long as a value."""

_LOOPS: Final = frozenset({"all", "exists", "exists_one", "existsOne", "map", "filter"})
_GATHERING: Final = frozenset({"map", "filter"})
_ROOTS: Final = frozenset({"event", "async", "output"})
_SMALL: Final = frozenset({"name", "id", "time", "source"})

_TOKENS: Final = re.compile(
    r"""//[^\n]*
    | [bB]?[rR](?:'{3}.*?'{3} | "{3}.*?"{3} | '[^']*' | "[^"]*")
    | '{3}(?:[^\\]|\\.)*?'{3} | "{3}(?:[^\\]|\\.)*?"{3} | '(?:[^'\\]|\\.)*' | "(?:[^"\\]|\\.)*"
    | (?P<kept>(?:\.\s*)?[A-Za-z_]\w* | [()])""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)


class Cost(NamedTuple):
    """Steps of a part of an expression: the length of the largest list to the power of `loops`, each of them as many as
    the event has values, if it `copies`."""

    loops: int
    copies: bool

    def steps(self, largest: int, size: int) -> int:
        rounds: int = largest**self.loops
        return rounds * size if self.copies else rounds


@dataclass(frozen=True, slots=True)
class _Open:
    """A parenthesis. `loops` is how many loops are around what is in it, and `variable` that of its own."""

    loops: int
    variable: str = ""


def costs(source: str) -> frozenset[Cost]:
    """What of an expression may take more steps than the event has values."""
    return frozenset(cost for cost in _costs(source) if cost.loops + cost.copies > 1)


def _costs(source: str) -> Iterator[Cost]:
    found = [re.sub(r"\s", "", match["kept"]) for match in _TOKENS.finditer(source) if match["kept"]]
    open_ = [_Open(0)]
    before = ""
    for number, token in enumerate(found):
        loops, following = open_[-1].loops, found[number + 1] if number + 1 < len(found) else ""
        if token == ")":
            del open_[max(len(open_) - 1, 1) :]
        elif token == "(" and before[:1] == "." and before[1:] in _LOOPS:
            open_.append(_Open(loops + 1, following))
            yield Cost(loops + 1, copies=before[1:] in _GATHERING)
        elif token == "(":
            open_.append(_Open(loops))
        elif token in _ROOTS and following[1:] not in _SMALL:
            yield Cost(loops, copies=True)
        elif (bound := next((each for each in reversed(open_) if each.variable == token), None)) is not None:
            yield Cost(loops - bound.loops, copies=True)
        before = token


@dataclass(frozen=True, slots=True)
class Measure:
    """How large JSON values are: the items of the largest list or object, and values in all."""

    largest: int
    size: int

    @classmethod
    def of(cls, values: Iterable[Any]) -> Measure:
        largest = size = 0
        left = list(values)
        while left:
            value = left.pop()
            size += 1
            if isinstance(value, dict | list):
                largest = max(largest, len(value))
                left.extend(value.values() if isinstance(value, dict) else value)
            elif isinstance(value, str):
                size += len(value) // CHARACTERS
        return cls(largest, size)
