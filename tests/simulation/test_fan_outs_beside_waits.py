"""Fan-outs that run where a wait is open beside them: each of their branches is then handed out by itself, and
whoever brings an outcome back makes room for the next one."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from lambda_durable import AsyncContext, Durable, Event, Retry
from lambda_durable.testing import crash_everywhere

SLOW = {"m[0]": "100s", "m[0]/step": "100s"}


def beside_a_wait(kind, ran, *, width=1):
    """An app whose run has a fan-out of three, and a group beside it that goes on once an event has come."""
    app = Durable("app", steps_per_invocation="all")

    def one(item):
        ran[item] += 1
        return item

    @app.function("f")
    async def f(ctx: AsyncContext) -> list[int]:
        async def branch(item):
            return await ctx.step.run("step", one, item)

        async def group():
            await ctx.step.wait_for_event("w", "go", timeout="1h")
            await ctx.step.run("s", one, "s")

        fan_out = (
            ctx.step.map("m", one, range(3), max_concurrency=width)
            if kind == "map"
            else ctx.step.map_group("m", branch, range(3), max_concurrency=width)
        )
        return (await asyncio.gather(fan_out, ctx.step.group("g", group)))[0]

    return app, f


@pytest.mark.parametrize("kind", ["map", "map_group"])
def test_a_branch_makes_room_for_the_next_though_others_have_gone_on_meanwhile(durable, kind):
    ran = Counter()
    app, f = beside_a_wait(kind, ran)
    rt = durable(app)
    for path, takes in SLOW.items():
        rt.stub(path, takes=takes)
    run = rt.start(f)
    rt.advance("1s")
    rt.send(Event("go", {}))
    rt.drain()

    assert rt.get(run.run_id).output == [0, 1, 2]
    assert ran == {0: 1, 1: 1, 2: 1, "s": 1}


@pytest.mark.parametrize("kind", ["map", "map_group"])
def test_branches_that_end_at_once_make_room_once(durable, kind):
    ran = Counter()
    app, f = beside_a_wait(kind, ran, width=2)
    rt = durable(app)
    rt.stub("m[0]" if kind == "map" else "m[0]/step", takes="10s")
    rt.stub("m[1]" if kind == "map" else "m[1]/step", takes="10s")
    run = rt.start(f)
    rt.advance("1s")
    rt.send(Event("go", {}))
    rt.drain()

    assert rt.get(run.run_id).output == [0, 1, 2]
    assert ran == {0: 1, 1: 1, 2: 1, "s": 1}


@pytest.mark.parametrize("kind", ["map", "map_group"])
def test_room_is_made_whatever_crashes(kind):
    app, f = beside_a_wait(kind, Counter())

    def drive(rt, run):
        for path, takes in SLOW.items():
            rt.stub(path, takes=takes)
        rt.advance("1s")
        rt.send(Event("go", {}))
        rt.drain()

    for crash in crash_everywhere(app, f, drive=drive):
        assert (crash.run.status, crash.run.output) == ("completed", [0, 1, 2]), crash.point


def test_a_step_that_runs_on_while_its_run_is_loaded_again_is_retried_when_it_is_due(durable):
    """Beside it a race ends in another invocation, so this one loads the run anew with the step under way."""
    app = Durable("app", steps_per_invocation="all")
    tries = []

    def fails_first():
        tries.append(1)
        if len(tries) == 1:
            raise ValueError

    @app.function("f")
    async def f(ctx: AsyncContext) -> None:
        async def waits():
            await ctx.step.run("first", int)
            await ctx.step.wait_for_signal("w", "stop", timeout="1h")

        async def races():
            slow = asyncio.ensure_future(ctx.step.run("slow", int))
            nap = asyncio.ensure_future(ctx.step.sleep("nap", "1s"))
            done, _ = await asyncio.wait([slow, nap], return_when=asyncio.FIRST_COMPLETED)
            await ctx.step.run("slow won" if slow in done else "nap won", int)
            await asyncio.gather(slow, nap)

        undoable = ctx.step.options(undo=lambda _: None, retry=Retry.fixed("5s", 3))
        await asyncio.gather(
            ctx.step.group("a", waits), ctx.step.group("b", races), undoable.run("c", fails_first)
        )

    rt = durable(app)
    rt.stub("b/slow", takes="1s")
    rt.stub("c", takes="2s")
    run = rt.start(f)
    rt.advance("30s")
    assert rt.get(run.run_id).steps["c"].status == "completed"
    rt.drain()
    assert rt.get(run.run_id).status == "completed"
