"""Fan-outs that run where a wait is open beside them: each of their branches is then handed out by itself, and
whoever brings an outcome back makes room for the next one."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from lambda_durable import AsyncContext, Durable, Event
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
