"""Lanes: how many branches of a fan-out run at once, and which is next.

A pool's lanes share one item, so that a turn is given out by one UpdateItem and to one lane only. The item
has `nx`, the next turn (absent: nobody took one yet), `cl`, the number of closed lanes, `f` once the pool has
failed, and for each lane that moved `a<lane>`, its turn, and `b<lane>`, the tag of who moved it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ..store import Lane
from .attributes import integer, number, text

if TYPE_CHECKING:
    from .attributes import Item

CLOSED: Final = -1  # a turn that no lane has

POOL_GOES_ON = "attribute_not_exists(f)"
POOL_IS_UNTOUCHED = "attribute_not_exists(nx)"
TURNS_ARE_LEFT = "nx < :limit"


@dataclass(frozen=True, slots=True)
class Move:
    """A change of a lane, as DynamoDB's expressions."""

    change: str
    condition: str
    values: Item


def next_turn(lane: int, *, after: int | None, first: int, limit: int, tag: str) -> Move:
    where, values = _at(lane, after)
    turns_left = f"({POOL_IS_UNTOUCHED} OR {TURNS_ARE_LEFT})" if first < limit else TURNS_ARE_LEFT
    values |= {":tag": text(tag), ":first": number(first), ":limit": number(limit), ":one": number(1)}
    return Move(
        f"SET a{lane} = if_not_exists(nx, :first), b{lane} = :tag, nx = if_not_exists(nx, :first) + :one",
        f"{where} AND {turns_left} AND {POOL_GOES_ON}",
        values,
    )


def close(lane: int, *, after: int | None, tag: str, failed: bool) -> Move:
    where, values = _at(lane, after)
    values |= {":tag": text(tag), ":closed": number(CLOSED), ":zero": number(0), ":one": number(1)}
    change = f"SET a{lane} = :closed, b{lane} = :tag, cl = if_not_exists(cl, :zero) + :one"
    return Move(f"{change}, f = :one" if failed else change, where, values)


def read(item: Item, lane: int, *, first: int) -> Lane:
    """A lane, from the item of its pool (empty: nobody touched it)."""
    turn = integer(item, f"a{lane}")
    upcoming = integer(item, "nx")
    by = f"b{lane}"
    return Lane(
        turn=None if turn == CLOSED else turn,
        open=turn != CLOSED,
        by=item[by]["S"] if by in item else "",
        next=first if upcoming is None else upcoming,
        closed=integer(item, "cl") or 0,
        failed="f" in item,
    )


def _at(lane: int, after: int | None) -> tuple[str, Item]:
    """The condition that the lane is open and its turn is `after`."""
    if after is None:
        return f"attribute_not_exists(a{lane})", {}
    return f"a{lane} = :after", {":after": number(after)}
