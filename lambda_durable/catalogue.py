"""What is told of an app's functions to who does not have its code: plain data, kept in the table at each deploy."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict

from .config import StepsPerInvocation
from .durations import spell
from .events import EventTrigger, Trigger
from .flow_control import FlowControl
from .function import App, Function
from .schedules import ScheduleTrigger


class _Plain(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class RetryInfo(_Plain):
    """A `Retry`, but for the classes of errors that it names."""

    max_attempts: int = 1
    initial_delay: timedelta = timedelta()
    multiplier: float = 1.0
    max_delay: timedelta = timedelta()
    jitter: bool = False


class FunctionInfo(_Plain):
    """A durable function, as its code says. `triggers`, `limits` and `cancel_on` are for people to read, `events` are
    the names that start it (`*` ends a wildcard). `handler` is where its code is, `description` the first paragraph of
    its docstring. `start_timeout` and `finish_timeout` are those of its `Timeouts`. `paused` is as it was when it was
    read."""

    id: str
    app: str = ""
    triggers: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    cancel_on: tuple[str, ...] = ()
    retry: RetryInfo = RetryInfo()
    steps_per_invocation: StepsPerInvocation = "auto"
    start_timeout: timedelta | None = None
    finish_timeout: timedelta | None = None
    version: str | None = None
    pinned: bool = False
    on_failure: str | None = None
    handler: str = ""
    description: str = ""
    paused: bool = False


def functions_of(app: App) -> list[FunctionInfo]:
    """What there is to tell of an app's functions, in the order of its code."""
    return [_told(app, function) for function in app.functions.values()]


def _told(app: App, function: Function[Any, Any]) -> FunctionInfo:
    retry, failure = function.retry, function.failure_handler
    names = (trigger.name for trigger in function.triggers if isinstance(trigger, EventTrigger))
    return FunctionInfo(
        id=function.id,
        app=app.id,
        triggers=tuple(map(_trigger, function.triggers)),
        events=tuple(dict.fromkeys(names)),
        limits=tuple(_limits(function.flow)),
        cancel_on=tuple(
            _if(each.event, f"same {each.match}" if each.match else each.if_exp)
            for each in function.cancel_on
        ),
        retry=RetryInfo(
            max_attempts=retry.max_attempts,
            initial_delay=retry.initial_delay,
            multiplier=retry.multiplier,
            max_delay=retry.max_delay,
            jitter=retry.jitter,
        ),
        steps_per_invocation=function.steps_per_invocation,
        start_timeout=function.timeouts.start,
        finish_timeout=function.timeouts.finish,
        version=function.version or None,
        pinned=function.pin,
        on_failure=failure.id if failure is not None else None,
        handler=_place(function.handler),
        description=(inspect.getdoc(function.handler) or "").partition("\n\n")[0],
    )


def _trigger(trigger: Trigger[Any]) -> str:
    if isinstance(trigger, EventTrigger):
        return _if(trigger.name, trigger.if_exp)
    if not isinstance(trigger, ScheduleTrigger):
        return trigger.name
    if trigger.schedule.startswith("every"):
        return trigger.schedule
    return f"cron {trigger.schedule} ({trigger.timezone})"


def _limits(flow: FlowControl) -> Iterator[str]:
    for each in flow.concurrency:
        scope = " of the app" if each.scope == "app" else ""
        yield _for(f"at most {each.limit:,} {each.counts} at once{scope}", each.key)
    if (throttle := flow.throttle) is not None:
        burst = f", and {throttle.burst:,} more at once" if throttle.burst else ""
        yield _for(f"starts {throttle.limit:,} in {spell(throttle.period)}{burst}", throttle.key)
    if (rate := flow.rate_limit) is not None:
        yield _for(f"skips above {rate.limit:,} in {spell(rate.period)}", rate.key)
    if (debounce := flow.debounce) is not None:
        most = f", at most {spell(debounce.timeout)}" if debounce.timeout is not None else ""
        yield _for(f"debounced by {spell(debounce.period)}{most}", debounce.key)
    if (batch := flow.batch) is not None:
        yield _for(f"batches of {batch.max_size:,} or {spell(batch.timeout)}", batch.key)
    if flow.priority is not None:
        yield f"priority by {_spelled(flow.priority.expression)}"
    if (singleton := flow.singleton) is not None:
        what = "skips the next" if singleton.mode == "skip" else "cancels the one before"
        yield _for(f"one at a time, {what}", singleton.key)
    if (idempotency := flow.idempotency) is not None:
        yield _for(f"once in {spell(idempotency.ttl)}", idempotency.key)


def _for(limit: str, key: object) -> str:
    return limit if key is None else f"{limit} for each {_spelled(key)}"


def _if(name: str, condition: object) -> str:
    return name if condition is None else f"{name} if {_spelled(condition)}"


def _spelled(source: object) -> str:
    """An expression as it was written; of a callable where it is."""
    return source if isinstance(source, str) else _place(source)


def _place(code: object) -> str:
    name = getattr(code, "__qualname__", type(code).__qualname__)
    return f"{getattr(code, '__module__', '')}.{name}".removeprefix(".")
