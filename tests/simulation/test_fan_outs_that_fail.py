"""A branch fails, and those that had begun beside it go on to their end."""

from __future__ import annotations

import asyncio

import pytest

from lambda_durable import AsyncContext, Context, Durable, NonRetriableError, Retry, StepError, current_step

SLOWLY = Retry.fixed("20m", 2)


def second_time():
    if current_step().attempt < 2:
        raise ConnectionError
    return "done"


def fail():
    raise NonRetriableError("no")


def sync_function(mode):
    app = Durable("app", steps_per_invocation=mode)

    @app.function("f")
    def f(ctx: Context) -> str:
        branches = [
            lambda: ctx.step.run("quick", int),
            lambda: ctx.step.run("fails", fail),
            lambda: ctx.step.options(retry=SLOWLY).run("slow", second_time),
            lambda: ctx.step.run("never", int),
        ]
        try:
            ctx.step.parallel("p", *branches, max_concurrency=2)
        except StepError as error:
            return str(error.step_id)
        return "it did not fail"

    return app, f


def async_function(mode):
    app = Durable("app", steps_per_invocation=mode)

    @app.function("f")
    async def f(ctx: AsyncContext) -> str:
        async def branch(index: int) -> None:
            await asyncio.sleep(0)
            if index == 0:
                await ctx.step.run("quick", int)
            elif index == 1:
                await ctx.step.run("fails", fail)
            elif index == 2:
                await ctx.step.options(retry=SLOWLY).run("slow", second_time)
            else:
                await ctx.step.run("never", int)

        try:
            await ctx.step.map_group("p", branch, range(4), max_concurrency=2)
        except StepError as error:
            return str(error.step_id)
        return "it did not fail"

    return app, f


@pytest.mark.parametrize("mode", [1, 3, "all"])
@pytest.mark.parametrize("make", [sync_function, async_function])
def test_a_branch_that_waits_for_its_retry_goes_on_though_another_has_failed(durable, make, mode):
    app, f = make(mode)
    rt = durable(app)
    rt.stub("p[1]/fails", takes="5s")
    run = rt.run(f)
    assert (run.status, run.output) == ("completed", "p[1]/fails")
    slow = run.steps["p[2]/slow"]
    assert (slow.status, slow.attempts, run.steps["p"].ended_at >= slow.ended_at) == ("completed", 2, True)
    assert "p[3]/never" not in run.steps
