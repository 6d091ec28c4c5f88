"""Runs and their steps, as they are answered: bounded, whatever a run is made of.

A Lambda answers with 6 MB at most. So of a run's values those are left out that are large, and its steps come in pages.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel

from ..errors import ErrorInfo
from ..events import Event
from ..runs import FailedAttempt, Run, Status, StepRecord, StepStatus, WaitingFor
from ..serialization import codec, to_plain

LARGE = 8 * 1024
"""Characters of JSON from which on a step's value is left out."""

LARGE_OF_RUN = 256 * 1024
"""The same of a run's event and output."""

TOGETHER = 3 * 1024 * 1024
"""Characters that the steps of one page have together: what comes above has its values left out."""

STEPS = 2_000
"""Steps in a page."""


class Step(BaseModel):
    """A step: see `StepRecord`. `queue_delay` is how many seconds lay between what came before it and its start: the
    newest outcome of the run by then, or its beginning. `truncated`: what is large was left out, and the step's own
    route has it."""

    id: str
    kind: str
    status: StepStatus
    attempts: int = 0
    queue_delay: float | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    wake_at: datetime | None = None
    waiting_for: WaitingFor | None = None
    output: Any = None
    error: ErrorInfo | None = None
    unused: bool = False
    kept: bool = False
    truncated: bool = False


class RunEvent(BaseModel):
    """The event that a run is about."""

    name: str
    data: Any = None
    id: str
    time: datetime
    source: str | None = None


class RunView(BaseModel):
    """A run: see `Run`. `queue_delay` is how many seconds it waited for its start. `steps` are in the order of their
    start; of those that there are (`steps_total`), `steps_cursor` leads to the next. What is large was left out:
    `event_truncated` and `output_truncated` say so, and /event and /output have it."""

    run_id: str
    function_id: str
    status: Status
    paused: bool = False
    output: Any = None
    output_truncated: bool = False
    error: ErrorInfo | None = None
    retrying: FailedAttempt | None = None
    event: RunEvent | None = None
    event_truncated: bool = False
    batch: int = 0
    labels: tuple[str, ...] = ()
    created_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    queue_delay: float | None = None
    skipped_reason: str | None = None
    duplicate_of: str | None = None
    continuations: int = 0
    version: str | None = None
    lambda_version: str | None = None
    pinned: bool = False
    rerun_of: str | None = None
    rerun_from: str | None = None
    reruns: tuple[str, ...] = ()
    steps: list[Step] = []
    steps_total: int = 0
    steps_cursor: str | None = None


_NEVER = datetime.max.replace(tzinfo=UTC)

_SAME = tuple(
    name
    for name in RunView.model_fields
    if name in Run.model_fields and name not in ("output", "event", "event_truncated", "steps")
)


def view_of(run: Run[Any], *, first: int = 0, most: int = STEPS) -> RunView:
    """A run with its steps from the `first` on."""
    output, output_left = _fitting(run.output)
    event = event_of(run.event) if run.event is not None else None
    data, event_left = _fitting(event.data) if event is not None else (None, False)
    if event is not None and event_left:
        event = event.model_copy(update={"data": data})
    steps = in_order(run.steps.values(), run.started_at)
    page = steps[first : first + most]
    return RunView(
        **{name: getattr(run, name) for name in _SAME},
        output=output,
        output_truncated=run.truncated or output_left,
        event=event,
        event_truncated=run.event_truncated or event_left,
        batch=len(run.events) if len(run.events) > 1 else 0,
        queue_delay=_seconds(run.created_at, run.started_at),
        steps=bounded(page),
        steps_total=len(steps),
        steps_cursor=str(first + most) if first + most < len(steps) else None,
    )


def event_of(event: Event[Any]) -> RunEvent:
    return RunEvent(
        name=event.name, data=_plain(event.data), id=event.id, time=event.time, source=event.source
    )


def in_order(records: Iterable[StepRecord], began: datetime | None) -> list[Step]:
    """Steps by their start; those that have not begun come last. Of those that began in the same millisecond a group
    comes before what is in it, and what ended first before the others."""
    ordered = sorted(
        records,
        key=lambda each: (
            each.started_at or _NEVER,
            each.id.count("/") + each.id.count("["),
            each.ended_at or _NEVER,
        ),
    )
    ends = sorted(each.ended_at for each in ordered if each.ended_at is not None)
    return [_step(each, ends, began) for each in ordered]


def _step(record: StepRecord, ends: Sequence[datetime], began: datetime | None) -> Step:
    before = None
    if record.started_at is not None:
        place = bisect_right(ends, record.started_at)
        before = ends[place - 1] if place else began
    told = {name: getattr(record, name) for name in Step.model_fields if name != "queue_delay"}
    return Step(**told, queue_delay=_seconds(before, record.started_at))


def bounded(steps: Iterable[Step]) -> list[Step]:
    """Steps that fit into one answer."""
    found, room = [], TOGETHER
    for step in steps:
        size = len(step.model_dump_json())
        if step.output is not None and len(_text(step.output)) > LARGE:
            step = step.model_copy(update={"output": None, "truncated": True})
            size = len(step.model_dump_json())
        if size > room:
            brief = replace(step.error, traceback="") if step.error is not None else None
            step = step.model_copy(update={"output": None, "error": brief, "truncated": True})
            size = 0
        room -= size
        found.append(step)
    return found


def _fitting(value: Any) -> tuple[Any, bool]:
    """A value, or None and that it was left out."""
    plain = _plain(value)
    return (plain, False) if len(_text(plain)) <= LARGE_OF_RUN else (None, True)


def _plain(value: Any) -> Any:
    return to_plain(codec().encode(value))


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _seconds(since: datetime | None, until: datetime | None) -> float | None:
    return None if since is None or until is None else max((until - since).total_seconds(), 0.0)
