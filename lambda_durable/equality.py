"""Whether a value came back as it was."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import is_dataclass
from datetime import datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any, Final

from .classes import is_model, state_of
from .errors import type_name
from .scalars import SCALARS, zone_of
from .tagged_json import BASES, MAX_LEVELS, Unfit


def difference(before: Any, after: Any, *, exact: bool, level: int = 0) -> Unfit | None:
    """Where two values differ, types included; None if nowhere. (To ==, 1 is True and nan is not nan.)

    Unless `exact`, a subclass may come back as its base, and an int as a float if the annotation says float.
    """
    kind = type(after)
    if type(before) is not kind and (exact or not _passes_for(before, kind)):
        return Unfit(f"the {type_name(type(before))}{{at}} would come back as {type_name(kind)}")
    mine, theirs = (None, None) if kind in _LEAVES else (_parts(before), _parts(after))
    if mine is None or theirs is None:
        same = _equal(before, after)
    else:
        same = len(mine) == len(theirs) and level < MAX_LEVELS
        for key, item, other in _paired(mine, theirs) if same else ():
            if item is not other and (gap := difference(item, other, exact=exact, level=level + 1)):
                return gap.within(key)
    return None if same else Unfit(f"the {type_name(type(before))}{{at}} would come back changed")


_LEAVES: Final = frozenset({type(None), bool, int, str, *SCALARS})


def _passes_for(before: Any, kind: type) -> bool:
    if kind in BASES or kind in SCALARS:
        return isinstance(before, kind) or (kind is float and type(before) is int)
    return False


def _parts(value: Any) -> list[Any] | dict[Any, Any] | None:
    if isinstance(value, (dict, list)):
        return value
    if isinstance(value, (tuple, deque)):
        return list(value)
    if isinstance(value, (set, frozenset)):
        return dict.fromkeys(sorted(value, key=repr))
    if is_model(value):
        return {**state_of(value), **(value.__pydantic_private__ or {})}
    if is_dataclass(value):
        return state_of(value)
    bare = type(value).__eq__ is object.__eq__ and not isinstance(value, Enum)  # type: ignore[comparison-overlap]
    return getattr(value, "__dict__", None) if bare else None


def _paired(mine: Any, theirs: Any) -> Iterable[tuple[Any, Any, Any]]:
    if isinstance(mine, list):
        return zip(range(len(mine)), mine, theirs, strict=True)
    if {*map(type, mine), *map(type, theirs)} == {str} and mine.keys() == theirs.keys():
        return zip(mine, mine.values(), map(theirs.get, mine), strict=True)
    return _paired_by_key(mine, theirs)


def _paired_by_key(mine: dict[Any, Any], theirs: dict[Any, Any]) -> Iterator[tuple[Any, Any, Any]]:
    twins = {key: key for key in theirs}
    strays = (key for key in theirs if key not in mine)  # nan, which does not even equal itself
    for key, item in mine.items():
        twin = twins[key] if key in twins else next(strays, None)
        yield key, key, twin
        yield key, item, theirs[twin]


def _equal(before: Any, after: Any) -> bool:
    if isinstance(before, float):
        return float.__repr__(before) == float.__repr__(after)
    if isinstance(before, Decimal):
        return Decimal.__str__(before) == Decimal.__str__(after)
    if isinstance(before, (datetime, time)):
        return (
            before == after and before.utcoffset() == after.utcoffset() and zone_of(before) == zone_of(after)
        )
    return bool(before == after)
