"""`step.poll`: asking until the answer will do."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lambda_durable import (
    AsyncContext,
    ConfigurationError,
    Context,
    Durable,
    Retry,
    StepError,
    StepTimeoutError,
    current_step,
)
from lambda_durable.testing import Faults, LocalRuntime, crash_everywhere


class Oven:
    """Hot after so many looks; on the looks in `broken` it cannot be seen."""

    def __init__(self, hot_after=4, broken=()):
        self.looks, self.attempts, self.hot_after, self.broken = 0, [], hot_after, broken

    def look(self, name):
        self.looks += 1
        self.attempts.append(current_step().attempt)
        if self.looks in self.broken:
            raise OSError("fogged up")
        return {"name": name, "hot": self.looks >= self.hot_after}

    async def look_async(self, name):
        return self.look(name)


def is_hot(seen):
    return seen["hot"]


@pytest.fixture(params=[1, "all", "auto"])
def app(request):
    return Durable("kitchen", steps_per_invocation=request.param, retry=Retry.fixed("10s", 2))


@pytest.fixture(params=["sync", "async"])
def bake(request, app):
    def make(oven, **options):
        options = {"until": is_hot, "every": "5m", "timeout": "1h", **options}
        if request.param == "sync":

            @app.function("bake")
            def bake(ctx: Context) -> object:
                seen = ctx.step.poll("oven", oven.look, "left", **options)
                return [seen["name"], ctx.step.run("after", int)]

            return bake

        @app.function("bake")
        async def bake(ctx: AsyncContext) -> object:
            seen = await ctx.step.poll("oven", oven.look_async, "left", **options)
            return [seen["name"], await ctx.step.run("after", int)]

        return bake

    return make


def test_it_asks_until_the_answer_will_do(durable, app, bake):
    oven = Oven()
    rt = durable(app)
    run = rt.start(bake(oven))
    rt.advance("6m")
    step = rt.get(run.run_id).steps["oven"]
    assert (step.kind, step.status, step.waiting_for.kind) == ("poll", "waiting", "time")
    rt.drain()

    run = rt.get(run.run_id)
    assert (run.output, oven.looks) == (["left", 0], 4)
    assert run.ended_at - run.started_at == timedelta(minutes=15)
    assert run.steps["oven"].output == {"name": "left", "hot": True}


def test_the_last_check_is_at_the_deadline(durable, app, bake):
    oven = Oven(hot_after=4)
    run = durable(app).run(bake(oven, timeout="12m"))
    assert (run.status, oven.looks) == ("completed", 4)
    assert run.ended_at - run.started_at == timedelta(minutes=12)


def test_an_answer_that_never_will_do_is_a_timeout(durable, app, bake):
    oven = Oven(hot_after=99)
    run = durable(app).run(bake(oven, timeout="12m"))
    assert (run.status, oven.looks) == ("failed", 4)
    assert run.error.type == "lambda_durable.errors.StepTimeoutError"
    assert "0:12:00" in run.error.message


def test_the_retry_policy_is_that_of_each_check(durable, app, bake):
    oven = Oven(hot_after=4, broken=(2, 3))  # its second check fails both times
    run = durable(app).run(bake(oven))
    assert (run.status, run.error.type) == ("failed", "OSError")

    oven.looks, oven.attempts, oven.broken, oven.hot_after = 0, [], (2, 4, 6), 7
    run = durable(app).run(app.functions["bake"])
    assert (run.status, oven.attempts) == ("completed", [1, 1, 2, 1, 2, 1, 2])


def test_a_poll_of_a_month_keeps_one_record(durable):
    app = Durable("app", steps_per_invocation=1)
    oven = Oven(hot_after=600)

    @app.function("slow")
    def slow(ctx: Context) -> bool:
        return ctx.step.poll("oven", oven.look, "x", until=is_hot, every="1h", timeout="40d")["hot"]

    rt = durable(app)
    run = rt.run(slow)
    assert run.output is True
    items = rt.aws("dynamodb").scan(TableName="lambda-durable")["Items"]
    assert [item["sk"]["S"] for item in items if item["pk"]["S"] == run.run_id] == ["!", ".oven"]


@pytest.mark.parametrize("mode", [1, "all"])
def test_a_crash_anywhere_costs_a_check_at_most(mode):
    app = Durable("app", steps_per_invocation=mode)
    oven = Oven(hot_after=3)

    @app.function("bake")
    def bake(ctx: Context) -> bool:
        return ctx.step.poll("oven", oven.look, "x", until=is_hot, every="5m", timeout="5h")["hot"]

    for crash in crash_everywhere(app, bake):
        assert (crash.run.status, crash.run.output) == ("completed", True), crash.point
        assert oven.looks <= 4, crash.point
        oven.looks = 0


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_it_ends(seed):
    app = Durable("app", steps_per_invocation=[1, "all", "auto"][seed % 3])
    oven = Oven(hot_after=5)

    @app.function("bake")
    def bake(ctx: Context) -> object:
        try:
            return ctx.step.poll("oven", oven.look, "x", until=is_hot, every="5m", timeout="2d")["hot"]
        except StepTimeoutError:
            return False
        except StepError as error:
            return error.error_type

    rt = LocalRuntime(app, faults=Faults() if seed % 2 else Faults(lose=0.2), seed=seed)
    assert rt.run(bake).output in (True, "lambda_durable.errors.StepInterruptedError")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"until": True}, "until= is a plain function"),
        ({"every": 5}, "every="),
        ({"timeout": "soon"}, "timeout="),
    ],
)
def test_bad_input_is_an_error_at_the_call(durable, options, message):
    app = Durable("app")

    @app.function("f")
    def f(ctx: Context) -> None:
        with pytest.raises(ConfigurationError, match=message):
            ctx.step.poll("p", int, **{"until": bool, "every": "1s", "timeout": "1m", **options})

    assert durable(app).run(f).status == "completed"


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_stub_stands_for_the_function_that_is_polled(durable, kind):
    app = Durable("app")

    async def state_async(order: str) -> str:
        raise AssertionError(order)

    def state(order: str) -> str:
        raise AssertionError(order)

    if kind == "sync":

        @app.function("f")
        def f(ctx: Context) -> str:
            return ctx.step.poll(
                "state", state, "A-1", until=lambda s: s == "A-1 x", every="1m", timeout="1h"
            )
    else:

        @app.function("f")
        async def f(ctx: AsyncContext) -> str:
            return await ctx.step.poll(
                "state", state_async, "A-1", until=lambda s: s == "A-1 x", every="1m", timeout="1h"
            )

    rt = durable(app)
    answers = iter(["", " x"])
    rt.stub("state", lambda order: order + next(answers))
    run = rt.run(f)
    assert (run.output, run.steps["state"].attempts) == ("A-1 x", 2)
