"""`lambda-durable show`: one run of a deployed app, with its steps."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from heapq import merge
from typing import Any

from ..durations import spell, to_millis
from ..engine.code import Code
from ..errors import EventDataError, type_name
from ..following import MOST
from ..runs import FailedAttempt, MessagePage, Run, StepRecord
from .deployed import deployed
from .display import Display
from .plain import as_plain, plain_value, write_json
from .timeline import Line, awaited, brief_error, brief_outcome, brief_value, spell_wait, stamp

POLL = 1.0
"""Seconds between two looks at a run that is watched."""

ENDED = ("completed", "failed", "cancelled", "skipped")

_FAN_OUTS = ("map", "map_group", "parallel", "group")


def show_run(run_id: str, *, app: str | None, stack: str | None, as_json: bool, watch: bool) -> bool:
    """Print a run; with `watch`, as it goes on until it ends, and then say whether it completed.

    Raises UsageError and FailedError.
    """
    with deployed(stack, app) as client:
        run = client.get(run_id)
        view = None if as_json else _View(run)
        while True:
            if view is not None:
                view.show(run, client.messages(run_id, after=view.cursor, limit=MOST))
            if not watch or run.status in ENDED:
                break
            time.sleep(POLL)
            run = client.get(run_id)
    if view is None:
        write_json(as_plain(run), sys.stdout)
    else:
        view.finish(run)
    return not watch or run.status == "completed"


class _View:
    """What was printed of a run; more is printed as it goes on."""

    def __init__(self, run: Run[Any]) -> None:
        self._display = Display(sys.stdout)
        self._shown: dict[str, tuple[Any, ...]] = {}
        self.cursor = ""
        self._display.fields(_head(run))
        self._display.gap()

    def show(self, run: Run[Any], published: MessagePage) -> None:
        lines = []
        for step in sorted(run.steps.values(), key=_when):
            state = (step.status, step.attempts, step.wake_at, step.unused)
            if self._shown.get(step.id) != state:
                self._shown[step.id] = state
                lines.append(_line(step))
        self.cursor = published.cursor
        told = [
            Line(message.published_at, "»", "magenta", message.topic, brief_value(message.data))
            for message in published.messages
        ]
        for line in merge(lines, told, key=lambda line: line.time):
            self._display.line(line)

    def finish(self, run: Run[Any]) -> None:
        if run.ended_at is not None:
            took = spell(run.ended_at - (run.created_at or run.ended_at))
            style = "bold green" if run.status == "completed" else "bold red"
            self._display.line(Line(run.ended_at, "■", style, run.function_id, f"{run.status} after {took}"))
        if run.error is not None:
            self._display.heading("Error")
            self._display.error(run.error)
            if run.status == "failed":
                self._display.fields([("", _way_out(run))])
        elif run.status == "completed":
            self._display.heading("Result")
            self._display.value(plain_value(run.output))
        elif run.status not in ENDED:
            self._display.heading("Waits for")
            if run.retrying is not None:
                self._display.fields([("(handler)", _again(run.retrying))])
                return
            self._display.fields(list(_waits(run)) or [("", "its turn: nothing is known to be running")])


def _head(run: Run[Any]) -> Iterator[tuple[str, str]]:
    yield "run", run.run_id
    yield "function", run.function_id
    yield "status", run.status
    if run.event is not None:
        more = f"  and {len(run.events) - 1:,} more" if len(run.events) > 1 else ""
        yield "event", f"{run.event.name}  {run.event.id}{more}"
    if run.labels:
        yield "labels", ", ".join(run.labels)
    if run.created_at is not None:
        yield "started", stamp(run.created_at)
    if run.version or run.lambda_version:
        yield "code", _code(run)
    if run.rerun_of is not None:
        yield "again", f"{run.rerun_of}{f' from step {run.rerun_from}' if run.rerun_from else ''}"
    if run.reruns:
        yield "done again", ", ".join(run.reruns)
    if run.continuations:
        yield "continued", f"as new, {_times(run.continuations)}; event and steps are those of since"


def _way_out(run: Run[Any]) -> str:
    """How a run that failed is done again."""
    if run.error is not None and run.error.step_id is not None:
        return f"when that is put right: lambda-durable rerun {run.run_id} --from-failed"
    if run.error is not None and run.error.type == type_name(EventDataError):
        return f"with data that fits: lambda-durable rerun {run.run_id} --data JSON"
    return f"when that is put right: lambda-durable rerun {run.run_id}"


def _code(run: Run[Any]) -> str:
    """On which code it began."""
    code = Code(run.version or "", run.lambda_version or "").spelled()
    return f"{code}; it stays on it" if run.pinned else code


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def _waits(run: Run[Any]) -> Iterator[tuple[str, str]]:
    now = datetime.now(UTC)
    for step in run.steps.values():
        if step.kind in _FAN_OUTS:
            continue
        if step.waiting_for is not None and step.waiting_for.kind != "time":
            until = step.waiting_for.deadline
            limit = f", until {stamp(until)}" if until is not None else ""
            yield step.id, f"{awaited(step.waiting_for)}{limit}"
        elif step.status in ("waiting", "retrying") and step.wake_at is not None:
            left = step.wake_at - now
            when = f"in {spell(left)}, at {stamp(step.wake_at)}" if left > timedelta() else "any moment"
            yield step.id, f"{'its next attempt ' if step.status == 'retrying' else ''}{when}"
        elif step.status in ("running", "pending"):
            yield step.id, f"{step.status} since {stamp(step.started_at)}" if step.started_at else step.status


def _again(failed: FailedAttempt) -> str:
    why = f"attempt {failed.attempts} failed: {brief_error(failed.error)}"
    return f"its next attempt, at {stamp(failed.wake_at)}; {why}"


def _line(step: StepRecord) -> Line:
    mark, style, text = _told(step)
    if step.unused:
        text = f"{text} · the code that ended the run no longer called it"
    if step.kept:
        text = f"{text} · kept" if text else "kept"
    return Line(_when(step), mark, style, step.id, text)


def _when(step: StepRecord) -> datetime:
    """When what there is to say of it happened."""
    return step.ended_at or step.started_at or datetime.now(UTC)


def _told(step: StepRecord) -> tuple[str, str, str]:
    nth = f"attempt {step.attempts}"
    match step.status:
        case "completed" if step.kind == "sleep":
            return "z", "blue", f"slept {_lasted(step.started_at, step.wake_at or step.ended_at)}"
        case "completed":
            said = f"{nth} · " if step.attempts > 1 else ""
            return "✓", "green", said + brief_outcome(step.kind, step.output)
        case "waiting" if step.kind == "poll" and step.wake_at is not None:
            return "z", "blue", f"not yet; asks again at {stamp(step.wake_at)}"
        case "waiting" if step.waiting_for is not None:
            return "z", "blue", spell_wait(step.waiting_for, step.started_at)
        case "retrying" if step.error is not None:
            when = f" at {stamp(step.wake_at)}" if step.wake_at is not None else ""
            return "✗", "yellow", f"{nth} failed: {brief_error(step.error)}; retries{when}"
        case "failed" if step.error is not None:
            often = f"{nth} " if step.kind not in _FAN_OUTS else ""
            return "✗", "red", f"{often}failed: {brief_error(step.error)}"
    mark = "┬" if step.kind in _FAN_OUTS else "·"
    return mark, "dim", step.status if step.kind == "run" else f"{step.kind}: {step.status}"


def _lasted(start: datetime | None, end: datetime | None) -> str:
    if start is None or end is None:
        return ""
    return spell(timedelta(milliseconds=to_millis(end) - to_millis(start)))
