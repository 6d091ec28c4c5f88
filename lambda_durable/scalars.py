"""Types that JSON does not have, but whose values have a text."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

if TYPE_CHECKING:
    from pydantic import TypeAdapter


@dataclass(frozen=True, slots=True)
class Scalar:
    """A type that is written as text; beside it the name of its time zone, where it has one."""

    name: str
    write: Callable[[Any], str]
    read: Callable[[str], Any]

    def pack(self, value: Any) -> dict[str, Any]:
        tag = {"$": self.name, "v": self.write(value)}
        zone = zone_of(value)
        return {**tag, "z": zone} if zone else tag

    def unpack(self, tag: dict[str, Any]) -> Any:
        if type(tag["v"]) is not str:
            raise ValueError(f"the tag {self.name!r} holds no text")
        value = self.read(tag["v"])
        return _in_zone(value, tag["z"]) if "z" in tag else value


def zone_of(value: Any) -> str | None:
    return getattr(getattr(value, "tzinfo", None), "key", None)


def _in_zone(value: Any, name: str) -> Any:
    from zoneinfo import ZoneInfo

    local = value.replace(tzinfo=ZoneInfo(name))
    return local if local.utcoffset() == value.utcoffset() else local.replace(fold=1)


@cache
def _timedeltas() -> TypeAdapter[timedelta]:
    from pydantic import TypeAdapter  # only for who has one

    return TypeAdapter(timedelta)


SCALARS: Final[dict[type, Scalar]] = {
    float: Scalar("float", repr, float),  # nan and the infinities
    datetime: Scalar("datetime", datetime.isoformat, datetime.fromisoformat),
    date: Scalar("date", date.isoformat, date.fromisoformat),
    time: Scalar("time", time.isoformat, time.fromisoformat),
    timedelta: Scalar(
        "timedelta",
        lambda v: str(_timedeltas().dump_python(v, mode="json")),
        lambda v: _timedeltas().validate_python(v),
    ),
    Decimal: Scalar("decimal", Decimal.__str__, Decimal),
    UUID: Scalar("uuid", UUID.__str__, UUID),
    bytes: Scalar(
        "bytes", lambda v: base64.b64encode(v).decode(), lambda v: base64.b64decode(v, validate=True)
    ),
}
SCALARS_BY_NAME: Final = {scalar.name: scalar for scalar in SCALARS.values()}
