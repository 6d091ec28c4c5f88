"""Values as JSON text, and back: the same value on the first run as on every replay.

With an annotation the text is what pydantic makes of it. Without one, or where that would lose something, it
is tagged JSON.
"""

from __future__ import annotations

import functools
import inspect
import json
import typing
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import is_dataclass
from hashlib import blake2b
from types import CellType, SimpleNamespace
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from pydantic_core import ValidationError, from_json

from . import tagged_json
from .classes import is_model
from .equality import difference
from .errors import SerializationError, type_name
from .shapes import shape_of
from .tagged_json import MAX_LEVELS, Unfit

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = [
    "MAX_LEVELS",
    "UNKNOWN",
    "Codec",
    "byte_length",
    "codec",
    "codec_of",
    "fingerprint",
    "plain_data",
    "plain_json",
    "to_plain",
]


class _Unknown:
    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = _Unknown()
"""The hint of what has no annotation."""


class Codec:
    """Writes and reads the values that one annotation describes. Made by `codec` and `codec_of`."""

    def __init__(self, hint: Any = UNKNOWN) -> None:
        self._hint = hint
        self._shape = shape_of(hint)
        if self._shape is None:
            _ = self._adapter  # now, and not in the midst of a run
        self._name = type_name(hint) if isinstance(hint, type) else repr(hint).replace("typing.", "")

    @functools.cached_property
    def _adapter(self) -> TypeAdapter[Any] | None:
        return _adapter(self._hint)

    def encode(self, value: Any) -> str:
        """The value as JSON. What counts from here on is what `decode` makes of it.

        Raises SerializationError for a value that would not come back equal, or that the annotation
        does not describe.
        """
        try:
            if self._shape is not None and self._shape.fits(value):
                text = tagged_json.write(value)
                if not tagged_json.has_tags(text):
                    return text
            if self._adapter is not None:
                return self._encode_fitting(value, self._adapter)
            text = tagged_json.write(value)
            if tagged_json.has_tags(text):
                self._check(value, text)
            return text
        except Unfit as unfit:
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

    def read(self, text: str) -> Any:
        """What JSON from outside is by the annotation. Nothing in it is a tag, which could name a class: an object with
        the key "$" is data like any other. Raises SerializationError."""
        try:
            return self._load_plain(text)
        except Exception as error:
            raise SerializationError(f"it cannot be read as {self._name}: {_brief(error)}") from error

    def _encode_fitting(self, value: Any, adapter: TypeAdapter[Any]) -> str:
        """A dict that fits the annotation's model becomes the model, and so in a list: data from an API,
        say. Nothing else is made to fit."""
        try:
            return self._encode_typed(value, adapter)
        except Unfit:
            if type(value) not in (dict, list):
                raise
            try:
                fitting = adapter.validate_python(value, by_alias=True, by_name=True)
            except ValidationError:
                fitting = None
            if not _is_made_of_models(fitting):
                raise
            return self._encode_typed(fitting, adapter)

    def _encode_typed(self, value: Any, adapter: TypeAdapter[Any]) -> str:
        lost: Unfit | None = None
        try:
            text = adapter.dump_json(value, by_alias=False, round_trip=True, warnings=False).decode()
            tagged = tagged_json.has_tags(text)
            if not tagged and (lost := difference(value, self._load(text), exact=True)) is None:
                if "NaN" in text or "Infinity" in text:
                    from_json(text, allow_inf_nan=False)
                return text
        except Exception:  # then not as plain JSON; what is wrong shows below
            pass
        try:
            text = tagged_json.write(value)
        except Unfit as unfit:
            if lost is not None:
                unfit.why += f" (as the JSON of {self._name}, {lost})"
            raise
        self._check(value, text)
        return text

    def _check(self, value: Any, text: str) -> None:
        try:
            gap = difference(value, self._load(text), exact=False)
        except ValidationError as error:
            gap = Unfit(f"the {type_name(type(value))} is refused: {_brief(error)}")
        if gap is not None:
            gap.why += (
                f"; the annotation says {self._name}: return that, or correct the annotation"
                if self._adapter
                else "; return plain data, or annotate the function with a type that keeps it"
            )
            raise gap

    def _load(self, text: str) -> Any:
        if not tagged_json.has_tags(text):
            return self._load_plain(text)
        value = tagged_json.read(text)
        adapter = self._adapter
        return value if adapter is None else adapter.validate_python(value, by_alias=True, by_name=True)

    def _load_plain(self, text: str) -> Any:
        if self._shape is not None:
            try:
                value = from_json(text, allow_inf_nan=False)
                if self._shape.fits(value, parsed=True):
                    return value
            except ValueError:  # for pydantic to tell, or to read
                pass
        if self._adapter is None:
            return from_json(text, allow_inf_nan=False)
        return self._adapter.validate_json(text, by_alias=True, by_name=True)


def _is_made_of_models(value: Any) -> bool:
    parts = value if isinstance(value, list) else [value]
    return bool(parts) and all(is_model(part) or is_dataclass(part) for part in parts)


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
        return tagged_json.read_plain(text)
    except (ValueError, RecursionError) as error:
        raise SerializationError(f"a stored value cannot be read: {_brief(error)}") from error


def plain_data(data: Any) -> Any:
    """An event's data as plain JSON values; a pydantic model by its aliases."""
    if is_model(data):
        return data.model_dump(mode="json", by_alias=True)
    return to_plain(codec().encode(data))


def plain_json(value: Any) -> str:
    """The JSON of plain values, for who knows no tags: other readers of an event, say."""
    text = codec().encode(value)
    if not tagged_json.has_tags(text):
        return text
    return json.dumps(to_plain(text), ensure_ascii=False, separators=(",", ":"))


def fingerprint(values: Iterable[Any]) -> str:
    """A digest, the same in every process: 16 hex digits. Of a value that cannot be kept, the type counts."""
    digest = blake2b(digest_size=8)
    for value in values:
        try:
            text = tagged_json.write(value, sort_keys=True)
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
    from pydantic import TypeAdapter

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


def _brief(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}".removeprefix(": ")
    return f"{type(error).__name__}: {error}"
