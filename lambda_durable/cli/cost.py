"""`lambda-durable cost`: what one run has cost; and what a function will cost at a rate, here and elsewhere."""

from __future__ import annotations

import contextlib
import logging
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from ..app import Durable
from ..costs.journal_bill import Operation, as_plain, bill_of
from ..costs.pricing import LOOKED_UP, STANDING, Charge, total
from ..durations import in_millis, parse_duration
from ..errors import ConfigurationError, DurableError
from ..testing import LocalRuntime
from ..verify import deployed
from ..verify.recording import read_recording
from .deployed import as_one_line
from .display import Display
from .estimate import Assumed, Counted, Peer, Start, break_even, count, failed, peers, sequence
from .event_files import check_wanted, read_events
from .json_data import read_data
from .loading import load_app, load_given
from .plain import write_json
from .remarks import remark
from .run import START
from .usage_error import FailedError, UsageError

MODES: dict[str, Any] = {"stepwise": 1, "auto": "auto", "all": "all"}
"""Values of `steps_per_invocation`."""

HOURS = {"second": 1 / 3600, "minute": 1 / 60, "hour": 1.0, "day": 24.0, "month": 730.0}
"""Of a unit of time. AWS: a month has 730."""

_RATE = re.compile(r"([\d_,]+(?:\.\d+)?)\s*([kM]?)\s*(?:/|a |per )\s*(second|minute|hour|day|month)")


def assumed(step: str, invocation: str, megabytes: int) -> Assumed:
    """Raises UsageError."""
    try:
        return Assumed(
            step=in_millis(parse_duration(step, "--step-time")),
            invocation=in_millis(parse_duration(invocation, "--invocation-time")),
            megabytes=megabytes,
        )
    except ConfigurationError as error:
        raise UsageError(str(error)) from None


# Of one run


def cost_of_run(run_id: str, given: Assumed, *, app: str | None, stack: str | None, as_json: bool) -> None:
    """Print what a run has cost. Raises UsageError and FailedError."""
    with as_one_line(stack):
        world = deployed.world_of(stack, load_given(app))
        recording = read_recording(world, run_id)
    found = bill_of(recording, overhead=given.invocation, megabytes=given.megabytes)
    if as_json:
        write_json(as_plain(run_id, found), sys.stdout)
        return
    display = Display(sys.stdout)
    status = recording.header.status
    display.fields([("run", run_id), ("function", recording.header.function_id), ("status", status.value)])
    display.gap()
    titles = [("step", 28, "dim"), ("kind", 18, "dim"), ("attempts", 8, "dim")]
    display.columns([*titles, *_right("writes", "units", "$")])
    for each in found.operations:
        display.columns(_cells(each))
    display.heading("What it has cost" if status.ended else "What it has cost so far")
    display.bill(found.charges)
    remark(
        "cost",
        "as far as the journal tells; Lambda's time is that of steps which one attempt did, and "
        f"{given.invocation:g} ms an invocation",
    )


def _cells(each: Operation) -> list[tuple[str, int, str]]:
    counts = _right(f"{each.writes:,}", f"{each.write_units:,}", f"{each.dollars:.7f}")
    others = (("S3 object", each.puts), ("schedule", each.schedules), ("event", each.events))
    told = ", ".join(f"{count} {what}{'s' * (count > 1)}" for what, count in others if count)
    first = [(each.id, 28, "bold"), (each.kind, 18, ""), (f"{each.attempts:>8}", 8, "")]
    return [*first, *counts, (told, 0, "dim")]


def _right(*texts: str) -> list[tuple[str, int, str]]:
    return [(f"{text:>10}", 10, "") for text in texts]


# At a rate


def cost_at_rate(
    reference: str | None,
    rate: str,
    given: Assumed,
    *,
    event: Path | None,
    function: str | None,
    data: str | None,
    steps: int | None,
    output_bytes: int,
    as_json: bool,
) -> bool:
    """Print what a function will cost. Whether the runs that were counted completed.

    Raises UsageError and FailedError.
    """
    stdout, monthly = sys.stdout, parse_rate(rate)
    # What the user's code prints must not get among the JSON.
    with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
        logging.getLogger("lambda_durable.failed_runs").setLevel(logging.CRITICAL)  # it is told below
        app, start, begins = _workload(reference, event, function, data, steps, output_bytes)
        try:
            found = {name: count(app, start, mode, begins) for name, mode in MODES.items()}
        except DurableError as error:
            raise FailedError(f"it could not be run: {error}") from None
    first = found["stepwise"]
    if not first.runs:
        raise FailedError("nothing was started, so there is nothing to count")
    others = peers(first, given)
    if as_json:
        write_json(_plain_rate(found, others, given, monthly), stdout)
    else:
        _show(found, others, given, monthly, stdout)
    for run in failed(first.runs):
        why = f": {run.error.type}: {run.error.message}" if run.error is not None else ""
        remark("cost", f"a run of {run.function_id!r} is {run.status}{why}; what was counted is that")
    return not failed(first.runs)


def parse_rate(text: str) -> float:
    """Runs a month. Raises UsageError."""
    found = _RATE.fullmatch(text.strip())
    if found is None:
        raise UsageError(
            f'--rate is a number per time ("1000000/month", "1M/month", "20/second"), and this is {text!r}'
        )
    number = float(found[1].replace(",", "").replace("_", "")) * {"": 1, "k": 1e3, "M": 1e6}[found[2]]
    return number * HOURS["month"] / HOURS[found[3]]


def _workload(
    reference: str | None,
    event: Path | None,
    function: str | None,
    data: str | None,
    steps: int | None,
    output_bytes: int,
) -> tuple[Durable, Start, datetime]:
    """The app, what starts its runs, and when. Raises UsageError."""
    if (reference is None) == (steps is None):
        raise UsageError("name an APP to count, or say how many --steps; not both")
    if reference is None:
        assert steps is not None
        return *sequence(steps, output_bytes), START
    app = load_app(reference)
    if event is not None:
        if function is not None or data is not None:
            raise UsageError("-e says what starts; leave --function and --data out")
        events = read_events(event, start=START, seed=0)
        check_wanted(app, events)
        return app, lambda runtime: len(runtime.send(*events)), min(each.time for each in events)
    names = [name for name in app.functions if "/" not in name]
    if function is None and len(names) > 1:
        raise UsageError(f"say which --function: {', '.join(names)}; or name an event with -e EVENT.json")
    chosen = app.functions.get(function or names[0])
    if chosen is None:
        raise UsageError(f"app {app.id!r} has no function {function!r}; it has {', '.join(names)}")
    given = read_data(data)

    def start(runtime: LocalRuntime) -> int:
        runtime.start(chosen, given)
        return 0

    return app, start, START


def _show(
    found: dict[str, Counted], others: Sequence[Peer], given: Assumed, monthly: float, stream: IO[str]
) -> None:
    display = Display(stream)
    each = {name: counted.charges(given) for name, counted in found.items()}
    for name in ("stepwise", "all"):
        display.heading(f"{name}: one {'run' if len(found[name].runs) == 1 else 'start, of several runs'}")
        display.bill(each[name])
    display.heading(f"{monthly:,.0f} a month")
    ours = [(name, total(charges)) for name, charges in each.items()]
    for name, dollars in [*ours, *((peer.name, peer.dollars) for peer in others)]:
        display.columns(_row(name, dollars * monthly, _beside(name, each, dollars)))
    display.columns(_row("a stack in which nothing happens", sum(STANDING.values()), ", ".join(STANDING)))
    times = f"{given.step:g} ms an attempt, {given.invocation:g} ms an invocation beside it"
    display.columns([(f"  assumed: {times}, {given.megabytes} MB", 0, "dim")])


def _row(name: str, dollars: float, note: str) -> list[tuple[str, int, str]]:
    return [(f"  {name}", 34, ""), (f"${dollars:>14,.2f}", 15, "bold"), (note, 0, "dim")]


def _beside(name: str, each: dict[str, list[Charge]], dollars: float) -> str:
    """From when on ours is cheaper than a peer."""
    if name in each:
        return ""
    from_ = {mode: break_even(total(each[mode]), dollars) for mode in ("stepwise", "all")}
    told = [f"{mode} from {runs:,} on" if runs else f"{mode} never" for mode, runs in from_.items()]
    return f"cheaper: {', '.join(told)}"


def _plain_rate(
    found: dict[str, Counted], others: Sequence[Peer], given: Assumed, monthly: float
) -> dict[str, Any]:
    each = {name: counted.charges(given) for name, counted in found.items()}
    return {
        "a_month": monthly,
        "assumed": asdict(given),
        "modes": {
            name: {
                "dollars": total(charges),
                "dollars_a_month": total(charges) * monthly,
                "invocations": found[name].invocations,
                "charges": [asdict(charge) for charge in charges],
            }
            for name, charges in each.items()
        },
        "peers": {
            peer.name: {
                "dollars": peer.dollars,
                "dollars_a_month": peer.dollars * monthly,
                "charges": [asdict(charge) for charge in peer.charges],
                "break_even": {
                    mode: break_even(total(charges), peer.dollars) for mode, charges in each.items()
                },
            }
            for peer in others
        },
        "standing": STANDING,
        "prices": f"us-east-1, {LOOKED_UP}",
    }
