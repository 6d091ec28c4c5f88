"""What flow control costs, counted: writes, reads and messages beyond those of a run without it."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import pytest

from lambda_durable import (
    Batch,
    Concurrency,
    Context,
    Debounce,
    Durable,
    Event,
    Idempotency,
    Priority,
    RateLimit,
    Singleton,
    Throttle,
    on_event,
)
from lambda_durable.aws.sizes import item_size
from lambda_durable.pauses import Pauses
from lambda_durable.testing import LocalRuntime

STEPS = 3


class Cost(NamedTuple):
    write_units: float
    read_units: float
    messages: float
    invocations: float


def cost(runs=1, mode=1, *, steps=STEPS, takes="0s", **options):
    """Of one of so many runs, which come at once."""
    app = Durable("t", steps_per_invocation=mode)

    @app.function("f", on_event("job"), **options)
    def f(ctx: Context[int]) -> None:
        for n in range(steps):
            ctx.step.run(f"s{n}", int)

    rt = LocalRuntime(app)
    for n in range(steps):
        rt.stub(f"s{n}", int, takes=takes)
    rt.send(
        *(Event("job", n, id=f"e{n}") for n in range(runs))
    )  # by which runs of one moment stand in a line
    rt.drain()
    calls, usage, invocations = Counter(rt.calls), rt.usage, rt.invocations
    found = Cost(
        usage.write_units / runs,
        usage.read_units / runs,
        (calls["sqs:SendMessage"] + calls["sqs:SendMessageBatch"]) / runs,
        invocations / runs,
    )
    assert [run.status for run in rt.runs()] == ["completed"] * runs
    return found


def more(runs=1, mode=1, **options):
    with_it, without = cost(runs, mode, **options), cost(runs, mode)
    return Cost(*(round(one - other, 1) for one, other in zip(with_it, without, strict=True)))


def test_what_decides_nothing_costs_nothing():
    assert more(priority=Priority("data")) == (0, 0, 0, 0)


@pytest.mark.parametrize(("mode", "invocations"), [(1, STEPS), ("all", 1)])
def test_slots_are_two_writes_an_invocation(mode, invocations):
    assert more(mode=mode, concurrency=Concurrency(2)) == (2 * invocations, 0, 0, 0)


def test_two_slots_are_one_transaction_and_two_writes():
    assert more(concurrency=[Concurrency(2), Concurrency(1, key="data")]) == (6 * STEPS, 0, 0, 0)


@pytest.mark.parametrize(
    "options",
    [{"concurrency": Concurrency(2, counts="runs")}, {"singleton": Singleton()}],
    ids=["concurrency", "singleton"],
)
def test_a_run_passes_a_gate_with_its_header_and_the_last_takes_it_away(options):
    assert more(**options) == (6, 1, 0, 0)


@pytest.mark.parametrize(
    "options",
    [
        {"throttle": Throttle(1, "1s")},
        {"rate_limit": RateLimit(1, "1s")},
        {"idempotency": Idempotency("data")},
    ],
    ids=["throttle", "rate limit", "idempotency"],
)
def test_a_pace_and_a_name_are_one_transaction(options):
    assert more(**options) == (4, 1, 0, 0)


RUNS, STEP = {"counts": "runs"}, {"steps": 1, "takes": "2s"}


@pytest.mark.parametrize(
    ("options", "units"),
    [
        ({"concurrency": Concurrency(1)}, Cost(11, 4, 1, 1)),
        ({"concurrency": [Concurrency(1), Concurrency(1, key="data")]}, Cost(17, 4, 1, 1)),
        ({"concurrency": Concurrency(1, **RUNS)}, Cost(14, 7, 1, 1)),
        ({"concurrency": [Concurrency(1, **RUNS), Concurrency(1, key="data", **RUNS)]}, Cost(18, 8, 1, 1)),
        ({"throttle": Throttle(1, "10s")}, Cost(13, 6, 1, 1)),
        ({"throttle": Throttle(1, "1h")}, Cost(14, 10, 1, 2)),  # with a schedule, which comes early
    ],
    ids=["slot", "two slots", "run", "run, two limits", "pace", "pace, an hour"],
)
def test_who_waits_pays_as_much_as_whoever_waits_before(options, units):
    """Beyond what a run costs that nothing limits."""

    def total(runs):
        each = zip(cost(runs, "all", **STEP, **options), cost(runs, "all", **STEP), strict=True)
        return [runs * (one - other) for one, other in each]

    before, after = total(6), total(7)
    assert Cost(*(round(one - other) for one, other in zip(after, before, strict=True))) == units


@pytest.mark.parametrize(("limit", "units"), [(20, 1), (100, 4)])
def test_a_write_of_a_gate_costs_what_the_size_of_its_limit_makes_it(limit, units):
    app = Durable("t", steps_per_invocation=1)

    @app.function("checkout", on_event("job"), concurrency=Concurrency(limit, key="data.customer"))
    def f(ctx: Context[dict]) -> None:
        ctx.step.run("work", int)

    rt = LocalRuntime(app)
    rt.stub("work", int, takes="30s")
    rt.send(*(Event("job", {"customer": "c-1"}) for _ in range(limit + 1)))
    rt.advance("10s")
    (table,) = rt._cloud.tables().values()
    items = [item.to_json()["Attributes"] for item in table.all_items()]
    (gate,) = (item for item in items if item["pk"]["S"].startswith("q#") and item["sk"]["S"] == "!")
    assert (gate["n"]["N"], gate["w"]["N"]) == (str(limit), "1")
    assert 1024 * (units - 1) < item_size(gate) <= 1024 * units


@pytest.mark.parametrize("mode", [1, "all"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"concurrency": [Concurrency(1), Concurrency(1, key="data.who")]},
        {"concurrency": Concurrency(1, key="data.who", counts="runs"), "throttle": Throttle(1, "10s")},
        {"singleton": Singleton(mode="cancel"), "priority": Priority("data.n")},
        {"debounce": Debounce("5s")},
        {"batch": Batch(1, "5s")},
    ],
    ids=["none", "slots", "runs", "singleton", "debounce", "batch"],
)
def test_a_large_event_is_read_from_the_bucket_once_in_an_invocation(options, mode):
    app = Durable("t", steps_per_invocation=mode)

    @app.function("f", on_event("job"), **options)
    def f(ctx: Context[dict]) -> None:
        for n in range(STEPS):
            ctx.step.run(f"s{n}", int)

    rt = LocalRuntime(app)
    for n in range(STEPS):
        rt.stub(f"s{n}", int, takes="2s")
    rt.send(*(Event("job", {"who": "a", "n": n, "text": "x" * 50_000}) for n in range(4)))
    rt.drain()
    assert {run.status for run in rt.runs()} <= {"completed", "cancelled"}
    begun_here = not options and mode == "all"  # with what was put there just before
    assert (not begun_here) <= rt.calls["s3:GetObject"] <= rt.invocations


@pytest.mark.parametrize("pauses", [False, True])
def test_a_process_looks_for_pauses_once_in_ten_seconds_at_work_and_never_at_rest(pauses):
    app = Durable("t", steps_per_invocation=1)

    @app.function("f")
    def f(ctx: Context[dict]) -> None:
        for n in range(60):
            ctx.step.run(f"s{n}", int)
        ctx.step.sleep("nap", "3d")

    @app.function("other")
    def other(ctx: Context[dict]) -> None:
        pass

    rt = LocalRuntime(app)
    rt._pauses = Pauses()  # as in a worker: a LocalRuntime looks for none before the first
    if pauses:
        rt.client.pause(other)
    for n in range(60):
        rt.stub(f"s{n}", int, takes="500ms")
    before = rt.calls["dynamodb:GetItem"]
    rt.start(f)
    rt.advance("31s")
    assert rt.invocations >= 60
    assert rt.calls["dynamodb:GetItem"] - before == 3  # each of them half a read unit
    rt.advance("2d")
    assert rt.calls["dynamodb:GetItem"] - before == 3
