"""Runs that are given up by the step that invoked them: they are cancelled, though who gives one up may die between
the two, and another message goes on."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta

import pytest

from lambda_durable import AsyncContext, Context, Durable, StepTimeoutError, Timeouts
from lambda_durable.ports import Outgoing
from lambda_durable.runtime.messages import Continuation
from lambda_durable.testing import crash_everywhere

NAMES = ["alone", "in_a_group", "beside_a_group", "in_branches"]


def make(mode):
    """Functions that wait for 10 minutes for one that takes 2 hours, and what this one did."""
    app, effects = Durable("app", steps_per_invocation=mode), []

    @app.function("slow")
    def slow(ctx: Context) -> None:
        ctx.step.sleep("nap", "2h")
        ctx.step.run("work", effects.append, "work")

    async def ask(ctx: AsyncContext) -> None:
        with suppress(StepTimeoutError):
            await ctx.step.invoke("ask", slow, {}, timeout="10m")

    @app.function("alone")
    async def alone(ctx: AsyncContext) -> None:
        await ask(ctx)

    @app.function("in_a_group")
    async def in_a_group(ctx: AsyncContext) -> None:
        await ctx.step.group("group", lambda: ask(ctx))

    @app.function("beside_a_group")
    async def beside_a_group(ctx: AsyncContext) -> None:
        await asyncio.gather(ask(ctx), ctx.step.group("group", lambda: ask(ctx)))

    @app.function("in_branches")
    async def in_branches(ctx: AsyncContext) -> None:
        await ctx.step.map_group("map", lambda _: ask(ctx), [1, 2])

    return app, effects


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", [1, "all"])
def test_a_crash_anywhere_leaves_none_at_work(name, mode):
    app, effects = make(mode)
    for crash in crash_everywhere(app, app.functions[name], {}):
        assert crash.run.status == "completed", crash.point
        assert effects == [], crash.point


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("count", "end"), [(1, "completed"), (2, "completed"), (1, "cancelled")])
@pytest.mark.parametrize("mode", [1, "all"])
def test_whoever_ends_a_scope_cancels_what_one_that_died_gave_up_in_it(durable, name, count, mode, end):
    app, effects = make(mode)
    left = count  # of the time-outs, as many are written before it dies

    def at_once(process, place):
        process.crash(place)

    def between(process, place):
        nonlocal left
        left -= place.startswith("after dynamodb:PutItem")
        if not left:
            rt._traffic.watch = None
            process.crash(place)

    rt = durable(app)
    run = rt.start(app.functions[name], {})
    rt.advance("9m")
    rt._traffic.watch = at_once  # the wakes come again, before the message that dies between
    rt.advance("61s")
    rt._traffic.watch = between
    rt._queue.send([Outgoing(Continuation(run=run.run_id, generation=20).body())])
    if end == "cancelled":
        rt.advance("1s")
        rt.client.cancel(run.run_id)
    rt.drain()

    assert rt.get(run.run_id).status == end
    assert {child.status for child in rt.runs("slow")} == {"cancelled"}
    assert effects == []


def test_what_is_invoked_as_its_run_comes_to_its_end_is_cancelled_when_its_own_time_is_over(durable):
    app, effects = Durable("app"), []

    @app.function("slow")
    def slow(ctx: Context) -> None:
        ctx.step.sleep("nap", "2h")
        ctx.step.run("work", effects.append, "work")

    @app.function("f", timeouts=Timeouts(finish="60s"))
    def f(ctx: Context) -> None:
        ctx.step.sleep("nap", "59s")
        ctx.step.invoke("ask", slow, {}, timeout="10m")

    def freeze(process, place):
        """Who ends the run has seen nothing that is open, and stands still while that begins."""
        if place == "before dynamodb:PutItem #3":
            process.sleep_until(rt._simulation.now + timedelta(seconds=2))
        elif place == "after dynamodb:Query #2":
            process.sleep_until(rt._simulation.now + timedelta(seconds=30))

    rt = durable(app)
    run = rt.start(f)
    rt.advance("58s")
    rt._traffic.watch = freeze
    rt.drain()
    assert rt.get(run.run_id).status == "failed"
    assert [child.status for child in rt.runs("slow")] == ["cancelled"]
    assert effects == []


@pytest.mark.parametrize(("mode", "reads"), [("all", 2), (1, 3)])
def test_what_was_given_up_costs_one_read_more_where_another_message_ends_its_run(durable, mode, reads):
    app, _ = make(mode)

    @app.function("f")
    def f(ctx: Context) -> None:
        with suppress(StepTimeoutError):
            ctx.step.invoke("ask", "slow", {}, timeout="10m")
        for number in range(3):
            ctx.step.run(f"step {number}", int)

    rt = durable(app)
    rt.run(f)
    assert rt.calls["dynamodb:GetItem"] == reads  # whether the parent still runs, and what is to be cancelled
