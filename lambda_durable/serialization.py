"""Values as JSON text, and back: the same value on the first run as on every replay.

Plain JSON, in which an object with the key "$" is a tag: `{"$": "decimal", "v": "9.90"}`. With an annotation
the text is what pydantic makes of it, and tags appear only where that would lose something.
"""

from __future__ import annotations

import base64
import functools
import inspect
import json
import math
import re
import sys
import typing
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from hashlib import blake2b
from importlib import import_module
from types import CellType, SimpleNamespace
from typing import Any, Final
from uuid import UUID
from weakref import WeakKeyDictionary

from pydantic import BaseModel, RootModel, TypeAdapter, ValidationError

from .errors import SerializationError, type_name

MAX_LEVELS: Final = 200


class _Unknown:
    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = _Unknown()
"""The hint of what has no annotation."""


class Codec:
    """Writes and reads the values that one annotation describes. Made by `codec` and `codec_of`."""

    __slots__ = ("_adapter", "_name")

    def __init__(self, hint: Any = UNKNOWN) -> None:
        self._adapter = _adapter(hint)
        self._name = type_name(hint) if isinstance(hint, type) else repr(hint).replace("typing.", "")

    def encode(self, value: Any) -> str:
        """The value as JSON. What counts from here on is what `decode` makes of it.

        Raises SerializationError for a value that would not come back equal, or that the annotation
        does not describe.
        """
        try:
            if self._adapter is not None:
                return self._encode_typed(value, self._adapter)
            text = _dump(_pack(value, 0))
            if _TAG in text:
                self._check(value, text)
            return text
        except _Unfit as unfit:
            raise SerializationError(str(unfit)) from None
        except Exception as error:  # the user's own: a property, an __eq__, a constructor
            kind = type_name(type(value))
            raise SerializationError(f"a value of type {kind} cannot be kept: {_brief(error)}") from error

    def decode(self, text: str) -> Any:
        """The value that was encoded. Raises SerializationError for any other text, and nothing else."""
        try:
            return self._load(text)
        except Exception as error:  # the text may be anything, and constructors are the user's own
            wanted = f" as {self._name}" if self._adapter else ""
            raise SerializationError(f"a stored value cannot be read{wanted}: {_brief(error)}") from error

    def _encode_typed(self, value: Any, adapter: TypeAdapter[Any]) -> str:
        lost: _Unfit | None = None
        try:
            text = adapter.dump_json(value, by_alias=False, round_trip=True, warnings=False).decode()
            if _TAG not in text and (lost := _difference(value, self._load(text), exact=True)) is None:
                if "NaN" in text or "Infinity" in text:
                    _parse(text)
                return text
        except Exception:  # then not as plain JSON; what is wrong shows below
            pass
        try:
            text = _dump(_pack(value, 0))
        except _Unfit as unfit:
            if lost is not None:
                unfit.why += f" (as the JSON of {self._name}, {lost})"
            raise
        self._check(value, text)
        return text

    def _check(self, value: Any, text: str) -> None:
        try:
            gap = _difference(value, self._load(text), exact=False)
        except ValidationError as error:
            gap = _Unfit(f"the {type_name(type(value))} is refused: {_brief(error)}")
        if gap is not None:
            gap.why += (
                f"; the annotation says {self._name}: return that, or correct the annotation"
                if self._adapter
                else "; return plain data, or annotate the function with a type that keeps it"
            )
            raise gap

    def _load(self, text: str) -> Any:
        tagged = '"$"' in text and _TAG_SPACED.search(text) is not None
        if self._adapter is not None and not tagged:
            return self._adapter.validate_json(text, by_alias=True, by_name=True)
        value = _unpack(_parse(text)) if tagged else _parse(text)
        if self._adapter is None:
            return value
        return self._adapter.validate_python(value, by_alias=True, by_name=True)


def codec(hint: Any = UNKNOWN) -> Codec:
    """The codec for an annotation. Any, object, and what pydantic has no schema for count as UNKNOWN."""
    try:
        return _codec(hint, repr(hint))
    except TypeError:  # not hashable
        return Codec(hint)


@functools.lru_cache(maxsize=1024)
def _codec(hint: Any, _order: str) -> Codec:
    """`A | B` equals `B | A`, but pydantic prefers the first: hence the second half of the key."""
    return Codec(hint)


def codec_of(fn: Callable[..., Any]) -> Codec:
    """The codec for what a callable, or the coroutine it makes, returns by its annotation."""
    target = _underlying(fn)
    try:
        return _codecs[target]
    except (KeyError, TypeError):
        found = codec(_returns(target))
    try:
        _codecs[target] = found
    except TypeError:  # takes no weak reference
        pass
    return found


_codecs: WeakKeyDictionary[Any, Codec] = WeakKeyDictionary()


def to_plain(text: str) -> Any:
    """Stored JSON for people: each tag gives way to the plain value in it.

    Raises SerializationError for what is no JSON; shows a tag it does not know as it is.
    """
    try:
        return _plain(_parse(text))
    except (ValueError, RecursionError) as error:
        raise SerializationError(f"a stored value cannot be read: {_brief(error)}") from error


def fingerprint(values: Iterable[Any]) -> str:
    """A digest, the same in every process: 16 hex digits. Of a value that cannot be kept, the type counts."""
    digest = blake2b(digest_size=8)
    for value in values:
        try:
            text = _dump_sorted(_pack(value, 0))
        except Exception:
            text = type_name(type(value))
        digest.update(text.encode() + b"\n")
    return digest.hexdigest()


def byte_length(text: str) -> int:
    """The length in UTF-8."""
    return len(text) if text.isascii() else len(text.encode())


# Annotations


def _adapter(hint: Any) -> TypeAdapter[Any] | None:
    if hint is UNKNOWN or hint is Any or hint is object or isinstance(hint, typing.TypeVar):
        return None
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(hint)
        # pydantic validates an Iterable[X] lazily: what it gives is no value yet.
        return None if adapter.core_schema["type"] == "generator" else adapter
    except Exception:  # no schema, or an error in a hook of the user's class
        return None


def _underlying(fn: Any) -> Any:
    while not isinstance(fn, type) and (isinstance(fn, functools.partial) or not inspect.isroutine(fn)):
        fn = fn.func if isinstance(fn, functools.partial) else getattr(fn, "__wrapped__", type(fn).__call__)
    return fn.__func__ if inspect.ismethod(fn) else fn


def _returns(fn: Any) -> Any:
    if isinstance(fn, type):
        return fn
    try:
        inner = inspect.unwrap(fn)
        only = SimpleNamespace(__annotations__={"return": fn.__annotations__["return"]})
        # A class local to the caller is in the closure, if the function's body uses it.
        cells = zip(inner.__code__.co_freevars, inner.__closure__ or (), strict=True)
        local = {name: cell.cell_contents for name, cell in cells if cell != CellType()}
        hint = typing.get_type_hints(only, inner.__globals__, local, include_extras=True)["return"]
        origin = typing.get_origin(hint)
        if isinstance(origin, type) and issubclass(origin, Awaitable) and not inspect.iscoroutinefunction(fn):
            return typing.get_args(hint)[-1]
    except Exception:  # there is none, or only a type checker can resolve it
        return UNKNOWN
    return hint


# Packing: a value as JSON data with tags


class _Unfit(Exception):
    """Why a value cannot be kept. In `why`, `{at}` is where: known once the error has come all the way up."""

    def __init__(self, why: str) -> None:
        self.why = why
        self.path = ""

    def within(self, key: Any) -> _Unfit:
        if isinstance(key, str) and key.isidentifier():
            self.path = f".{key}{self.path}"
        else:
            plain = key is None or type(key) in (str, int, float, bool)
            self.path = f"[{repr(key)[:40] if plain else type_name(type(key))}]{self.path}"
        return self

    def __str__(self) -> str:
        path = self.path if len(self.path) <= 120 else f"{self.path[:80]}...{self.path[-30:]}"
        return self.why.replace("{at}", f" at `{path}`" if path else "")


def _pack(value: Any, level: int) -> Any:
    kind = type(value)
    if kind is str:
        return value if value.isascii() else _encodable(value)
    if kind is int:
        if -_TOO_LARGE < value < _TOO_LARGE:
            return value
        raise _Unfit("an int{at} has more than 4300 digits: return it as bytes")
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
    if kind in _SCALARS:
        return _SCALARS[kind].pack(value)
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
    except _Unfit as unfit:
        raise unfit.within(key)


def _pack_items(value: Iterable[Any], level: int) -> list[Any]:
    _check_level(level)
    packed: list[Any] = []
    try:
        for item in value:
            packed.append(_pack(item, level))
    except _Unfit as unfit:
        raise unfit.within(len(packed))
    return packed


def _pack_instance(value: Any, kind: type, level: int) -> Any:
    if isinstance(value, Enum):
        return _pack_enum(value, kind, level)
    if (sort := _sort_of(kind)) is not None:
        return {"$": sort, "c": _locate(kind), "v": _pack_dict(_state(value), level)}
    for base, strip in _BASES.items():
        if isinstance(value, base):
            stripped = strip(value)
            if value == stripped or stripped != stripped:
                return _pack(stripped, level - 1)
            raise _Unfit(
                f"the {type_name(kind)}{{at}} would come back as a {base.__name__} that it does not equal"
            )
    for base, scalar in _SCALARS.items():
        if isinstance(value, base):
            return scalar.pack(value)
    if inspect.isawaitable(value):
        raise _Unfit(f"a {type_name(kind)}{{at}} was not awaited: await it, or make the function async")
    raise _Unfit(
        f"a value of type {type_name(kind)}{{at}} cannot be kept, as it is no data: return what identifies it"
        " (an id, a key), or turn it into JSON, datetime, Decimal, UUID, bytes, dataclass or pydantic model"
    )


def _pack_enum(value: Enum, kind: type[Enum], level: int) -> dict[str, Any]:
    where = _locate(kind)
    try:
        packed = _pack(value.value, level)
        if kind(_unpack(packed)) is value:
            return {"$": "enum", "c": where, "v": packed}
    except Exception:  # its value is no data, or leads back to no member
        pass
    return {"$": "member", "c": where, "v": value.name}


def _check_level(level: int) -> None:
    if level > MAX_LEVELS:
        raise _Unfit(f"more than {MAX_LEVELS} levels, or a value that contains itself{{at}}: flatten it")


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _Unfit("a str{at} has a lone surrogate, so it is no text: return bytes, or repair it") from None
    return text


# Unpacking: the value that tagged JSON data stands for


def _unpack(data: Any) -> Any:
    if type(data) is list:
        return [_unpack(item) for item in data]
    if type(data) is not dict:
        return data
    if "$" not in data:
        return {key: _unpack(item) for key, item in data.items()}
    tag, kept = data["$"], data["v"]
    if tag in _BY_NAME:
        return _BY_NAME[tag].unpack(data)
    if tag == "member":
        return _find(data["c"], "enum")[kept]
    if tag in _BUILDERS:
        return _BUILDERS[tag](_find(data["c"], tag), _unpack(kept))
    if type(kept) is not list:
        raise ValueError(f"the tag {tag!r} holds no list")
    if tag == "dict":
        return {_unpack(key): _unpack(item) for key, item in kept}
    if tag in _COLLECTIONS:
        return _COLLECTIONS[tag]([_unpack(item) for item in kept])
    raise ValueError(f"the tag {tag!r} is unknown here; a newer release may have written it")


def _build_dataclass(kind: Any, state: dict[str, Any]) -> Any:
    known = [field for field in fields(kind) if field.name in state]
    value = kind(**{field.name: state[field.name] for field in known if field.init})
    for field in known:
        if not field.init:
            object.__setattr__(value, field.name, state[field.name])
    return value


def _build_model(kind: type[BaseModel], state: dict[str, Any]) -> BaseModel:
    if issubclass(kind, RootModel):
        return kind.model_validate(state["root"])
    return kind.model_validate(state, by_alias=False, by_name=True)


_BUILDERS: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "enum": lambda kind, value: kind(value),
    "dataclass": _build_dataclass,
    "model": _build_model,
}


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


# Classes by name


def _sort_of(kind: type) -> str | None:
    if issubclass(kind, Enum):
        return "enum"
    if issubclass(kind, BaseModel):
        return "model"
    return "dataclass" if is_dataclass(kind) else None


def _find(where: str, sort: str | None) -> Any:
    """The class called `module:Qual.Name`. The name may come from a tampered table: only its sort gets in."""
    module, _, name = where.partition(":")
    try:
        target: Any = sys.modules.get(module) or import_module(module)
    except SystemExit as error:
        raise ImportError(f"importing {module} exits") from error
    for part in name.split("."):
        target = getattr(target, part)
    if not isinstance(target, type) or _sort_of(target) != sort:
        raise TypeError(f"{where} is no {sort}")
    return target


def _locate(kind: type) -> str:
    where = f"{kind.__module__}:{kind.__qualname__}"
    try:
        if _find(where, _sort_of(kind)) is kind:
            return where
    except Exception:  # as good as finding another class
        pass
    raise _Unfit(
        f"the class {type_name(kind)}{{at}} cannot be found by its name: it is local to a function, or hidden by"
        " another; annotate the function's return type, or move the class to the top level of its module"
    )


def _state(value: Any) -> dict[str, Any]:
    """The fields of a model or dataclass, as they are."""
    if isinstance(value, BaseModel):
        names = type(value).model_fields
        return {**{k: v for k, v in value.__dict__.items() if k in names}, **(value.__pydantic_extra__ or {})}
    return {field.name: getattr(value, field.name) for field in fields(value) if hasattr(value, field.name)}


# Types that JSON does not have


@dataclass(frozen=True, slots=True)
class _Scalar:
    """A type that is written as text; beside it the name of its time zone, where it has one."""

    name: str
    write: Callable[[Any], str]
    read: Callable[[str], Any]

    def pack(self, value: Any) -> dict[str, Any]:
        tag = {"$": self.name, "v": self.write(value)}
        zone = _zone(value)
        return {**tag, "z": zone} if zone else tag

    def unpack(self, tag: dict[str, Any]) -> Any:
        if type(tag["v"]) is not str:
            raise ValueError(f"the tag {self.name!r} holds no text")
        value = self.read(tag["v"])
        return _in_zone(value, tag["z"]) if "z" in tag else value


def _zone(value: Any) -> str | None:
    return getattr(getattr(value, "tzinfo", None), "key", None)


def _in_zone(value: Any, name: str) -> Any:
    from zoneinfo import ZoneInfo

    local = value.replace(tzinfo=ZoneInfo(name))
    return local if local.utcoffset() == value.utcoffset() else local.replace(fold=1)


_TIMEDELTA: Final = TypeAdapter(timedelta)

_SCALARS: Final[dict[type, _Scalar]] = {
    float: _Scalar("float", repr, float),  # nan and the infinities
    datetime: _Scalar("datetime", datetime.isoformat, datetime.fromisoformat),
    date: _Scalar("date", date.isoformat, date.fromisoformat),
    time: _Scalar("time", time.isoformat, time.fromisoformat),
    timedelta: _Scalar(
        "timedelta", lambda v: str(_TIMEDELTA.dump_python(v, mode="json")), _TIMEDELTA.validate_python
    ),
    Decimal: _Scalar("decimal", Decimal.__str__, Decimal),
    UUID: _Scalar("uuid", UUID.__str__, UUID),
    bytes: _Scalar(
        "bytes", lambda v: base64.b64encode(v).decode(), lambda v: base64.b64decode(v, validate=True)
    ),
}
_BY_NAME: Final = {scalar.name: scalar for scalar in _SCALARS.values()}
_COLLECTIONS: Final[dict[str, type]] = {"tuple": tuple, "set": set, "frozenset": frozenset}

# What subclasses come back as. The slots of the base are called, so that no override has a say.
_BASES: Final[dict[type, Callable[[Any], Any]]] = {
    str: str.__str__,
    int: int.__int__,
    float: float.__float__,
    dict: dict,
    list: list,
    tuple: tuple,
    set: set,
    frozenset: frozenset,
}
_TOO_LARGE: Final = 10**4300  # Python refuses to write or read more digits, unless told otherwise


# Comparing: whether a value came back


def _difference(before: Any, after: Any, *, exact: bool, level: int = 0) -> _Unfit | None:
    """Where two values differ, types included; None if nowhere. (To ==, 1 is True and nan is not nan.)

    Unless `exact`, a subclass may come back as its base, and an int as a float if the annotation says float.
    """
    kind = type(after)
    if type(before) is not kind and (exact or not _passes_for(before, kind)):
        return _Unfit(f"the {type_name(type(before))}{{at}} would come back as {type_name(kind)}")
    mine, theirs = (None, None) if kind in _LEAVES else (_parts(before), _parts(after))
    if mine is None or theirs is None:
        same = _equal(before, after)
    else:
        same = len(mine) == len(theirs) and level < MAX_LEVELS
        for key, item, other in _paired(mine, theirs) if same else ():
            if item is not other and (gap := _difference(item, other, exact=exact, level=level + 1)):
                return gap.within(key)
    return None if same else _Unfit(f"the {type_name(kind)}{{at}} would come back changed")


_LEAVES: Final = frozenset(
    {str, int, bool, float, type(None), bytes, UUID, datetime, date, timedelta, Decimal}
)


def _passes_for(before: Any, kind: type) -> bool:
    if kind in _BASES or kind in _SCALARS:
        return isinstance(before, kind) or (kind is float and type(before) is int)
    return False


def _parts(value: Any) -> list[Any] | dict[Any, Any] | None:
    if isinstance(value, (dict, list)):
        return value
    if isinstance(value, (tuple, deque)):
        return list(value)
    if isinstance(value, (set, frozenset)):
        return dict.fromkeys(sorted(value, key=repr))
    if isinstance(value, BaseModel):
        return {**_state(value), **(value.__pydantic_private__ or {})}
    if is_dataclass(value):
        return _state(value)
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
        return before == after and before.utcoffset() == after.utcoffset() and _zone(before) == _zone(after)
    return bool(before == after)


# The text


_TAG: Final = '"$":'  # as written here
_TAG_SPACED: Final = re.compile(r'"\$"\s*:')  # as anybody may write it


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


def _brief(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}".removeprefix(": ")
    return f"{type(error).__name__}: {error}"
