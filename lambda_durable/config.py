"""How a function is run, as users configure it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Literal, cast

from .durations import Duration, parse_duration
from .errors import ConfigurationError, DurableError, MiddlewareError, RetryAfterError

ErrorTypes = type[BaseException] | tuple[type[BaseException], ...]

StepsPerInvocation = int | Literal["all", "auto"]
"""How many steps one Lambda invocation executes; "auto" is 1 while the journal is small, more as it grows."""


@dataclass(frozen=True, init=False)
class Timeouts:
    """How long a run may take: until its first step may begin (`start`), and until its end (`finish`). One that
    takes longer fails with a RunTimeoutError. Both count from when it could begin."""

    start: timedelta | None
    finish: timedelta | None

    def __init__(self, start: Duration | None = None, finish: Duration | None = None) -> None:
        given = {"start": start, "finish": finish}
        for name, duration in given.items():
            what = f"Timeouts({name}=)"
            vars(self)[name] = None if duration is None else parse_duration(duration, what)
            if vars(self)[name] == timedelta():
                raise ConfigurationError(f"{what}: is more than nothing, and this is {duration!r}")
        if self.start is not None and self.finish is not None and self.start > self.finish:
            raise ConfigurationError(
                f"Timeouts(start={start!r}, finish={finish!r}): both count from when the run could begin, so "
                "start= could never be what ends it; let start= be the shorter one"
            )


@dataclass(frozen=True, init=False)
class Retry:
    """When an attempt that failed is followed by another one.

    `max_attempts` counts the first. The delay is `initial_delay`, times `multiplier` after each further
    attempt, at most `max_delay`; with `jitter` it is uniform between 0 and that. `retry_on` and `give_up_on`
    hold exception classes; where both match, it is given up.
    """

    max_attempts: int
    initial_delay: timedelta
    multiplier: float
    max_delay: timedelta
    jitter: bool
    retry_on: tuple[type[BaseException], ...]
    give_up_on: tuple[type[BaseException], ...]

    def __init__(
        self,
        *,
        max_attempts: int = 5,
        initial_delay: Duration = "5s",
        multiplier: float = 2.0,
        max_delay: Duration = "1h",
        jitter: bool = True,
        retry_on: ErrorTypes = (Exception,),
        give_up_on: ErrorTypes = (),
    ) -> None:
        if not isinstance(jitter, bool):
            raise ConfigurationError(f"Retry(jitter=): expected True or False, got {jitter!r}")
        vars(self).update(
            max_attempts=_positive_int(max_attempts, "Retry(max_attempts=)"),
            initial_delay=parse_duration(initial_delay, "Retry(initial_delay=)"),
            multiplier=_multiplier(multiplier),
            max_delay=parse_duration(max_delay, "Retry(max_delay=)"),
            jitter=jitter,
            retry_on=_error_types(retry_on, "Retry(retry_on=)"),
            give_up_on=_error_types(give_up_on, "Retry(give_up_on=)"),
        )

    @classmethod
    def never(cls) -> Retry:
        """One attempt, whatever becomes of it."""
        return cls(max_attempts=1)

    @classmethod
    def fixed(cls, delay: Duration, max_attempts: int) -> Retry:
        """The same delay before every further attempt, without jitter."""
        pause = parse_duration(delay, "Retry.fixed(delay=)")
        return cls(
            max_attempts=max_attempts, initial_delay=pause, multiplier=1, max_delay=pause, jitter=False
        )

    def wants(self, error: BaseException) -> bool:
        """Whether an error of this kind is retried, as long as attempts remain.

        An error of ours never is, but for RetryAfterError, which asks for it, and MiddlewareError, which is of the
        app's middleware (a key service that can't be reached). What is no Exception (a
        SystemExit, a CancelledError) broke off the attempt, and counts as one if Exception is retried.
        """
        if isinstance(error, self.give_up_on):
            return False
        if isinstance(error, DurableError):
            return isinstance(error, RetryAfterError | MiddlewareError)
        return isinstance(error, self.retry_on) or (
            not isinstance(error, Exception) and issubclass(Exception, self.retry_on)
        )

    def delay(self, attempt: int, seed: str) -> timedelta:
        """How long to wait after failed attempt number `attempt` (the first is 1); equal for equal seeds."""
        longest = self._longest_delay(attempt)
        return longest * Random(seed).random() if self.jitter else longest

    def _longest_delay(self, attempt: int) -> timedelta:
        if not self.initial_delay:
            return timedelta()
        try:
            seconds = self.initial_delay.total_seconds() * self.multiplier ** (attempt - 1)
        except OverflowError:
            return self.max_delay
        return min(self.max_delay, timedelta(seconds=min(seconds, self.max_delay.total_seconds())))


LONGEST_VERSION = 64


def check_version(value: object, what: str) -> str:
    """A function's version, "" for none. Raises ConfigurationError."""
    if value is None:
        return ""
    if not isinstance(value, str) or not 1 <= len(value) <= LONGEST_VERSION or not value.isprintable():
        raise ConfigurationError(
            f"version= of {what} has 1 to {LONGEST_VERSION} printable characters, and this is {value!r}"
        )
    return value


def check_pin(value: object, what: str) -> bool:
    if not isinstance(value, bool):
        raise ConfigurationError(f"pin= of {what} is True or False, and this is {value!r}")
    return value


def check_steps_per_invocation(value: object) -> StepsPerInvocation:
    """The value, if it is one. Raises ConfigurationError otherwise."""
    if value in ("all", "auto"):
        return cast(StepsPerInvocation, value)
    if isinstance(value, str):
        raise ConfigurationError(f'steps_per_invocation: expected a number, "all" or "auto", got {value!r}')
    return _positive_int(value, "steps_per_invocation")


def _positive_int(value: object, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(f"{what}: expected an integer of at least 1, got {value!r}")
    return value


def _multiplier(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value <= sys.float_info.max:
        raise ConfigurationError(f"Retry(multiplier=): expected a finite number of at least 1, got {value!r}")
    return float(value)


def _error_types(value: object, what: str) -> tuple[type[BaseException], ...]:
    types = value if isinstance(value, tuple) else (value,)
    for type_ in types:
        if not (isinstance(type_, type) and issubclass(type_, BaseException)):
            raise ConfigurationError(f"{what}: expected exception classes in a tuple, got {type_!r}")
    return types
