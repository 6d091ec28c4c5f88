"""Triggers that are times: `cron` and `every`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from pydantic import BaseModel, ConfigDict

from .durations import Duration, parse_duration
from .errors import ConfigurationError
from .events import SCHEDULED, Event, Trigger

LONGEST_ZONE = 50
"""Characters. Scheduler: a ScheduleExpressionTimezone has 1 to 50."""

_MINUTE = timedelta(minutes=1)
_LONGEST_INTERVAL = timedelta(days=365)
_LONGEST_JITTER = timedelta(days=1)


class Schedule(BaseModel):
    """The data of the event `lambda_durable/scheduled`, whose `time` is when the run was due: what `cron` or
    `every` was given, so that a function with several knows which it was. Of a run that was started by hand,
    without data, `schedule` is empty."""

    # Nothing else fits: in `Context[Order | Schedule]`, an order that is no Order is an error.
    model_config = ConfigDict(frozen=True, extra="forbid")
    schedule: str = ""
    timezone: str = "UTC"


@dataclass(frozen=True)
class ScheduleTrigger(Trigger[Schedule]):
    """Starts a function at times. `expressions` are EventBridge Scheduler's: two where either of two is meant.

    Two triggers that are due at the same times are duplicates, however they are written.
    """

    schedule: str = field(compare=False)
    timezone: str
    jitter: timedelta = field(compare=False)
    expressions: tuple[str, ...]

    name = SCHEDULED
    model = None  # the data is what the handler's context says, since it may be started by hand with any

    def accepts(self, event: Event[object]) -> bool:
        """Whether it is an event of this schedule: one that is sent by hand, since the schedule's own start
        their function directly."""
        data = event.data
        if event.name != SCHEDULED or not isinstance(data, dict):
            return False
        return (data.get("schedule"), data.get("timezone", "UTC")) == (self.schedule, self.timezone)

    def __repr__(self) -> str:
        if self.expressions[0].startswith("rate"):
            return f"every({self.schedule.removeprefix('every ')!r})"
        return f"cron({self.schedule!r}, timezone={self.timezone!r})"


def cron(expression: str, timezone: str = "UTC", jitter: Duration | None = None) -> ScheduleTrigger:
    """Start a function whenever a cron expression is due: minute, hour, day of month, month, day of week.

    Where both days are given, either suffices. `timezone` is an IANA name. A local time that the clocks skip is
    skipped; one that they repeat counts once. `jitter` puts each start off by up to that long (at most a day),
    so that not everything begins on the hour; the event's `time` stays the one that was due.
    Raises ConfigurationError naming the field.
    """
    from .crontab import parse_crontab  # only for who has one

    what = f"cron({expression!r})"
    crontab = parse_crontab(expression, what)
    _check_zone(timezone, f"{what[:-1]}, timezone={timezone!r})")
    return ScheduleTrigger(
        schedule=" ".join(expression.split()),
        timezone=timezone,
        jitter=_jitter(jitter, f"{what[:-1]}, jitter=)"),
        expressions=crontab.expressions(),
    )


def every(interval: Duration, *, jitter: Duration | None = None) -> ScheduleTrigger:
    """Start a function at a regular interval, in whole minutes (1 minute to 365 days).

    The times are the multiples of the interval since 1970 in UTC, so that they don't move with a deployment:
    `every("15m")` is due at every quarter of an hour. Raises ConfigurationError.
    """
    duration = parse_duration(interval, "every(interval)")
    if not _MINUTE <= duration <= _LONGEST_INTERVAL or duration % _MINUTE:
        raise ConfigurationError(
            f"every({interval!r}): an interval is whole minutes, from 1 minute to 365 days; for less, let a run "
            "sleep between its steps"
        )
    minutes = duration // _MINUTE
    return ScheduleTrigger(
        schedule=f"every {_plain(minutes)}",
        timezone="UTC",
        jitter=_jitter(jitter, f"every({interval!r}, jitter=)"),
        expressions=(f"rate({minutes} minute{'s' if minutes > 1 else ''})",),
    )


def _plain(minutes: int) -> str:
    """As a duration is written: "1d", "1h30m"."""
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return "".join(
        f"{number}{unit}" for number, unit in ((days, "d"), (hours, "h"), (minutes, "m")) if number
    )


def _jitter(value: Duration | None, what: str) -> timedelta:
    if value is None:
        return timedelta()
    jitter = parse_duration(value, what)
    if jitter > _LONGEST_JITTER:
        raise ConfigurationError(f"{what}: {value!r} is more than a day")
    return jitter


def _check_zone(name: object, what: str) -> None:
    import zoneinfo  # only for who has a schedule

    if not isinstance(name, str) or not 1 <= len(name) <= LONGEST_ZONE:
        raise ConfigurationError(f'{what}: expected an IANA time zone such as "Europe/Paris"')
    try:
        zoneinfo.ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        known = zoneinfo.available_timezones()
        if len(known) < _FEWEST_ZONES:
            return
        from difflib import get_close_matches

        close = get_close_matches(name, known, n=1)
        meant = f"; did you mean {close[0]!r}?" if close else '; it is an IANA name such as "Europe/Paris"'
        raise ConfigurationError(f"{what}: there is no such time zone{meant}") from None


_FEWEST_ZONES = 100
"""Where the system knows fewer, it has no time zones to speak of, as some Lambda images: then
EventBridge Scheduler, which refuses an unknown one at deployment, is left to judge."""
