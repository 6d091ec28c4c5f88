"""Two messages that both drive a run on: who was overtaken starts nothing more, and the other one sees to the rest."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lambda_durable import AsyncContext, Context, Durable
from lambda_durable.ports import Outgoing
from lambda_durable.runtime.messages import Continuation
from lambda_durable.testing import Faults


@pytest.mark.parametrize("seed", range(40))
def test_who_leads_goes_on_with_what_one_that_was_overtaken_has_done(durable, seed):
    app = Durable("app", steps_per_invocation="all")

    @app.function("f")
    async def f(ctx: AsyncContext) -> str:
        once = ctx.step.options(semantics="at_most_once")
        steps: list[Any] = [once.run("first", int), ctx.step.run("beside", int), once.run("slow", int)]
        await asyncio.gather(*steps)
        return "done"

    rt = durable(app, faults=Faults(duplicate=0.5, interleave=True), seed=seed)
    rt.stub("slow", takes="2s")
    rt.stub("first", takes="1s")
    assert rt.run(f).output == "done"


@pytest.mark.parametrize("seed", range(20))
def test_who_was_overtaken_ends_nothing_in_the_place_of_who_leads(durable, seed):
    app = Durable("app", steps_per_invocation="all")

    @app.function("f")
    async def f(ctx: AsyncContext) -> str:
        async def nothing(*_: object) -> None:
            pass

        for number in range(4):
            await ctx.step.sleep(f"nap {number}", "1h")
            await ctx.step.map_group(f"map {number}", nothing, [])
            await ctx.step.group(f"group {number}", nothing)
        return "done"

    rt = durable(app, faults=Faults(duplicate=0.4, lose_response=0.2), seed=seed)
    assert rt.run(f).output == "done"


@pytest.mark.parametrize("seed", range(10))
def test_two_messages_that_stand_for_one_do_not_both_begin_what_is_to_happen_once(durable, seed):
    app, ran = Durable("app", steps_per_invocation="all"), []

    def dies_once():
        ran.append("first")
        if ran == ["first"]:
            rt._simulation.current().crash("out of memory")

    @app.function("f")
    def f(ctx: Context) -> None:
        ctx.step.run("first", dies_once)
        ctx.step.options(semantics="at_most_once").run("once", ran.append, "once")

    rt = durable(app, faults=Faults(interleave=True), seed=seed)
    run = rt.start(f)
    rt.advance("1s")
    stand_in = Continuation(run=run.run_id, generation=1, stands_for="0123456789ab").body()
    rt._queue.send([Outgoing(stand_in), Outgoing(stand_in)])
    rt.drain()
    assert ran.count("once") == 1
    assert rt.get(run.run_id).status == "completed"
