"""What a function costs, counted in a run of it on a LocalRuntime; and what the same would cost elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..app import Durable
from ..config import StepsPerInvocation
from ..context import Context
from ..costs.pricing import PRICES, STANDING, Charge, bill, total
from ..events import Event, on_event
from ..runs import Run, StepRecord
from ..serialization import codec
from ..testing import LocalRuntime
from ..testing.usage import Usage
from .run import START
from .samples import sample

EXECUTED = ("run", "poll", "transact", "send_event", "send_signal", "undo")
"""Kinds of steps that are work: an attempt is billed time."""

WAITS = ("sleep", "wait_for_event", "wait_for_signal", "wait_for_callback", "invoke")

Start = Callable[[LocalRuntime], int]
"""Has runs begin, and says how many events were sent for that."""


@dataclass(frozen=True, slots=True)
class Assumed:
    """What no count tells: how long an attempt of a step takes, and an invocation beside its steps (milliseconds); the
    Lambda's memory."""

    step: float
    invocation: float
    megabytes: int


@dataclass(frozen=True, slots=True)
class Counted:
    """What runs have used, from what starts them to their end."""

    mode: StepsPerInvocation
    runs: Sequence[Run[Any]]
    calls: Counter[str]
    invocations: int
    usage: Usage
    events: int

    def charges(self, assumed: Assumed) -> list[Charge]:
        return bill(
            self.calls,
            invocations=self.invocations,
            read_units=self.usage.read_units,
            write_units=self.usage.write_units,
            index_units=self.usage.index_units,
            events=self.events,
            schedules=self.calls["scheduler:CreateSchedule"],
            milliseconds=self.attempts * assumed.step + self.invocations * assumed.invocation,
            megabytes=assumed.megabytes,
        )

    @property
    def steps(self) -> list[StepRecord]:
        return [step for run in self.runs for step in run.steps.values()]

    @property
    def attempts(self) -> int:
        """Of steps that are work."""
        return sum(max(step.attempts, 1) for step in self.steps if step.kind in EXECUTED)

    @property
    def waits(self) -> int:
        return sum(step.kind in WAITS for step in self.steps)

    @property
    def written(self) -> int:
        """Bytes of the events and the outputs."""
        values = [
            *(event.data for run in self.runs for event in run.events),
            *(step.output for step in self.steps),
        ]
        return sum(len(codec().encode(value).encode()) for value in values if value is not None)


def count(app: Durable, start: Start, mode: StepsPerInvocation, begins: datetime = START) -> Counted:
    """Have runs begin at that time, and run to their end. Their steps are executed."""
    runtime = LocalRuntime(app, steps_per_invocation=mode, start=begins)
    try:
        events = start(runtime)
        runtime.drain()
        calls, invocations, usage = runtime.calls.copy(), runtime.invocations, runtime.usage
        found = Usage(usage.read_units, usage.write_units, usage.index_units)
        runs = [runtime.get(summary.run_id) for summary in runtime.runs()]
    finally:
        runtime.close()
    sent = sum(
        len(step.output or ()) for run in runs for step in run.steps.values() if step.kind == "send_event"
    )
    return Counted(mode, runs, calls, invocations, found, events + sent)


def sequence(steps: int, output: int) -> tuple[Durable, Start]:
    """A function of so many steps, one after the other, and what starts it; outputs, and the event's data, have so many
    bytes of JSON."""
    app = Durable("estimate")

    @app.function("sequence", on_event("estimate/begin"))
    def run_all(ctx: Context[Any]) -> None:
        for number in range(steps):
            ctx.step.run(f"step-{number + 1}", sample, output, number + 1)

    def start(runtime: LocalRuntime) -> int:
        return len(runtime.send(Event("estimate/begin", sample(output))))

    return app, start


# What the same would cost elsewhere, by its published prices


@dataclass(frozen=True, slots=True)
class Peer:
    """One of them: its name, what it charges for the same run, and of what that is made."""

    name: str
    charges: Sequence[Charge]

    @property
    def dollars(self) -> float:
        return total(self.charges)


def peers(counted: Counted, assumed: Assumed) -> list[Peer]:
    """AWS Lambda durable functions: an operation for each execution, attempt of a step and wait; what is written, and
    kept for a month. Step Functions (Standard): a transition for each execution, attempt and wait. Both run the
    attempts on Lambda. What each may need beside it (a trigger, a queue) is left out."""
    runs, attempts, waits = len(counted.runs), counted.attempts, counted.waits
    seconds = attempts * assumed.step / 1000 * assumed.megabytes / 1024
    gigabytes = counted.written / 1e9
    lambda_ = _charge("Lambda GB-seconds", seconds, "lambda_gb_second_arm64")
    return [
        Peer(
            "AWS Lambda durable functions",
            _some(
                _charge("operations", runs + attempts + waits, "aws_durable_operation"),
                _charge("GB written", gigabytes, "aws_durable_gb_written"),
                _charge("GB-months", gigabytes, "aws_durable_gb_month"),
                _charge("Lambda requests", runs + waits, "lambda_request"),
                lambda_,
            ),
        ),
        Peer(
            "Step Functions Standard",
            _some(
                _charge("transitions", runs + attempts + waits, "step_functions_standard_transition"),
                _charge("Lambda requests", attempts, "lambda_request"),
                lambda_,
            ),
        ),
    ]


def break_even(ours: float, theirs: float) -> int | None:
    """From how many runs a month on it is cheaper than elsewhere, what an idle stack costs included; None for never."""
    if theirs <= ours:
        return None
    return int(sum(STANDING.values()) / (theirs - ours)) + 1


def _charge(what: str, count: float, price: str) -> Charge:
    return Charge(what, count, count * PRICES[price])


def _some(*charges: Charge) -> list[Charge]:
    return [charge for charge in charges if charge.count]


def failed(runs: Iterable[Run[Any]]) -> list[Run[Any]]:
    return [run for run in runs if run.status != "completed"]
