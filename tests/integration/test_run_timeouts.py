"""`Timeouts`: how long a run may take."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lambda_durable import (
    ConfigurationError,
    Context,
    Durable,
    Event,
    Failure,
    RunFailedError,
    Timeouts,
    on_event,
)
from lambda_durable.testing import Faults, LocalRuntime


@pytest.fixture(params=[1, "all"])
def app(request):
    return Durable("app", steps_per_invocation=request.param)


@pytest.fixture
def told():
    return []


@pytest.fixture
def slow(app, told):
    @app.function("slow", on_event("go"), timeouts=Timeouts(start="10m", finish="1h"))
    def slow(ctx: Context) -> str:
        ctx.step.run("one", int)
        ctx.step.sleep("nap", ctx.event.data.get("nap", "2h"))
        ctx.step.run("two", told.append, "two")
        return "done"

    @slow.on_failure
    def failed(ctx: Context[Failure[dict]]) -> None:
        ctx.step.run("tell", told.append, ctx.event.data.error.type)

    return slow


def test_a_run_that_takes_too_long_fails_in_time(durable, app, slow, told):
    rt = durable(app)
    run = rt.run(slow)

    assert (run.status, run.error.type) == ("failed", "lambda_durable.errors.RunTimeoutError")
    assert "was not over after 1:00:00" in run.error.message
    assert run.ended_at - run.started_at == timedelta(hours=1)
    assert told == ["lambda_durable.errors.RunTimeoutError"]
    with pytest.raises(RunFailedError, match="1:00:00"):
        rt.client.result(run.run_id, timeout="1s")


def test_one_that_does_not_is_left_alone(durable, app, slow, told):
    run = durable(app).run(slow, {"nap": "59m"})
    assert (run.output, told) == ("done", ["two"])


def test_the_time_counts_from_when_it_could_begin(durable, app, slow):
    rt = durable(app)
    begin = rt.now() + timedelta(days=1)
    rt.send(Event("go", {}, time=begin))
    rt.drain()
    run = rt.get(next(rt.runs("slow")).run_id)
    assert (run.status, run.ended_at) == ("failed", begin + timedelta(hours=1))


def test_one_that_does_not_begin_in_time_fails(durable, app, slow):
    class Slow(LocalRuntime):
        def _handle(self, world, delivery, invocation):
            if '"continue"' in delivery.body and self.now() < began + timedelta(minutes=20):
                raise RuntimeError("no capacity")
            super()._handle(world, delivery, invocation)

    rt = Slow(app, lambda_timeout="60s")
    rt._eager = False
    began = rt.now()
    run = rt.run(slow)
    assert "had not begun after 0:10:00" in run.error.message


@pytest.mark.parametrize("seed", range(15))
def test_whatever_happens_it_times_out_once(seed):
    app, told = Durable("app", steps_per_invocation=[1, "all", "auto"][seed % 3]), []

    @app.function("slow", timeouts=Timeouts(finish="3h"))
    def slow(ctx: Context) -> None:
        for n in range(4):
            ctx.step.run(f"step {n}", int)
            ctx.step.sleep(f"nap {n}", "1h")

    @slow.on_failure
    def failed(ctx: Context[Failure[dict]]) -> None:
        ctx.step.run("tell", told.append, ctx.event.data.error.type)

    rt = LocalRuntime(app, faults=Faults() if seed % 2 else Faults(lose=0.2), seed=seed)
    run = rt.run(slow)
    assert (run.status, set(told)) == ("failed", {"lambda_durable.errors.RunTimeoutError"})
    assert len(list(rt.runs("slow/on_failure"))) == 1


@pytest.mark.parametrize(
    "make", [lambda: Timeouts(finish=5), lambda: Timeouts(start="0s"), lambda: Timeouts("x")]
)
def test_bad_timeouts_are_errors_at_once(make):
    with pytest.raises(ConfigurationError, match="Timeouts"):
        make()


def test_timeouts_are_timeouts(app):
    with pytest.raises(ConfigurationError, match="Timeouts"):
        app.function("f", timeouts="1h")(lambda ctx: None)
