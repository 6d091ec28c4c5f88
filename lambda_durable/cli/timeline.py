"""A run as it happens, a line for each thing: when (in virtual time), what, and how it went."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ..durations import from_millis, spell
from ..engine.journal import Failure, Header, Kind, Record, RunStatus, State
from ..engine.paths import shown
from ..errors import ErrorInfo
from ..runs import WaitingFor
from ..runtime.views import waiting_for
from ..serialization import to_plain
from .watching import Written

LONGEST_VALUE = 100
"""Characters of an output in the timeline; the result is shown whole."""


@dataclass(frozen=True, slots=True)
class Line:
    """`mark` is one character; `style` one of rich's."""

    time: datetime
    mark: str
    style: str
    name: str
    text: str


@dataclass(slots=True)
class Timeline:
    """Makes lines of what is written, and hands them to `show`.

    With several runs, a name says of which function it is.
    """

    now: Callable[[], datetime]
    show: Callable[[Line], None]
    several: bool = False
    started: dict[str, Header] = field(default_factory=dict)

    def __call__(self, run_id: str, written: Written) -> None:
        match written:
            case Header():
                self._header(written)
            case Failure():
                text = f"attempt {written.attempts} failed: {brief_error(written.error)}"
                retry = f"; retries {self._when(written.wake_at)}"
                self._line(run_id, "✗", "yellow", "(handler)", text + retry)
            case Record():
                self._record(run_id, written)

    def _header(self, header: Header) -> None:
        name = f"{header.function_id}"
        if header.run_id not in self.started:
            self.several = self.several or bool(self.started)  # a run that another one invoked
            self.started[header.run_id] = header
            when = "" if header.starts is None else f"{self._when(header.starts)} "
            self.show(Line(self.now(), "▶", "bold", name, f"starts {when}as run {header.run_id}"))
            return
        if header.status is RunStatus.COMPENSATING:
            why = f": {brief_error(header.error)}" if header.error is not None else ""
            self.show(Line(self.now(), "◀", "bold yellow", name, f"{header.ends_as}{why}; undoes its steps"))
            return
        if header.status is RunStatus.RUNNING and header.renewal is not None:
            self.show(Line(self.now(), "↻", "bold", name, f"continues as new ({header.renewal.number})"))
            return
        started = header.starts or header.created
        took = spell(from_millis(header.ended or started) - from_millis(started))
        good = header.status is RunStatus.COMPLETED
        after = f" after {took}" if took != "0 s" else ""
        mark, style = ("■", "bold green") if good else ("■", "bold red")
        self.show(Line(self.now(), mark, style, name, f"{header.status.value}{after}"))

    def _record(self, run_id: str, record: Record) -> None:
        nth = f"attempt {record.attempts}"
        match record.state:
            case State.WAITING:
                text = spell_wait(waiting_for(run_id, record), from_millis(record.began))
                self._line(run_id, "z", "blue", record.path, text)
            case State.RETRYING if record.error is not None:
                text = f"{nth} failed: {brief_error(record.error)}; retries {self._when(record.wake_at)}"
                self._line(run_id, "✗", "yellow", record.path, text)
            case State.RETRYING:  # a poll, between two checks
                text = f"not yet; asks again {self._when(record.wake_at)}"
                self._line(run_id, "z", "blue", record.path, text)
            case State.FAILED:
                assert record.error is not None
                text = f"{nth} failed: {brief_error(record.error)}; not retried"
                if record.kind.fans_out or record.kind == "group" or record.waits is not None:
                    text = f"failed: {brief_error(record.error)}"
                self._line(run_id, "✗", "red", record.path, text)
            case State.COMPLETED:
                said = f"{nth} · " if record.attempts > 1 else ""
                self._line(run_id, "✓", "green", record.path, said + _outcome(record))
            case State.RUNNING:
                if record.plan is not None:
                    width = f", at most {record.plan.lanes} at a time" if record.plan.lanes else ""
                    text = f"{record.kind.value} of {len(record.plan.keys)}{width}"
                    self._line(run_id, "┬", "dim", record.path, text)
                elif record.kind == "group":
                    self._line(run_id, "┬", "dim", record.path, "group")
            case State.CANCELLED:
                self._line(run_id, "·", "dim", record.path, "was at work, and never told how it ended")

    def _line(self, run_id: str, mark: str, style: str, name: str, text: str) -> None:
        name = shown(name)
        if self.several and run_id in self.started:
            name = f"{self.started[run_id].function_id}: {name}"
        self.show(Line(self.now(), mark, style, name, text))

    def _when(self, millis: int | None) -> str:
        if millis is None:
            return "at once"
        delay = from_millis(millis) - self.now()
        return f"in {spell(delay)}" if delay > timedelta() else "at once"


def stamp(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S}"


def spell_wait(wait: WaitingFor, began: datetime | None) -> str:
    """What a step is at that waits: "sleeps 3 days until ...", "waits for signal go until ..."."""
    until = f" until {stamp(wait.deadline)}" if wait.deadline is not None else ""
    if wait.kind != "time":
        return f"waits for {awaited(wait)}{until}"
    lasts = f" {spell(wait.deadline - began)}" if wait.deadline is not None and began is not None else ""
    return f"sleeps{lasts}{until}"


def awaited(wait: WaitingFor) -> str:
    """What a wait is for: "event a or b with 7", "signal go", "callback cb1-...", "run 01J..."."""
    if wait.token is not None:
        return f"{wait.kind} {wait.token}"
    value = f" with {_one_line(json.dumps(wait.match), LONGEST_VALUE)}" if wait.match is not None else ""
    return f"{wait.kind} {' or '.join(wait.names)}{value}"


def brief_outcome(kind: str, output: Any) -> str:
    """The output of a finished step on one line; what waited and got nothing has timed out."""
    timed_out = output is None and kind in (Kind.WAIT_FOR_EVENT, Kind.WAIT_FOR_SIGNAL)
    return "timed out" if timed_out else _asked(output) + brief_value(output)


def _asked(output: Any) -> str:
    """What a model took, of a step whose output is its reply."""
    match output:
        case {"model": str(model), "usage": {"input_tokens": int(read), "output_tokens": int(wrote)}}:
            return f"{model}, {read:,} + {wrote:,} tokens · "
    return ""


def brief_error(error: ErrorInfo) -> str:
    return f"{error.type.rpartition('.')[2]}: {_one_line(error.message, 200)}"


def _outcome(record: Record) -> str:
    output = record.output
    if output is None:
        return ""
    if output.text is None:
        return "(kept in S3)"
    return brief_outcome(record.kind, to_plain(output.text))


def brief_value(value: Any) -> str:
    """A plain value on one line."""
    return "" if value is None else _one_line(json.dumps(value, ensure_ascii=False), LONGEST_VALUE)


def _one_line(text: str, longest: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= longest else line[: longest - 1] + "…"
