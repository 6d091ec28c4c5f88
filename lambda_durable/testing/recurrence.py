"""When a recurring schedule of EventBridge Scheduler is due."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}
_RATE = re.compile(r"rate\(([1-9]\d*) (minute|hour|day)(s?)\)")
_CRON = re.compile(r"cron\((\S+) (\S+) (\S+) (\S+) (\S+) (\S+)\)")
_MONTHS = ["", "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_DAYS = ["", "SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]


class Recurrence:
    """The times at which an expression is due in a time zone, as Scheduler's documentation says.

    A local time that does not exist in spring is not due. In autumn, one that comes twice is due the first
    time. Of cron's wildcards it knows `, - * ? /`. Raises ValueError for what Scheduler would refuse.
    """

    def __init__(self, expression: str, timezone: str) -> None:
        self._zone = ZoneInfo(timezone)
        self._interval: timedelta | None = None
        if (rate := _RATE.fullmatch(expression)) is not None:
            if (rate[1] == "1") == bool(rate[3]):
                raise ValueError(f"{expression}: the unit is plural, but for 1")
            self._interval = int(rate[1]) * _UNITS[rate[2]]
        elif (cron := _CRON.fullmatch(expression)) is not None:
            minutes, hours, days, months, weekdays, years = cron.groups()
            if (days == "?") == (weekdays == "?"):
                raise ValueError(f"{expression}: one of day of month and day of week is `?`")
            self._minutes = _field(minutes, 0, 59)
            self._hours = _field(hours, 0, 23)
            self._days = None if days == "?" else _field(days, 1, 31)
            self._months = _field(months, 1, 12, _MONTHS)
            self._weekdays = None if weekdays == "?" else _field(weekdays, 1, 7, _DAYS)
            self._years = _field(years, 1970, 2199)
        else:
            raise ValueError(f"{expression}: is neither cron(...) with 6 fields nor rate(...)")

    def after(self, time: datetime) -> datetime | None:
        """The first time that is due after `time`, in UTC; None if there is none."""
        if self._interval is not None:
            return time + self._interval - (time - _EPOCH) % self._interval
        local = time.astimezone(self._zone)
        # The day before, too: where the clocks were put back at midnight, it is not over in UTC.
        for day in self._dates(local.date() - timedelta(days=1)):
            for hour in self._hours:
                for minute in self._minutes:
                    due = datetime(day.year, day.month, day.day, hour, minute, tzinfo=self._zone)
                    utc = due.astimezone(UTC)
                    exists = utc.astimezone(self._zone).replace(tzinfo=None) == due.replace(tzinfo=None)
                    if exists and utc > time:
                        return utc
        return None

    def _dates(self, first: date) -> Iterator[date]:
        for year in self._years:
            for month in self._months:
                if (year, month) < (first.year, first.month):
                    continue
                for day in range(1, monthrange(year, month)[1] + 1):
                    found = date(year, month, day)
                    if found >= first and self._on(found):
                        yield found

    def _on(self, day: date) -> bool:
        if self._days is not None:
            return day.day in self._days
        return self._weekdays is not None and day.isoweekday() % 7 + 1 in self._weekdays


@cache
def recurrence(expression: str, timezone: str) -> Recurrence:
    return Recurrence(expression, timezone)


def _field(text: str, low: int, high: int, names: Sequence[str] = ()) -> list[int]:
    values: set[int] = set()
    for term in text.split(","):
        span, _, step = term.partition("/")
        start, _, end = span.partition("-")
        first = low if start == "*" else _number(start, low, high, names)
        last = high if start == "*" or (step and not end) else first
        if end:
            last = _number(end, low, high, names)
        if last < first or (step and not 0 < int(step) <= high):
            raise ValueError(f"{term!r} in {text!r}: runs backwards, or its step is out of range")
        values.update(range(first, last + 1, int(step or 1)))
    return sorted(values)


def _number(text: str, low: int, high: int, names: Sequence[str]) -> int:
    number = names.index(text) if text in names else int(text)
    if not low <= number <= high:
        raise ValueError(f"{text!r} is not {low} to {high}")
    return number
