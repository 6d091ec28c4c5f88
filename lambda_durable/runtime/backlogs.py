"""Backlogs: what waits at functions and limits, made readable."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import islice
from typing import cast

from ..durations import from_millis, in_millis, to_millis
from ..engine.journal import RunStatus
from ..events import Event
from ..flow_control import Concurrency, RateLimit, Singleton, Throttle
from ..function import App
from ..ports import World
from ..queues import Queue, QueueKind
from ..store import Backlog
from . import limits

MOST_SKIPPED = 1_000
"""Runs that are counted of those which were skipped."""

MOST_HELD = 10_000
"""Messages that are counted of those which are held of one function: to count them is to read them."""

A_DAY = timedelta(days=1)


def queues(world: World, app: App | None, function_ids: Sequence[str] | None) -> Iterator[Queue]:
    """Of some functions, or of all that are known."""
    pauses = world.store.pauses(latest=True)
    paused = {id for id, pause in pauses.items() if not pause.over}
    known = app.functions if app is not None else world.store.published() or sorted(paused)
    ids = function_ids if function_ids is not None else list(known)
    for id in ids:
        yield _of_function(world, id, paused=id in paused)
    seen = set()
    for backlog in world.store.lines():
        limit = backlog.limit
        if function_ids is None or limit.function in (*function_ids, ""):
            seen.add(limit.gate)
            yield _of_limit(backlog)
    if app is not None:
        for backlog in _without_key(world, app, ids):
            if backlog.limit.gate not in seen:
                seen.add(backlog.limit.gate)
                yield _of_limit(backlog)


def _of_function(world: World, id: str, *, paused: bool) -> Queue:
    since = to_millis(world.clock.now()) - in_millis(A_DAY)
    skipped = islice(world.store.runs((id,), statuses=(RunStatus.SKIPPED,), since=since), MOST_SKIPPED)
    held = world.store.held(id, most=MOST_HELD)
    return Queue(
        kind="function",
        function_id=id,
        paused=paused,
        held_events=held.events,
        waiting=held.messages,
        more=held.more,
        skipped=sum(1 for _ in skipped),
    )


def _without_key(world: World, app: App, ids: Iterable[str]) -> Iterator[Backlog]:
    """The limits of functions that there are but once, so that their names are known."""
    nothing = Event("lambda_durable/nothing")
    for function in (app.functions[id] for id in ids if id in app.functions):
        flow = function.flow
        unkeyed = replace(
            flow,
            concurrency=tuple(filter(_has_no_key, flow.concurrency)),
            throttle=flow.throttle if _has_no_key(flow.throttle) else None,
            rate_limit=flow.rate_limit if _has_no_key(flow.rate_limit) else None,
            singleton=flow.singleton if _has_no_key(flow.singleton) else None,
            idempotency=None,
        )
        steps = limits.concurrency(app.id, unkeyed, nothing, "steps")
        for limit in (*limits.of_run(app.id, unkeyed, nothing), *steps):
            yield world.store.backlog(limit)


def _has_no_key(limit: Concurrency | Throttle | RateLimit | Singleton | None) -> bool:
    return limit is not None and limit.key is None


def _of_limit(backlog: Backlog) -> Queue:
    limit, gate = backlog.limit, backlog.gate
    kind, _, rest = limit.gate.partition("/")
    counts = rest.partition("/")[0] if kind == "concurrency" else None
    return Queue(
        kind=cast("QueueKind", kind),
        function_id=limit.function or None,
        counts=cast("None", counts),
        key=limit.label,
        limit=limit.slots or None,
        every=timedelta(milliseconds=limit.interval) if limit.interval else None,
        in_use=len(gate.inside),
        waiting=max(gate.waiting, 0),
        oldest=from_millis(backlog.first) if backlog.first is not None else None,
        delayed=backlog.delayed,
    )
