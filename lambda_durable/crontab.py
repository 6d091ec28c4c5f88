"""Cron expressions of five fields, and what they are for EventBridge Scheduler, whose own have six."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from .errors import ConfigurationError

_MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
_LENGTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_TERM = re.compile(r"(\*|\w+)(?:-(\w+))?(?:/(\w+))?", re.ASCII)


@dataclass(frozen=True)
class _Kind:
    """A field: its name in errors, its values, and the names that some of them have."""

    name: str
    low: int
    high: int
    names: Mapping[str, int]


_KINDS = (
    _Kind("minute", 0, 59, {}),
    _Kind("hour", 0, 23, {}),
    _Kind("day of month", 1, 31, {}),
    _Kind("month", 1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    _Kind("day of week", 0, 7, {name: number for number, name in enumerate(_DAYS)}),
)


@dataclass(frozen=True)
class Crontab:
    """When a cron expression is due, in the time of its zone.

    Days are None where their field is `*`. Where both are given, either suffices, as it always was in cron.
    Days of the week count from Sunday, which is 0.
    """

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int] | None
    months: frozenset[int]
    weekdays: frozenset[int] | None

    def expressions(self) -> tuple[str, ...]:
        """What EventBridge Scheduler calls it: due whenever one of these is, and two may be at once.

        Scheduler: of day of month and day of week one is `?`, so that 'either' takes two expressions.
        """
        minutes, hours = _text(self.minutes, 0, 59), _text(self.hours, 0, 23)
        months = _text(self.months, 1, 12)
        on_days = None if self.days is None else f"{_text(self.days, 1, 31)} {months} ?"
        on_weekdays = None if self.weekdays is None else f"? {months} {_weekday_text(self.weekdays)}"
        dates = [date for date in (on_days, on_weekdays) if date is not None] or [f"* {months} ?"]
        return tuple(f"cron({minutes} {hours} {date} *)" for date in dates)


def parse_crontab(expression: object, what: str) -> Crontab:
    """The meaning of minute, hour, day of month, month and day of week. `what` begins the error.

    Raises ConfigurationError naming the field, and for what is never due.
    """
    if not isinstance(expression, str):
        raise ConfigurationError(f'{what}: expected an expression such as "0 9 * * MON-FRI"')
    fields = expression.split()
    if (macro := expression.strip().lower()) in _MACROS:
        raise ConfigurationError(f'{what}: write "{_MACROS[macro]}" for {macro}')
    if len(fields) != len(_KINDS):
        names = ", ".join(kind.name for kind in _KINDS)
        raise ConfigurationError(f"{what}: a cron expression has 5 fields ({names}), not {len(fields)}")
    minutes, hours, days, months, weekdays = (
        frozenset(_values(field.upper(), kind, what)) for field, kind in zip(fields, _KINDS, strict=True)
    )
    days_open, weekdays_open = (fields[place] in ("*", "*/1") for place in (2, 4))
    if not (days_open or weekdays_open) and any(fields[place].startswith("*/") for place in (2, 4)):
        raise ConfigurationError(
            f"{what}: crons disagree on a step of `*` in one of day of month and day of week beside the other; "
            "write a range, such as 1-31/2, if either is to suffice"
        )
    crontab = Crontab(
        minutes,
        hours,
        None if days_open else days,
        months,
        None if weekdays_open else frozenset(day % 7 for day in weekdays),
    )
    _check_due(crontab, what)
    return crontab


def _values(field: str, kind: _Kind, what: str) -> Iterator[int]:
    for term in field.split(","):
        yield from _term(term, kind, f"{what}: {kind.name} {term!r}")


def _term(term: str, kind: _Kind, what: str) -> range:
    found = _TERM.fullmatch(term)
    if found is None or (found[1] == "*" and found[2] is not None):
        raise ConfigurationError(
            f"{what}: is no number, name, range or step; `L`, `W`, `#` and `?` are not for a cron of 5 fields"
        )
    if found[1] == "*":
        first, last = kind.low, min(kind.high, 6) if kind.names.get("SUN") == 0 else kind.high
    else:
        first = _number(found[1], kind, what)
        last = first
        if found[2] is not None:
            # A range that ends on Sunday: as the week's last day it is 7.
            last = 7 if found[2] == "SUN" and first > 0 else _number(found[2], kind, what)
        elif found[3] is not None:
            last = kind.high
    if last < first:
        raise ConfigurationError(f"{what}: a range runs upwards; write it as two, with a comma")
    if found[3] is None:
        return range(first, last + 1)
    if not found[3].isdigit() or not 1 <= int(found[3]) <= kind.high:
        raise ConfigurationError(f"{what}: a step is 1 to {kind.high}")
    return range(first, last + 1, int(found[3]))


def _number(text: str, kind: _Kind, what: str) -> int:
    if text in kind.names:
        return kind.names[text]
    if not text.isdigit() or not kind.low <= int(text) <= kind.high:
        names = f" or {next(iter(kind.names))} to {list(kind.names)[-1]}" if kind.names else ""
        raise ConfigurationError(f"{what}: expected {kind.low} to {kind.high}{names}")
    return int(text)


def _check_due(crontab: Crontab, what: str) -> None:
    if crontab.days is None or crontab.weekdays is not None:
        return
    if min(crontab.days) > max(_LENGTHS[month - 1] for month in crontab.months):
        raise ConfigurationError(f"{what}: is never due, since no such month has so many days")


def _text(values: frozenset[int], low: int, high: int) -> str:
    """Values as a field of Scheduler's: `*`, `start/step` up to the field's end, or a list of ranges."""
    ordered = sorted(values)
    if len(ordered) == high - low + 1:
        return "*"
    step = ordered[1] - ordered[0] if len(ordered) > 2 else 1
    if step > 1 and ordered == list(range(ordered[0], high + 1, step)):
        return f"{ordered[0]}/{step}"
    return ",".join(_ranges(ordered))


def _weekday_text(values: frozenset[int]) -> str:
    """By name, since Scheduler counts from 1."""
    ordered = sorted(values)
    return "*" if len(ordered) == 7 else ",".join(_ranges(ordered, _DAYS))


def _ranges(ordered: Sequence[int], names: Sequence[str] | None = None) -> Iterator[str]:
    """Numbers in ascending order as single values, and as ranges where three or more follow each other."""
    start = 0
    for place, number in enumerate(ordered):
        if place + 1 < len(ordered) and ordered[place + 1] == number + 1:
            continue
        run = [str(each) if names is None else names[each] for each in ordered[start : place + 1]]
        if len(run) > 2:
            yield f"{run[0]}-{run[-1]}"
        else:
            yield from run
        start = place + 1
