"""The attributes of an item, one by one, and back."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from ..engine.journal import Author, Payload
from ..errors import DamagedItemError, ErrorInfo
from ..parsing import read_json, written
from .packing import SHORT, packed, unpacked
from .sizes import item_size

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

    Item = dict[str, AttributeValueTypeDef]

P = ParamSpec("P")
T = TypeVar("T")


def names_damage(read: Callable[Concatenate[Item, P], T]) -> Callable[Concatenate[Item, P], T]:
    """Has what can't be read of an item raise a DamagedItemError: who changed it, has to find it again."""

    @wraps(read)
    def reading(item: Item, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return read(item, *args, **kwargs)
        except DamagedItemError:
            raise
        except Exception as error:  # by hand, anything may have been made of it
            where = ", ".join(f"{name} {_key(item, name)!r}" for name in ("pk", "sk"))
            why = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
            raise DamagedItemError(
                f"the item with {where} can't be read ({why:.200}): was it changed by hand, or by a newer release? "
                "What it belongs to stands still, and goes on when it is as it was"
            ) from error

    return reading


def _key(item: Item, name: str) -> Any:
    return next(iter(item.get(name, {"S": "?"}).values()))


def text(value: str) -> AttributeValueTypeDef:
    return {"S": value}


def number(value: int) -> AttributeValueTypeDef:
    return {"N": str(value)}


def to_json(value: object) -> AttributeValueTypeDef:
    return {"S": json.dumps(value, ensure_ascii=False, separators=(",", ":"))}


def read_text(item: Item, name: str, default: str = "") -> str:
    return item[name]["S"] if name in item else default


def integer(item: Item, name: str) -> int | None:
    return int(item[name]["N"]) if name in item else None


def from_json(item: Item, name: str, default: Any) -> Any:
    return json.loads(item[name]["S"]) if name in item else default


def update(change: Iterable[str], gone: Iterable[str] = ()) -> str:
    """An UpdateExpression that sets attributes, whose values have their names, and removes others."""
    removed = ", ".join(gone)
    return (
        "SET " + ", ".join(f"{name} = :{name}" for name in change) + (f" REMOVE {removed}" if removed else "")
    )


def named(item: Item) -> Item:
    """Attributes as an expression refers to them, each by its name."""
    return {f":{name}": value for name, value in item.items()}


def put_payload(item: Item, payload: Payload | None, inline: str, blob: str, *, beside: int = 0) -> None:
    """Add a payload to an item that has all else, but for so many bytes of what it has `beside`, or will have."""
    if payload is None:
        return
    if payload.key is not None:
        item[blob] = text(payload.key)
    if payload.text is not None:
        if len(payload.text) > SHORT:  # a shorter one stays as it is, whatever it has beside
            beside += item_size(item) + len(inline)
        item[inline] = packed(payload.text, beside)


def read_payload(item: Item, inline: str, blob: str) -> Payload | None:
    if inline in item:
        return Payload(text=unpacked(item[inline]))
    return Payload(key=item[blob]["S"]) if blob in item else None


def needed_payload(item: Item, inline: str, blob: str) -> Payload:
    return Payload(key=item[blob]["S"]) if blob in item else Payload(text=unpacked(item[inline]))


def error_json(error: ErrorInfo) -> AttributeValueTypeDef:
    return {"S": written(error)}


def read_error(item: Item) -> ErrorInfo | None:
    return read_json(ErrorInfo, item["e"]["S"]) if "e" in item else None


def read_author(item: Item, name: str = "m") -> Author:
    return Author.parse(item[name]["S"])


def texts(values: Iterable[str]) -> AttributeValueTypeDef:
    return {"L": [text(value) for value in values]}


def read_texts(item: Item, name: str) -> tuple[str, ...]:
    return tuple(value["S"] for value in item[name]["L"]) if name in item else ()
