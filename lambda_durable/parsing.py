"""Frozen dataclasses as JSON, and read from JSON that anybody may have written: as pydantic reads models, for the few
types that each cold start needs (shapes.py has what importing pydantic costs)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import datetime
from functools import cache, partial
from types import NoneType, UnionType
from typing import Annotated, Any, Final, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from .shapes import shape_of

T = TypeVar("T")
Reader = Callable[[Any], Any]


_NAMES: Final[dict[type, str]] = {
    str: "a string",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    dict: "an object",
    list: "a list",
}


class Misfit(ValueError):
    """Why something can't be read, and where in it."""

    def __init__(self, why: str) -> None:
        self.why = why
        self.path: tuple[str, ...] = ()

    def within(self, name: object) -> Misfit:
        self.path = (str(name), *self.path)
        return self

    def __str__(self) -> str:
        return ": ".join(filter(None, (".".join(self.path), self.why)))


def read(kind: type[T], content: Any) -> T:
    """A dataclass from a JSON object, whose other keys are passed over. Raises Misfit."""
    if type(content) is not dict:
        raise Misfit(f"expected an object, not {_named(content)}")
    found = {}
    for name, (reader, required) in _readers(cast(Any, kind)).items():
        if name in content:
            found[name] = _read_part(name, reader, content[name])
        elif required:
            raise Misfit("it is missing").within(name)
    return kind(**found)


def read_json(kind: type[T], text: str) -> T:
    """A dataclass from a JSON object's text. Raises Misfit, or another ValueError for what is no JSON."""
    return read(kind, json.loads(text))


def written(value: Any, **more: Any) -> str:
    """A dataclass as the text of such an object, and what is to be added to it."""
    return json.dumps({**as_plain(value), **more}, ensure_ascii=False, separators=(",", ":"))


def as_plain(value: Any) -> Any:
    """A dataclass as a JSON object: the fields that are not their defaults."""
    if is_dataclass(value):
        given = ((field, getattr(value, field.name)) for field in fields(value))
        return {field.name: as_plain(part) for field, part in given if part != field.default}
    if isinstance(value, tuple):
        return [as_plain(each) for each in value]
    return value.isoformat() if isinstance(value, datetime) else value


# What annotations say beyond a type


def length(least: int, most: int) -> Reader:
    """A string has so many characters."""

    def check(text: str) -> str:
        if not least <= len(text) <= most:
            raise Misfit(f"it has {len(text)} characters, and {least} to {most} are allowed")
        return text

    return check


def at_least(least: int) -> Reader:
    """A number is no less."""

    def check(number: float) -> float:
        if not number >= least:
            raise Misfit(f"it is less than {least}")
        return number

    return check


def matches(pattern: str) -> Reader:
    """A string is as a regular expression has it."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise Misfit(f"it does not match {pattern}")
        return text

    return check


# Readers, by annotation


@cache
def _readers(kind: Any) -> dict[str, tuple[Reader, bool]]:
    hints = get_type_hints(kind, include_extras=True)
    return {field.name: (_reader(hints[field.name]), _is_required(field)) for field in fields(kind)}


def _is_required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _reader(hint: Any) -> Reader:
    inner = get_args(hint)
    if get_origin(hint) is Annotated:
        return partial(_checked, _reader(inner[0]), inner[1:])
    if get_origin(hint) in (Union, UnionType) and inner[-1] is NoneType:
        return partial(_optional, _reader(inner[0]))
    if get_origin(hint) is tuple:
        return partial(_several, _reader(inner[0]), None if inner[-1] is Ellipsis else len(inner))
    if is_dataclass(hint):
        return partial(read, cast("type[Any]", hint))
    if hint is datetime:
        return _moment
    return partial(_fitting, hint)


def _checked(reader: Reader, checks: tuple[Reader, ...], value: Any) -> Any:
    read = reader(value)
    for check in checks:
        check(read)
    return read


def _optional(reader: Reader, value: Any) -> Any:
    return None if value is None else reader(value)


def _several(reader: Reader, count: int | None, value: Any) -> tuple[Any, ...]:
    if type(value) is not list or count not in (None, len(value)):
        raise Misfit(f"expected a list{f' of {count}' if count else ''}, not {_named(value)}")
    return tuple(_read_part(number, reader, each) for number, each in enumerate(value))


def _read_part(name: object, reader: Reader, value: Any) -> Any:
    try:
        return reader(value)
    except Misfit as misfit:
        raise misfit.within(name) from None


def _moment(value: Any) -> datetime:
    try:
        found = datetime.fromisoformat(value)
    except (ValueError, TypeError):
        raise Misfit(f"expected a time, not {_named(value)}") from None
    if found.tzinfo is None:
        raise Misfit("the time has no time zone")
    return found


def _fitting(hint: Any, value: Any) -> Any:
    shape = shape_of(int | float if hint is float else hint)
    assert shape is not None, hint
    if not shape.fits(value):
        raise Misfit(f"expected {_NAMES.get(hint, hint)}, not {_named(value)}")
    return value


def _named(value: Any) -> str:
    """What was found: never the value, which a log may be shown."""
    return _NAMES.get(type(value), "null")
