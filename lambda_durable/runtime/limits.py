"""What limits the runs of a function: its flow control, for one event."""

from __future__ import annotations

import logging
from dataclasses import replace
from hashlib import sha256
from typing import Any

from ..durations import in_millis
from ..engine.gates import Limit
from ..events import Event
from ..expressions import MISSING, Expression, ExpressionError, canonical
from ..flow_control import Concurrency, FlowControl, RateLimit, Throttle

logger = logging.getLogger(__name__)

DEBOUNCE, BATCH = "debounce/", "batch/"
"""What the names of collectors begin with."""

LONGEST_LABEL = 100
"""Characters of a key's value that people are shown."""

_told: set[tuple[str, str]] = set()


def of_run(app_id: str, flow: FlowControl, event: Event[Any]) -> tuple[Limit, ...]:
    """The limits that a run has to pass before it starts, in that order.

    Those that drop come first. Who waits at one is inside those before it: so keyed ones come before those that
    all share, and none waits for a slot that its own key keeps it from using. The pace comes last, for it is of
    starts.
    """
    limits = []
    name = flow.function_id
    if (idempotency := flow.idempotency) is not None:
        limit = _limit(f"idempotency/{name}", idempotency.expression, event, name)
        limits.append(replace(limit, life=in_millis(idempotency.ttl), drops="idempotency"))
    if (rate := flow.rate_limit) is not None:
        interval = _interval(rate)
        limit = _limit(f"rate_limit/{name}", rate.expression, event, name)
        early = interval * (rate.limit - 1)
        limits.append(replace(limit, interval=interval, tolerance=early, drops="rate_limit"))
    if (single := flow.singleton) is not None:
        limit = _limit(f"singleton/{name}", single.expression, event, name)
        evicts = single.mode == "cancel"
        limits.append(replace(limit, slots=1, drops="" if evicts else "singleton", evicts=evicts))
    limits += concurrency(app_id, flow, event, "runs")
    if (throttle := flow.throttle) is not None:
        interval = _interval(throttle)
        limit = _limit(f"throttle/{name}", throttle.expression, event, name)
        limits.append(replace(limit, interval=interval, tolerance=interval * throttle.burst))
    return tuple(limits)


def concurrency(app_id: str, flow: FlowControl, event: Event[Any], counts: str) -> list[Limit]:
    """Its limits of what is at work at once: the narrower before the wider. Two that share one gate, since their keys
    have one value, are the lower of them."""
    mine = [(place, each) for place, each in enumerate(flow.concurrency) if each.counts == counts]
    mine.sort(key=lambda one: (one[1].scope == "app", one[1].key is None))
    limits: dict[str, Limit] = {}
    for place, each in mine:
        limit = replace(_concurrency(app_id, flow, place, each, event), slots=each.limit)
        if limit.gate not in limits or limit.slots < limits[limit.gate].slots:
            limits[limit.gate] = limit
    return list(limits.values())


def collector(flow: FlowControl, event: Event[Any]) -> str:
    """Where an event is collected, for a function that does so."""
    if flow.debounce is not None:
        return _gate(f"{DEBOUNCE}{flow.function_id}", flow.debounce.expression, event, flow.function_id)
    assert flow.batch is not None
    return _gate(f"{BATCH}{flow.function_id}", flow.batch.expression, event, flow.function_id)


def _concurrency(app_id: str, flow: FlowControl, place: int, limit: Concurrency, event: Event[Any]) -> Limit:
    if limit.scope == "app":
        prefix = f"concurrency/{limit.counts}/app/{app_id}"
        return replace(_limit(prefix, limit.expression, event, flow.function_id), function="")
    prefix = f"concurrency/{limit.counts}/function/{flow.function_id}"
    if limit.key is not None:  # a name that does not change when the limits are written in another order
        key = limit.key if isinstance(limit.key, str) else str(place)
        prefix = f"{prefix}/{sha256(key.encode()).hexdigest()[:8]}"
    return _limit(prefix, limit.expression, event, flow.function_id)


def _interval(pace: RateLimit | Throttle) -> int:
    """Milliseconds from one start to the next, never less than it says."""
    return -(-in_millis(pace.period) // pace.limit)


def is_shared(gate: str) -> bool:
    """Whether runs of several functions may wait at a gate."""
    return gate.startswith(("concurrency/runs/app/", "concurrency/steps/app/"))


def order(flow: FlowControl, event: Event[Any], created: int) -> int:
    """By what a run is served among those that wait (milliseconds)."""
    if flow.priority is None:
        return created
    try:
        return created - round(flow.priority.head_start(event) * 1000)
    except (ExpressionError, ValueError) as error:
        _tell(flow.function_id, "its priority failed, and is 0", error)
        return created


def _limit(prefix: str, key: Expression | None, event: Event[Any], function_id: str) -> Limit:
    """A limit that lets all through, for the key's value."""
    text = None if key is None else _key(key, event, function_id)
    label = None if text is None else text[:LONGEST_LABEL]
    return Limit(gate=_named(prefix, text), function=function_id, label=label)


def _gate(prefix: str, key: Expression | None, event: Event[Any], function_id: str) -> str:
    return _named(prefix, None if key is None else _key(key, event, function_id))


def _named(prefix: str, text: str | None) -> str:
    if text is None:
        return prefix
    return f"{prefix}/{sha256(text.encode()).hexdigest()[:32]}"


def _key(key: Expression, event: Event[Any], function_id: str) -> str:
    """The value of a key, as JSON; empty where there is none."""
    try:
        value = key.evaluate(event)
        text = "" if value is MISSING else canonical(value)
    except (ExpressionError, TypeError, ValueError) as error:
        _tell(function_id, f"its {key.what} failed on an event, which is one of those without a key", error)
        return ""
    if value is MISSING:
        _tell(
            function_id,
            f"{key.what} {key.source!r}: an event has nothing there; it is one of those without a key",
        )
    return text


def _tell(function_id: str, what: str, error: Exception | None = None) -> None:
    """Once in a process, whatever the errors say: that may be another thing for each event."""
    if (function_id, what) not in _told:
        _told.add((function_id, what))
        why = f": {error}" if error is not None else ""
        logger.warning("function %r: %s%s", function_id, what, why, extra={"function_id": function_id})
