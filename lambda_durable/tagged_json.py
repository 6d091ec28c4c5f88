"""JSON that says what each value is where JSON alone would not.

An object with the key "$" is a tag: `{"$": "decimal", "v": "9.90"}`. All else is plain JSON.
"""

from __future__ import annotations

import functools
import inspect
import json
import math
import re
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any, Final

from . import classes
from .errors import type_name
from .scalars import SCALARS, SCALARS_BY_NAME

MAX_LEVELS: Final = 200


class Unfit(Exception):
    """Why a value cannot be kept. In `why`, `{at}` is where: known once the error has come all the way up."""

    def __init__(self, why: str) -> None:
        self.why = why
        self.path = ""

    def within(self, key: Any) -> Unfit:
        if isinstance(key, str) and key.isidentifier():
            self.path = f".{key}{self.path}"
        else:
            plain = key is None or type(key) in (str, int, float, bool)
            self.path = f"[{repr(key)[:40] if plain else type_name(type(key))}]{self.path}"
        return self

    def __str__(self) -> str:
        path = self.path if len(self.path) <= 120 else f"{self.path[:80]}...{self.path[-30:]}"
        return self.why.replace("{at}", f" at `{path}`" if path else "")


def write(value: Any, *, sort_keys: bool = False) -> str:
    """Raises Unfit for a value that cannot be kept, and whatever the user's own code in it raises."""
    return (_dump_sorted if sort_keys else _dump)(_pack(value, 0))


def read(text: str) -> Any:
    """The value that was written. Raises anything for other text, which may lead to the user's own code."""
    return _unpack(_parse(text), 0)


def read_plain(text: str) -> Any:
    """The JSON without the tags, whatever they mean. Raises ValueError or RecursionError for what is no JSON."""
    return _plain(_parse(text))


def has_tags(text: str) -> bool:
    return '"$"' in text and _TAG.search(text) is not None


_TAG: Final = re.compile(r'"\$"\s*:')


# Packing: a value as JSON data with tags


_TOO_LARGE: Final = 10**4300  # Python refuses to write or read more digits, unless told otherwise


def _pack(value: Any, level: int) -> Any:
    kind = type(value)
    if kind is str:
        return value if value.isascii() else _encodable(value)
    if kind is int:
        if -_TOO_LARGE < value < _TOO_LARGE:
            return value
        raise Unfit("an int{at} has more than 4300 digits: return it as bytes")
    if value is None or kind is bool or (kind is float and math.isfinite(value)):
        return value
    if kind is dict:
        return _pack_dict(value, level + 1)
    if kind is list:
        return _pack_items(value, level + 1)
    if kind is tuple:
        return {"$": "tuple", "v": _pack_items(value, level + 1)}
    if kind is set or kind is frozenset:  # sorted, since their order differs from process to process
        return {"$": kind.__name__, "v": sorted(_pack_items(value, level + 1), key=_dump)}
    if kind in SCALARS:
        return SCALARS[kind].pack(value)
    return _pack_instance(value, kind, level + 1)


def _pack_dict(value: dict[Any, Any], level: int) -> dict[str, Any]:
    _check_level(level)
    packed: dict[str, Any] = {}
    key = None
    try:
        for key, item in value.items():
            if type(key) is not str or key == "$":
                break
            packed[key if key.isascii() else _encodable(key)] = _pack(item, level)
        else:
            return packed
        pairs = []
        for key, item in value.items():
            pairs.append([_pack(key, level), _pack(item, level)])
        return {"$": "dict", "v": pairs}
    except Unfit as unfit:
        raise unfit.within(key)


def _pack_items(value: Iterable[Any], level: int) -> list[Any]:
    _check_level(level)
    packed: list[Any] = []
    try:
        for item in value:
            packed.append(_pack(item, level))
    except Unfit as unfit:
        raise unfit.within(len(packed))
    return packed


def _pack_instance(value: Any, kind: type, level: int) -> Any:
    if sort := classes.sort_of(kind):
        name = classes.name_of(kind, sort)
        if name is None:
            raise Unfit(
                f"the class {type_name(kind)}{{at}} cannot be found by its name: it is local to a function or"
                " hidden by another; annotate the function's return type, or move the class to the top level"
                " of its module"
            )
        if sort == "enum":
            return _pack_enum(value, name, level)
        return {"$": sort, "c": name, "v": _pack_dict(classes.state_of(value), level)}
    for base, strip in BASES.items():
        if isinstance(value, base):
            stripped = strip(value)
            if value == stripped or stripped != stripped:
                return _pack(stripped, level - 1)
            raise Unfit(
                f"the {type_name(kind)}{{at}} would come back as a {base.__name__} that it does not equal"
            )
    for base, scalar in SCALARS.items():
        if isinstance(value, base):
            return scalar.pack(value)
    if inspect.isawaitable(value):
        raise Unfit(f"a {type_name(kind)}{{at}} was not awaited: await it, or make the function async")
    raise Unfit(
        f"a value of type {type_name(kind)}{{at}} cannot be kept, as it is no data: return what identifies it"
        " (an id, a key), or turn it into JSON, datetime, Decimal, UUID, bytes, dataclass or pydantic model"
    )


# What subclasses come back as. The slots of the base are called, so that no override has a say.
BASES: Final[dict[type, Callable[[Any], Any]]] = {
    str: str.__str__,
    int: int.__int__,
    float: float.__float__,
    dict: dict,
    list: list,
    tuple: tuple,
    set: set,
    frozenset: frozenset,
}


def _pack_enum(member: Enum, name: str, level: int) -> dict[str, Any]:
    try:
        packed = _pack(member.value, level)
        if type(member)(_unpack(packed, 0)) is member:
            return {"$": "enum", "c": name, "v": packed}
    except Exception:  # its value is no data, or leads back to no member
        pass
    return {"$": "member", "c": name, "v": member.name}


def _check_level(level: int) -> None:
    if level > MAX_LEVELS:
        raise Unfit(f"more than {MAX_LEVELS} levels, or a value that contains itself{{at}}: flatten it")


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Unfit("a str{at} has a lone surrogate, so it is no text: return bytes, or repair it") from None
    return text


# Unpacking: the value that tagged JSON data stands for


_MAX_JSON_LEVELS: Final = 3 * MAX_LEVELS  # what a dict with other keys than strings takes
_COLLECTIONS: Final[dict[str, type]] = {"tuple": tuple, "set": set, "frozenset": frozenset}


def _unpack(data: Any, level: int) -> Any:
    if level > _MAX_JSON_LEVELS:
        raise ValueError("too many levels")
    level += 1
    if type(data) is list:
        return [_unpack(item, level) for item in data]
    if type(data) is not dict:
        return data
    if "$" not in data:
        return {key: _unpack(item, level) for key, item in data.items()}
    tag, kept = data["$"], data["v"]
    if tag in SCALARS_BY_NAME:
        return SCALARS_BY_NAME[tag].unpack(data)
    if tag == "member":
        return classes.find(data["c"], "enum")[kept]
    if tag in classes.BUILDERS:
        return classes.BUILDERS[tag](classes.find(data["c"], tag), _unpack(kept, level))
    if type(kept) is not list:
        raise ValueError(f"the tag {tag!r} holds no list")
    if tag == "dict":
        return {_unpack(key, level): _unpack(item, level) for key, item in kept}
    if tag in _COLLECTIONS:
        return _COLLECTIONS[tag]([_unpack(item, level) for item in kept])
    raise ValueError(f"the tag {tag!r} is unknown here; a newer release may have written it")


def _plain(data: Any) -> Any:
    if type(data) is list:
        return [_plain(item) for item in data]
    if type(data) is not dict:
        return data
    match data:
        case {"$": "dict", "v": [*pairs]} if all(type(pair) is list and len(pair) == 2 for pair in pairs):
            return {key if type(key) is str else _dump(_plain(key)): _plain(item) for key, item in pairs}
        case {"$": str(), "v": kept}:
            return _plain(kept)
    return {key: _plain(item) for key, item in data.items()}


# The text


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


_encoder: Final = functools.partial(
    json.JSONEncoder, ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":")
)
_dump: Final = _encoder().encode
_dump_sorted: Final = _encoder(sort_keys=True).encode
_decoder: Final = json.JSONDecoder(parse_constant=_refuse)


def _parse(text: str) -> Any:
    value = _decoder.decode(text)
    if not text.isascii() or "\\ud" in text or "\\uD" in text:
        _dump(value).encode()  # raises for a lone surrogate
    return value
