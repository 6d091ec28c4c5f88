"""Annotations of JSON's own types, such as `dict[str, int]`: what fits one exactly needs no pydantic, whose import was
measured at 60 ms of CPU and 6 MB in each cold start. All else is pydantic's to judge."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from types import NoneType, UnionType
from typing import Any, Final, Union, get_args, get_origin

SCALARS: Final = frozenset({NoneType, bool, int, float, str})
_TEXT: Final = frozenset({str})
_DEEPEST: Final = 50


@dataclass(frozen=True, slots=True)
class Shape:
    """What a value may be: a scalar of these types, a list of `items`, a dict from strings to `values`."""

    scalars: frozenset[type] = frozenset()
    items: Shape | None = None
    values: Shape | None = None
    anything: bool = False

    def fits(self, value: object, level: int = 0, *, parsed: bool = False) -> bool:
        """Whether a value is exactly this: an int is no float, and an instance of a subclass is not of its base. One
        that is `parsed` is made of JSON's own types alone."""
        kind = type(value)
        if kind is list:
            inner, parts = self.items, value
        elif kind is dict:
            inner, parts = self.values, value.values()  # type: ignore[attr-defined]
            if not parsed and not _TEXT.issuperset(map(type, value)):  # type: ignore[call-overload]
                return False
        else:
            return kind in self.scalars
        if self.anything:
            inner = self
        if inner is None:
            return False
        if inner.anything and parsed:
            return True
        if inner.scalars.issuperset(map(type, parts)):  # type: ignore[call-overload]
            return True
        return level < _DEEPEST and all(inner.fits(each, level + 1, parsed=parsed) for each in parts)  # type: ignore[attr-defined]


_ANYTHING: Final = Shape(SCALARS, anything=True)


def shape_of(hint: Any) -> Shape | None:
    """The shape that an annotation describes; None if it says anything else."""
    try:
        return _shape_of(hint)
    except TypeError:  # not hashable
        return None


@lru_cache(maxsize=1024)
def _shape_of(hint: Any) -> Shape | None:
    if hint is None or hint in SCALARS:
        return Shape(frozenset({NoneType if hint is None else hint}))
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return _union([shape_of(each) for each in inner])
    if origin is list or hint is list:
        items = _of_part(*inner or (Any,))
        return items and Shape(items=items)
    if (origin is dict and inner[0] is str) or hint is dict:
        values = _of_part(*inner[1:] or (Any,))
        return values and Shape(values=values)
    return None


def _of_part(hint: Any) -> Shape | None:
    return _ANYTHING if hint is Any else shape_of(hint)


def _union(shapes: list[Shape | None]) -> Shape | None:
    """Of scalars, and at most one kind of list and of dict: of two, it is pydantic that chooses."""
    known = [shape for shape in shapes if shape is not None]
    lists = [shape.items for shape in known if shape.items is not None]
    dicts = [shape.values for shape in known if shape.values is not None]
    if len(known) < len(shapes) or len(lists) > 1 or len(dicts) > 1:
        return None
    scalars = frozenset[type]().union(*(shape.scalars for shape in known))
    return Shape(scalars, next(iter(lists), None), next(iter(dicts), None))
