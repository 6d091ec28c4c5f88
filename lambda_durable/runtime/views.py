"""What the state says, made readable: runs with all their steps."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Literal

from ..durations import from_millis, to_millis
from ..engine import paths
from ..engine.gates import Queueing
from ..engine.journal import Header, Kind, Partition, Record, RunStatus, State
from ..event_json import is_plain, load_events
from ..events import Event
from ..function import Function
from ..ports import World
from ..runs import EventRecord, FailedAttempt, Run, RunSummary, StepRecord, WaitingFor
from ..serialization import to_plain
from ..store import StoredEvent
from . import payloads
from .callbacks import token
from .holding import paused
from .keeping import NOBODY
from .run_ids import run_of_event


def run_of(world: World, header: Header, top: Partition, function: Function[Any, Any] | None) -> Run[Any]:
    """A run with its steps, groups and branches included."""
    output, text = None, payloads.peek(world.blobs, header.output)
    if text is not None:
        output = to_plain(text) if function is None else function.codec.decode(text)
    status = status_of(world, header)
    queueing = header.queueing or Queueing()
    event_text = payloads.peek(world.blobs, header.event)
    events = _events(header, event_text) if event_text is not None else ()
    return Run(
        run_id=header.run_id,
        function_id=header.function_id,
        status=status.value,
        paused=not header.status.ended and (header.paused or _function_paused(world, header)),
        output=output,
        error=header.error,
        retrying=_retrying(world, header, top),
        event=events[0] if events else None,
        events=events,
        labels=header.labels,
        created_at=from_millis(header.created),
        started_at=_started(header, status),
        ended_at=_time(header.ended),
        skipped_reason=queueing.skipped or None,
        duplicate_of=queueing.duplicate_of or None,
        continuations=header.renewal.number if header.renewal is not None else 0,
        version=header.code.label or None,
        lambda_version=header.code.release or None,
        pinned=header.pinned,
        rerun_of=header.origin.run_id if header.origin is not None else None,
        rerun_from=(header.origin.step or None) if header.origin is not None else None,
        reruns=header.reruns,
        truncated=header.output is not None and text is None,
        event_truncated=event_text is None,
        steps=_all_steps(world, header, top),
    )


def _function_paused(world: World, header: Header) -> bool:
    undone = header.status not in (RunStatus.QUEUED, RunStatus.RUNNING)
    return not undone and paused(world, header.function_id) is not None


def _started(header: Header, status: RunStatus) -> datetime | None:
    if header.queueing is not None:
        return _time(header.queueing.admitted)
    return None if status is RunStatus.QUEUED else from_millis(header.starts or header.created)


def _events(header: Header, text: str) -> tuple[Event[Any], ...]:
    """None where only the app can read them."""
    return tuple(load_events(text, f"the event of run {header.run_id!r}")) if is_plain(text) else ()


def _all_steps(world: World, header: Header, top: Partition) -> dict[str, StepRecord]:
    """A run's steps, and what undid them. Where the run has a step of that name itself, a colon goes before it."""
    steps = {step.id: step for step in _steps(world, header, top, header.ended)}
    if header.ends_as is not None:
        for step in _undoing(world, header):
            name = paths.shown(step.id)
            name = f":{name}" if name in steps else name
            steps[name] = step.model_copy(update={"id": name})
    return steps


def load(world: World, run_id: str) -> tuple[Header, Partition] | None:
    """A run's header, and the top level of its present journal."""
    loaded = world.store.load_run(run_id)
    if loaded is None or loaded[0].journal_id == run_id:
        return loaded
    return loaded[0], world.store.load_scope(loaded[0].journal_id, "")


def _undoing(world: World, header: Header) -> Iterator[StepRecord]:
    """What undoes a run's steps, in order; what was given up before there was an order comes last."""
    partition = world.store.load_scope(header.journal_id, paths.UNDO)
    planned = [
        path for entry in partition.log for path in entry.order[paths.UNDO] if not path.startswith(":")
    ]
    for path in dict.fromkeys([*map(paths.undo, planned), *partition.records]):
        record = partition.records.get(path)
        if record is not None:
            yield _step(world, header, record)
        else:
            yield StepRecord(id=path, kind=Kind.UNDO, status="pending")


def _retrying(world: World, header: Header, top: Partition) -> FailedAttempt | None:
    """A failure counts until something else has an outcome."""
    failure = top.failure
    if failure is None or header.ended is not None:
        return None
    if failure.seen != top.outcomes(to_millis(world.clock.now())):
        return None
    return FailedAttempt(error=failure.error, attempts=failure.attempts, wake_at=from_millis(failure.wake_at))


def status_of(world: World, header: Header) -> RunStatus:
    return header.status_at(to_millis(world.clock.now()))


def summary_of(world: World, header: Header) -> RunSummary:
    return RunSummary(
        run_id=header.run_id,
        function_id=header.function_id,
        status=status_of(world, header).value,
        labels=header.labels,
        created_at=from_millis(header.created),
        ended_at=_time(header.ended),
    )


def _steps(world: World, header: Header, partition: Partition, ended: int | None) -> Iterator[StepRecord]:
    """The steps of a scope that ended at `ended`."""
    newest = max(ended or 0, _newest(partition))
    dispatched = [path for entry in partition.log for path in entry.dispatched]
    for path in dispatched:
        if path not in partition.records and paths.parent(path) == partition.scope:
            yield StepRecord(id=path, kind=Kind.RUN, status="cancelled" if header.ended else "pending")
    for record in sorted(partition.records.values(), key=lambda record: record.began):
        yield _step(world, header, record, newest)
        yield from _inside(world, header, record)


def _inside(world: World, header: Header, record: Record) -> Iterable[StepRecord]:
    """The steps of a group, and a fan-out's branches with theirs."""
    if not record.kind.has_scope:
        return
    inner = world.store.load_scope(header.journal_id, record.path)
    if not record.kind.fans_out:
        yield from _steps(world, header, inner, record.ended or header.ended)
        return
    assert record.plan is not None
    for key in record.plan.keys:
        branch = inner.records.get(paths.branch(record.path, key))
        if branch is not None:
            yield _step(world, header, branch)
        if record.kind is not Kind.MAP:
            ended = (branch.ended if branch is not None else None) or header.ended
            scope = world.store.load_scope(header.journal_id, paths.branch(record.path, key))
            yield from _steps(world, header, scope, ended)


def _newest(partition: Partition) -> int:
    """The newest time that a scope has written down."""
    times = [time for record in partition.records.values() for time in (record.began, record.ended or 0)]
    return max([*times, *(entry.time for entry in partition.log)], default=0)


def _step(world: World, header: Header, record: Record, newest: int = 0) -> StepRecord:
    """`newest` is a time that its scope has seen: a sleep needs no write of its own to be over by then."""
    status = record.state.value
    over = record.kind is Kind.SLEEP and record.state is State.WAITING and (record.wake_at or 0) <= newest
    if over:
        status = "completed"
    elif header.ended is not None and (record.ended is None or record.ended > header.ended):
        status = "cancelled"  # it was still going on when the run ended
    elif header.ends_as is not None and record.kind is not Kind.UNDO and _pauses(record):
        status = "cancelled"  # nobody goes on with it while the run is undone
    elif record.kind is Kind.POLL and record.state is State.RETRYING and record.error is None:
        status = "waiting"  # for its next check
    waiting = None
    if status == "waiting":
        waiting = waiting_for(header.journal_id, record)
    text = payloads.peek(world.blobs, record.output)
    return StepRecord(
        id=record.path,
        kind=record.kind.value,
        status=status,
        output=to_plain(text) if text is not None else None,
        truncated=record.output is not None and text is None,
        error=record.error,
        attempts=record.attempts,
        started_at=from_millis(record.began),
        ended_at=from_millis(max(record.wake_at, record.began))
        if over and record.wake_at
        else _time(record.ended),
        wake_at=_time(record.wake_at),
        waiting_for=waiting,
        unused=record.path in header.unused,
        kept=record.author == NOBODY and status in ("completed", "failed"),
    )


def _pauses(record: Record) -> bool:
    return record.state in (State.RETRYING, State.WAITING) and record.kind is not Kind.INVOKE


_WAITS_FOR: dict[Kind, Literal["event", "signal", "callback", "run"]] = {
    Kind.WAIT_FOR_EVENT: "event",
    Kind.WAIT_FOR_SIGNAL: "signal",
    Kind.WAIT_FOR_CALLBACK: "callback",
    Kind.INVOKE: "run",
}


def waiting_for(journal_id: str, record: Record) -> WaitingFor:
    """What a step that waits waits for."""
    until = _time(record.wake_at)
    if record.waits is None:
        return WaitingFor(kind="time", deadline=until)
    match = record.waits.match
    return WaitingFor(
        kind=_WAITS_FOR[record.kind],
        names=record.waits.names,
        token=token(journal_id, record) if record.waits.nonce else None,
        match=None if not match or match.startswith("#") else json.loads(match),
        deadline=_time(record.waits.deadline or record.wake_at),
    )


def _time(millis: int | None) -> datetime | None:
    return None if millis is None else from_millis(millis)


def event_of(world: World, stored: StoredEvent) -> EventRecord:
    """An event, with the runs that it starts: their ids follow from what was stored."""
    text = payloads.read(world.blobs, stored.payload)
    event = load_events(text, f"event {stored.id!r}")[0] if is_plain(text) else None
    runs = {id: None if id in stored.collected else run_of_event(stored, id) for id in stored.functions}
    return EventRecord(
        id=stored.id,
        name=stored.name,
        data=event.data if event is not None else None,
        source=event.source if event is not None else None,
        time=from_millis(stored.time),
        received_at=from_millis(stored.seen),
        runs=runs,
    )
