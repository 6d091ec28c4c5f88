"""Durations and points in time as users write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from .errors import ConfigurationError

Duration = timedelta | str
"""A timedelta, or text such as "90s", "15m", "2h", "3d", "1h30m"."""

_UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds", "ms": "milliseconds"}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|w|d|h|m|s)", re.ASCII)
_WHOLE = re.compile(rf"(?:{_PART.pattern})+", re.ASCII)
LONGEST = timedelta(days=3660)
"""The longest duration, and the latest time to wait for: ten years."""


def parse_duration(value: object, what: str) -> timedelta:
    """A Duration as a timedelta. `what` names the argument in the error.

    Raises ConfigurationError for anything else: bare numbers (seconds or milliseconds?), negative or
    endless durations.
    """
    if isinstance(value, timedelta):
        duration = value
    elif isinstance(value, str):
        if not _WHOLE.fullmatch(value):
            if value.startswith("-") and _WHOLE.fullmatch(value[1:]):
                raise ConfigurationError(f"{what}: a duration cannot be negative, and this is {value!r}")
            raise ConfigurationError(f'{what}: {value!r} is no duration; write "90s", "15m", "1h30m" or "3d"')
        try:
            parts = (timedelta(**{_UNITS[unit]: float(number)}) for number, unit in _PART.findall(value))
            duration = sum(parts, timedelta())
        except OverflowError:
            duration = timedelta.max
    else:
        raise ConfigurationError(
            f'{what}: {value!r} is no duration; a number says nothing of its unit: write "90s" or a timedelta'
        )
    if duration < timedelta():
        raise ConfigurationError(f"{what}: a duration cannot be negative, and this is {value!r}")
    if duration > LONGEST:
        raise ConfigurationError(f"{what}: {value!r} is more than ten years")
    return duration


def require_aware(value: object, what: str) -> datetime:
    """The datetime in UTC. Raises ConfigurationError when it is naive, or no datetime at all."""
    if not isinstance(value, datetime):
        raise ConfigurationError(f"{what}: expected a datetime, got {value!r}")
    if value.utcoffset() is None:
        raise ConfigurationError(f"{what}: {value!r} has no time zone; use datetime(..., tzinfo=UTC)")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ConfigurationError(f"{what}: {value!r} lies outside the years 1 to 9999 in UTC") from None


def in_millis(duration: timedelta) -> int:
    """Whole milliseconds: how durations are added to times."""
    return round(duration.total_seconds() * 1000)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_millis(value: datetime) -> int:
    """Whole milliseconds since the epoch: how times are stored."""
    return ((value - _EPOCH) // _MICROSECOND + 500) // 1000  # exact, which a float of seconds is not


def from_millis(value: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=value)


def spell(duration: timedelta) -> str:
    """A duration for people: its two largest units, "3 days 4 h"."""
    seconds = duration.total_seconds()
    if seconds < 10 and seconds != int(seconds):
        return f"{seconds:.1f} s"
    left = round(seconds)
    parts = []
    for size, unit in ((86400, "day"), (3600, "h"), (60, "min"), (1, "s")):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}{'s' if unit == 'day' and count > 1 else ''}")
    return " ".join(parts[:2]) or "0 s"
