"""LocalRuntime, as a user's test has it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from lambda_durable import (
    AsyncContext,
    ConfigurationError,
    Context,
    Durable,
    Event,
    RunTimeoutError,
    on_event,
)
from lambda_durable.testing import Faults, LocalRuntime, crash_everywhere

START = datetime(2025, 1, 1, tzinfo=UTC)
app = Durable("shop")


def double(n: int) -> int:
    return 2 * n


@app.function("order", on_event("shop/order"))
def order(ctx: Context[dict]) -> int:
    charged = ctx.step.run("charge", double, 21)
    ctx.step.sleep("cool-off", "3d")
    return ctx.step.run("confirm", double, charged)


@app.function("race")
async def race(ctx: AsyncContext[dict]) -> list[int]:
    return await asyncio.gather(ctx.step.run("a", double, 1), ctx.step.run("b", double, 2))


def test_a_run_of_days_goes_to_its_end(durable):
    rt = durable(app)
    run = rt.run(order)

    assert (run.status, run.output) == ("completed", 84)
    assert run.steps["charge"].attempts == 1
    assert rt.now() == START + timedelta(days=3)
    assert rt.calls["scheduler:CreateSchedule"] == 1
    assert rt.invocations == rt.calls["sqs:SendMessage"] + 1
    assert rt.usage.write_units >= 5
    assert rt.dead_letters == []
    assert [found.run_id for found in rt.runs()] == [run.run_id]


def test_starting_only_enqueues_and_time_is_advanced_by_hand(durable):
    rt = durable(app, start=datetime(2030, 6, 1, 12, tzinfo=UTC))
    run = rt.start(order)
    assert rt.invocations == 0
    rt.advance("0s")
    assert rt.get(run.run_id).steps["cool-off"].status == "waiting"
    rt.advance("2d")
    assert rt.get(run.run_id).status == "running"
    rt.advance("1d")
    assert rt.get(run.run_id).status == "completed"
    assert rt.now() == datetime(2030, 6, 4, 12, tzinfo=UTC)


def test_an_event_starts_its_function(durable):
    rt = durable(app)
    assert rt.send(Event("shop/order", {"n": 1}, id="e-1")) == ["e-1"]
    rt.drain()
    (found,) = rt.runs(order, status="completed")
    assert rt.get(found.run_id).output == 84


def test_a_stub_takes_the_place_of_a_function(durable):
    rt = durable(app)
    rt.stub("charge", lambda n: n + 1)
    assert rt.run(order).output == 44


def test_steps_that_take_time_overlap(durable):
    rt = durable(app, steps_per_invocation="all")
    rt.stub("a", takes="60s")
    rt.stub("b", takes="90s")
    run = rt.run(race)
    assert run.output == [2, 4]
    assert rt.now() == START + timedelta(seconds=90)


def test_waiting_for_a_result_lets_time_pass(durable):
    rt = durable(app)
    run = rt.start(order)
    with pytest.raises(RunTimeoutError):
        rt.client.result(run.run_id, timeout="1d")
    assert rt.now() == START + timedelta(days=1)
    assert rt.client.result(run.run_id, timeout="9d") == 84
    assert rt.now() == START + timedelta(days=3)


def test_a_deploy_changes_the_code_and_not_the_state(durable):
    newer = Durable("shop")

    @newer.function("order")
    def order_anew(ctx: Context[dict]) -> str:
        charged = ctx.step.run("charge", double, 0)
        ctx.step.sleep("cool-off", "3d")
        return f"charged {charged}"

    rt = durable(app)
    run = rt.start(order)
    rt.advance("1d")
    rt.deploy(newer)
    rt.drain()
    assert rt.get(run.run_id).output == "charged 42"


def trace(seed, faults):
    rt = LocalRuntime(app, seed=seed, faults=faults)
    runs = [rt.start(order), rt.start(race)]
    rt.drain()
    done = [rt.get(run.run_id) for run in runs]
    assert [run.output for run in done] == [84, [2, 4]]
    assert rt.dead_letters == []
    return done, rt.now(), rt.invocations, rt.calls, rt.usage


@pytest.mark.parametrize("seed", range(5))
def test_under_faults_the_outcome_is_the_same_and_so_is_the_run_of_a_seed(seed):
    assert trace(seed, Faults()) == trace(seed, Faults())


def test_a_real_function_survives_a_crash_at_every_point():
    crashes = list(crash_everywhere(app, order))
    assert len(crashes) > 20
    assert all((crash.run.status, crash.run.output) == ("completed", 84) for crash in crashes)
    assert len({crash.point for crash in crashes}) == len(crashes)


def test_what_makes_no_sense_is_refused_at_once(durable):
    with pytest.raises(ConfigurationError):
        durable(app, steps_per_invocation="some")
    with pytest.raises(ConfigurationError, match="time zone"):
        durable(app, start=datetime(2025, 1, 1))
    with pytest.raises(ConfigurationError, match="advance"):
        durable(app).advance(5)
