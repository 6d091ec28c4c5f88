"""What must be true after a run is over: nothing of it is left, and nothing that comes late does anything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from random import Random
from typing import Any

from lambda_durable import CallbackTokenError, Event
from lambda_durable.aws import waiters
from lambda_durable.runtime.arrivals import CANCEL
from lambda_durable.testing import LocalRuntime
from tests.simulation.checks import Case
from tests.simulation.outside import EVENTS, KEY, SIGNALS, STOPPED, TABLE, Transact
from tests.simulation.state import TABLE_NAME

LATEST = timedelta(hours=20)
"""How long after it was received a message may come once more. An event that comes later is another one."""

MOST = 25


def aftermath(case: Case, tokens: Sequence[str]) -> list[str]:
    """Look at what is left; then let come what can come late, and see that nothing happens."""
    return [
        *(f"nothing_is_left: {text}" for text in _left(case)),
        *(f"what_comes_late_does_nothing: {text}" for text in _late(case, tokens)),
    ]


def items_of(runtime: LocalRuntime) -> Iterator[dict[str, Any]]:
    """All that is in the table."""
    for partition in runtime._cloud.tables()[TABLE_NAME].items.values():
        for found in partition.values():
            yield found.to_json()["Attributes"]


def _left(case: Case) -> Iterator[str]:
    runtime = case.runtime
    for item in items_of(runtime):
        pk, sk = item["pk"]["S"], item["sk"]["S"]
        if pk.startswith("k#") or (pk.startswith("w#") and sk == waiters.PATHS):
            continue
        if "x" not in item:
            yield f"{pk} {sk} never expires"
        if pk.startswith("w#") and item["p"]["S"].startswith(CANCEL):
            yield f"{pk} {sk} would cancel a run that is over"
        # Who died between the two left it, or a branch's invocation that registered it while the run ended. It
        # wakes nobody, and expires.
        late = case.can_die or (case.faults is not None and case.faults.interleave)
        if pk.startswith(("w#", "s#")) and (
            not late or (not case.can_die and _is_over(case, item["p"]["S"]))
        ):
            yield f"{pk} {sk} is left of a wait that is over"


def _is_over(case: Case, path: str) -> bool:
    step = case.run.steps.get(path)
    return step is not None and step.status in ("completed", "failed")


def _late(case: Case, tokens: Sequence[str]) -> Iterator[str]:
    runtime = case.runtime
    runtime.calm_down()
    before = _everything(case)
    recent = [visit for visit in runtime.visits if visit.time > runtime.now() - LATEST and not visit.inner]
    for visit in Random(len(recent)).sample(recent, min(MOST, len(recent))):
        runtime.deliver_again(visit)
    for name in (*EVENTS, STOPPED):
        runtime.send(Event(name, {"key": KEY, "n": -1}))
    for signal in SIGNALS:
        runtime.client.send_signal(signal, -1)
    for token in tokens:
        with suppress(CallbackTokenError):  # its run has expired
            if runtime.client.complete_callback(token, -1):
                yield "a callback was completed after the end"
    runtime.drain()
    after = _everything(case)
    for what, then, now in zip(
        ("the run", "effects", "other runs", "the user's table"), before, after, strict=True
    ):
        if then != now:
            yield f"{what} changed from\n      {then}\n    to\n      {now}"
    for letter in runtime.dead_letters:
        yield f"a dead letter: {letter}"
    there = {run.run_id: run for run in runtime.all_runs()}
    if (listed := {run.run_id: run for run in runtime.runs(limit=1000)}) != there:
        yield f"lists have {listed}, and the table {there}"


def _everything(case: Case) -> tuple[object, ...]:
    runtime = case.runtime
    run = runtime.last_seen()
    table: object = None
    if any(isinstance(node, Transact) for node in case.workflow.everything().nodes.values()):
        table = runtime.aws("dynamodb").scan(TableName=TABLE["TableName"])["Items"]
    others = sorted((other.run_id, other.status) for other in runtime.other_runs())
    return run.model_dump(exclude={"steps"}), (len(runtime.effects), tuple(runtime.undos)), others, table
