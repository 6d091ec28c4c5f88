"""Deploys in the middle of a run."""

from __future__ import annotations

import asyncio

import pytest

from lambda_durable import AsyncContext, Context, Durable, Event, Retry, current_step


def release(ran, *, new):
    app = Durable("app", steps_per_invocation=1)

    def third_time(name):
        ran.append(name)
        if current_step().attempt < 3:
            raise ConnectionError(name)
        return name

    @app.function("f")
    def function(ctx: Context) -> list[str]:
        if new:
            ctx.step.run("new", ran.append, "new")
        beside = ctx.step.submit("beside", str, "beside")
        slow = ctx.step.options(retry=Retry.fixed("20m", 3)).submit("slow", third_time, "slow")
        return [beside.result(), slow.result()]

    return app, function


@pytest.mark.parametrize("minutes", [1, 25])
def test_a_deploy_that_adds_a_step_before_one_that_waits_for_its_retry_goes_on(durable, minutes):
    ran = []
    app, function = release(ran, new=False)
    rt = durable(app)
    run = rt.start(function)
    rt.advance(f"{minutes}m")
    rt.deploy(release(ran, new=True)[0])
    rt.drain()
    run = rt.get(run.run_id)
    assert (run.status, run.output) == ("completed", ["beside", "slow"])
    assert (ran.count("slow"), ran.count("new")) == (3, 1)


def two_waits(*, new):
    app = Durable("app", steps_per_invocation=1)

    @app.function("f")
    async def function(ctx: AsyncContext) -> list[object]:
        if new:
            await ctx.step.run("new", int)

        async def branch() -> None:
            await ctx.step.sleep("nap", "10s")
            await ctx.step.run("beside", int)

        beside = asyncio.create_task(branch())
        paid = await ctx.step.wait_for_event("paid", "paid", timeout="1d")
        await beside
        return [paid.data["n"]]

    return app, function


@pytest.mark.parametrize("timeout", ["60s", "900s"])
@pytest.mark.parametrize("minutes", [0, 1])
def test_a_deploy_that_adds_a_step_before_an_open_wait_goes_on_when_the_event_comes(
    durable, minutes, timeout
):
    app, function = two_waits(new=False)
    rt = durable(app, lambda_timeout=timeout)
    run = rt.start(function)
    rt.advance(f"{minutes}m")
    rt.deploy(two_waits(new=True)[0])
    rt.advance("5m")
    rt.send(Event("paid", {"n": 1}))
    rt.advance("10m" if timeout == "60s" else "40m")
    run = rt.get(run.run_id)
    assert (run.status, run.output) == ("completed", [1])
    assert run.steps["new"].status == "completed"


@pytest.mark.parametrize("deploys", [False, True])
def test_what_a_branch_has_left_behind_is_not_come_back_to_for_ever(durable, deploys):
    """A race is lost, its branch ends, and the loser's retry falls due while the run sleeps for months."""

    def release():
        app = Durable("app", steps_per_invocation=1)

        @app.function("f")
        async def function(ctx: AsyncContext) -> str:
            async def race() -> None:
                slow = asyncio.create_task(ctx.step.options(retry=Retry.fixed("20m", 3)).run("slow", never))
                quick = asyncio.create_task(ctx.step.run("quick", int))
                await asyncio.wait({slow, quick}, return_when=asyncio.FIRST_COMPLETED)
                await ctx.step.run("after", int)

            await ctx.step.map_group("race", lambda _: race(), [1])
            await ctx.step.sleep("long", "90d")
            return "done"

        return app, function

    def never():
        raise ConnectionError

    app, function = release()
    rt = durable(app)
    run = rt.start(function)
    rt.advance("10m")
    if deploys:
        rt.deploy(release()[0])
    rt.drain()
    assert rt.get(run.run_id).output == "done"
    assert rt.invocations < 40


def branches(*, new):
    app = Durable("app", steps_per_invocation=1)

    @app.function("f")
    def function(ctx: Context) -> str:
        if new:
            ctx.step.run("new", int)

        def slow() -> None:
            ctx.step.sleep("nap", "1h")
            ctx.step.run("slow", int)

        ctx.step.parallel("p", slow, lambda: ctx.step.run("quick", int))
        ctx.step.run("after", int)
        return "done"

    return app, function


def test_a_deploy_that_adds_a_step_before_branches_goes_on_when_they_are_joined(durable):
    app, function = branches(new=False)
    rt = durable(app)
    run = rt.start(function)
    rt.advance("10m")
    rt.deploy(branches(new=True)[0])
    rt.advance("55m")
    run = rt.get(run.run_id)
    assert (run.status, run.output) == ("completed", "done")


def tasks(beside, *, new):
    app = Durable("app", steps_per_invocation=1)

    @app.function("f")
    async def function(ctx: AsyncContext) -> str:
        async def first() -> None:
            if new:
                await ctx.step.run("new", int)
            await ctx.step.options(retry=Retry.fixed("20m", 2)).run("slow", second_time)

        async def second() -> None:
            await ctx.step.wait_for_event("paid", "paid", timeout="1d")
            if beside == "a step":  # then both are handed out
                await ctx.step.run("beside", int)
            await ctx.step.sleep("nap", "1h")

        await asyncio.gather(first(), second())
        return "done"

    return app, function


def second_time():
    if current_step().attempt < 2:
        raise ConnectionError


@pytest.mark.parametrize("beside", ["a step", "a sleep"])
def test_who_works_on_a_step_alone_learns_that_a_new_one_before_it_is_done(durable, beside):
    app, function = tasks(beside, new=False)
    rt = durable(app)
    run = rt.start(function)
    rt.advance("1m")
    rt.deploy(tasks(beside, new=True)[0])
    rt.send(Event("paid", {}))
    rt.advance("2h")
    run = rt.get(run.run_id)
    assert (run.status, run.steps["slow"].attempts) == ("completed", 2)
    assert rt.invocations < 20
