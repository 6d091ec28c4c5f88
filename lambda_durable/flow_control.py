"""Flow control, as users configure it: how many runs start and steps execute, when, and in which order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, get_args

from .durations import Duration, parse_duration
from .errors import ConfigurationError
from .expressions import MISSING, Expression, Source, compile_expression

Scope = Literal["function", "app"]
Counts = Literal["steps", "runs"]
Mode = Literal["skip", "cancel"]

MOST_AT_ONCE = 1_000
"""The largest limit of a `Concurrency`: who is inside is listed in one item, of which each is some 40 bytes."""

LARGEST_BATCH = 1_000
"""Events."""

LONGEST_PERIOD = timedelta(days=366)

HEAD_START = 600
"""Seconds: by how much a `Priority` can put a run before others, or after them."""


class _Keyed:
    """Something of which there is one for each value of a key."""

    key: Source | None
    expression: Expression | None

    def _set_key(self, key: Source | None) -> None:
        what = f"{type(self).__name__}(key=)"
        expression = None if key is None else compile_expression(key, what)
        vars(self).update(key=key, expression=expression)


@dataclass(frozen=True, init=False)
class Concurrency(_Keyed):
    """At most `limit` at once: steps whose functions run (what sleeps and waits is free), or with
    `counts="runs"` whole runs, from their first step to their end.

    With a `key`, that many for each of its values. With `scope="app"`, all functions of the app that have a
    `Concurrency` of that scope, with an equal value of the key, share it. Who comes when it is full waits, and is
    served by priority and age. Raises ConfigurationError.
    """

    limit: int
    key: Source | None
    scope: Scope
    counts: Counts

    def __init__(
        self, limit: int, key: Source | None = None, scope: Scope = "function", counts: Counts = "steps"
    ) -> None:
        vars(self).update(
            limit=_count(limit, "Concurrency(limit=)", most=MOST_AT_ONCE),
            scope=_one_of(scope, Scope, "Concurrency(scope=)"),
            counts=_one_of(counts, Counts, "Concurrency(counts=)"),
        )
        self._set_key(key)


@dataclass(frozen=True, init=False)
class Throttle(_Keyed):
    """Starts one run each `period / limit`, and up to `burst` more at once; the others wait, and start later by
    priority and age. Raises ConfigurationError."""

    limit: int
    period: timedelta
    burst: int
    key: Source | None

    def __init__(self, limit: int, period: Duration, burst: int = 0, key: Source | None = None) -> None:
        vars(self).update(
            limit=_count(limit, "Throttle(limit=)"),
            period=_period(period, "Throttle(period=)"),
            burst=_count(burst, "Throttle(burst=)", least=0),
        )
        _check_pace(self.limit, self.period, "Throttle")
        self._set_key(key)


@dataclass(frozen=True, init=False)
class RateLimit(_Keyed):
    """Starts `limit` runs at once, refilled evenly over `period`. What comes above is dropped: its event stays
    stored, and its run is `skipped`. Raises ConfigurationError."""

    limit: int
    period: timedelta
    key: Source | None

    def __init__(self, limit: int, period: Duration, key: Source | None = None) -> None:
        vars(self).update(
            limit=_count(limit, "RateLimit(limit=)"), period=_period(period, "RateLimit(period=)")
        )
        _check_pace(self.limit, self.period, "RateLimit")
        self._set_key(key)


@dataclass(frozen=True, init=False)
class Debounce(_Keyed):
    """Starts one run when no event has come for `period`, with the last one; after `timeout` from the first
    event on, however many come. Raises ConfigurationError."""

    period: timedelta
    key: Source | None
    timeout: timedelta | None

    def __init__(self, period: Duration, key: Source | None = None, timeout: Duration | None = None) -> None:
        quiet = _period(period, "Debounce(period=)")
        longest = None if timeout is None else _period(timeout, "Debounce(timeout=)")
        if longest is not None and longest < quiet:
            raise ConfigurationError(
                f"Debounce(timeout=) is the longest that a start is put off, so no less than the period of {quiet}; "
                f"and this is {longest}"
            )
        vars(self).update(period=quiet, timeout=longest)
        self._set_key(key)


@dataclass(frozen=True, init=False)
class Batch(_Keyed):
    """Starts one run for up to `max_size` events, at the latest `timeout` after the first; `ctx.events` has
    them. Raises ConfigurationError."""

    max_size: int
    timeout: timedelta
    key: Source | None

    def __init__(self, max_size: int, timeout: Duration, key: Source | None = None) -> None:
        vars(self).update(
            max_size=_count(max_size, "Batch(max_size=)", most=LARGEST_BATCH),
            timeout=_period(timeout, "Batch(timeout=)"),
        )
        self._set_key(key)


@dataclass(frozen=True, init=False)
class Priority:
    """Who waits is served as if it had come so many seconds earlier (later, if negative) as `expression` says, at
    most 600. Raises ConfigurationError."""

    expression: Source

    def __init__(self, expression: Source) -> None:
        compiled = compile_expression(expression, "Priority(expression=)")
        vars(self).update(expression=expression, _compiled=compiled)

    def head_start(self, event: Any) -> float:
        """Seconds. Raises ExpressionError; ValueError for what is no number."""
        value = vars(self)["_compiled"].evaluate(event)
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
            what = "nothing" if value is MISSING else type(value).__name__
            if isinstance(value, float):
                what = "NaN"
            raise ValueError(f"Priority(expression=) gives a number of seconds, and this is {what}")
        return max(-HEAD_START, min(HEAD_START, value))


@dataclass(frozen=True, init=False)
class Singleton(_Keyed):
    """One run at a time. When another is to start, that one is `skipped` (mode "skip"), or the one there is
    cancelled first, and undone (mode "cancel"). Raises ConfigurationError."""

    key: Source | None
    mode: Mode

    def __init__(self, key: Source | None = None, mode: Mode = "skip") -> None:
        vars(self).update(mode=_one_of(mode, Mode, "Singleton(mode=)"))
        self._set_key(key)


@dataclass(frozen=True, init=False)
class Idempotency(_Keyed):
    """One run for each value of the key within `ttl`. A second one is `skipped`, and says whose `duplicate_of`
    it is. Raises ConfigurationError."""

    key: Source | None
    ttl: timedelta

    def __init__(self, key: Source, ttl: Duration = "24h") -> None:
        if key is None:
            raise ConfigurationError(
                "Idempotency(key=): what makes two events the same? Write a path, or CEL"
            )
        vars(self).update(ttl=_period(ttl, "Idempotency(ttl=)"))
        self._set_key(key)


@dataclass(frozen=True, kw_only=True)
class FlowControl:
    """What a function has of it. Raises ConfigurationError for what contradicts each other."""

    function_id: str
    concurrency: tuple[Concurrency, ...] = ()
    throttle: Throttle | None = None
    rate_limit: RateLimit | None = None
    debounce: Debounce | None = None
    batch: Batch | None = None
    priority: Priority | None = None
    singleton: Singleton | None = None
    idempotency: Idempotency | None = None

    def __post_init__(self) -> None:
        what = f"function {self.function_id!r}"
        for name, kind in _KINDS.items():
            value = getattr(self, name)
            if value is not None and not isinstance(value, kind):
                raise ConfigurationError(f"{name}= of {what} takes a {kind.__name__}, and this is {value!r}")
        for each in self.concurrency:
            if not isinstance(each, Concurrency):
                raise ConfigurationError(
                    f"concurrency= of {what} takes Concurrency(...), and this is {each!r}"
                )
        if len(self.concurrency) > 2:
            raise ConfigurationError(
                f"{what} has {len(self.concurrency)} limits of its concurrency, and two are allowed"
            )
        if len({(each.key, each.scope, each.counts) for each in self.concurrency}) < len(self.concurrency):
            raise ConfigurationError(
                f"the two limits of the concurrency of {what} count the same: give one of them another key or scope"
            )
        if self.batch is not None:
            for name in ("debounce", "rate_limit", "priority", "singleton", "idempotency"):
                if getattr(self, name) is not None:
                    raise ConfigurationError(
                        f"{what} has batch= and {name}=, which contradict each other: that is about single events, "
                        "and a batch has many"
                    )

    @property
    def of_runs(self) -> bool:
        """Whether something decides when, or whether, a run of the function starts."""
        return bool(self.throttle or self.rate_limit or self.singleton or self.idempotency) or any(
            each.counts == "runs" for each in self.concurrency
        )

    @property
    def collects(self) -> bool:
        """Whether events are collected before one run starts for them."""
        return self.debounce is not None or self.batch is not None

    @property
    def of_steps(self) -> tuple[Concurrency, ...]:
        """What limits how many of its steps execute at once."""
        return tuple(each for each in self.concurrency if each.counts == "steps")


_KINDS = {
    "throttle": Throttle,
    "rate_limit": RateLimit,
    "debounce": Debounce,
    "batch": Batch,
    "priority": Priority,
    "singleton": Singleton,
    "idempotency": Idempotency,
}


def _count(value: object, what: str, *, least: int = 1, most: int | None = None) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigurationError(f"{what}: expected an integer, got {value!r}")
    if value < least or (most is not None and value > most):
        span = f"at least {least}" if most is None else f"{least} to {most}"
        raise ConfigurationError(f"{what}: is {span}, and this is {value}")
    return value


def _period(value: object, what: str) -> timedelta:
    period = parse_duration(value, what)
    if not timedelta(seconds=1) <= period <= LONGEST_PERIOD:
        raise ConfigurationError(f"{what}: is a second to {LONGEST_PERIOD.days} days, and this is {value!r}")
    return period


def _check_pace(limit: int, period: timedelta, what: str) -> None:
    if period / limit < timedelta(milliseconds=1):
        raise ConfigurationError(
            f"{what}: {limit} in {period} is more than one a millisecond, which is no limit: leave it out"
        )


def _one_of(value: object, choices: Any, what: str) -> Any:
    if value not in get_args(choices):
        allowed = " or ".join(map(repr, get_args(choices)))
        raise ConfigurationError(f"{what}: expected {allowed}, got {value!r}")
    return value
