"""Waits while everything crashes, comes twice, late or never."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from lambda_durable import AsyncContext, Context, Durable, Event, RunNotFoundError
from lambda_durable.testing import Faults, LocalRuntime, crash_everywhere

MODES = [1, "all"]


def make(mode):
    app, effects = Durable("app", steps_per_invocation=mode), []

    @app.function("alone")
    def alone(ctx: Context) -> object:
        ctx.step.run("before", effects.append, "before")
        found = ctx.step.wait_for_event("wait", "paid", timeout="1h", match="data.order")
        ctx.step.run("after", effects.append, "after")
        return found and found.data["n"]

    @app.function("beside")
    async def beside(ctx: AsyncContext) -> object:
        async def work() -> None:
            await ctx.step.run("one", effects.append, "one")
            await ctx.step.run("two", effects.append, "two")

        _, found = await asyncio.gather(
            work(), ctx.step.wait_for_event("wait", "paid", timeout="1h", match="data.order")
        )
        await ctx.step.run("after", effects.append, "after")
        return found and found.data["n"]

    @app.function("race")
    async def race(ctx: AsyncContext) -> object:
        wait = asyncio.create_task(ctx.step.wait_for_event("wait", "paid", timeout="1h", match="data.order"))
        nap = asyncio.create_task(ctx.step.sleep("nap", "20m"))
        done, _ = await asyncio.wait({wait, nap}, return_when=asyncio.FIRST_COMPLETED)
        await ctx.step.run("after", effects.append, "after")
        found = wait.result() if wait in done else None
        return found and found.data["n"]

    @app.function("inside")
    async def inside(ctx: AsyncContext) -> object:
        async def within(part: int) -> object:
            found = await ctx.step.wait_for_event("wait", "paid", timeout="1h", match="data.order")
            await ctx.step.run("got", effects.append, f"got {part}")
            return found and found.data["n"]

        return (await ctx.step.map_group("m", within, [1, 2]))[0]

    @app.function("back")
    def back(ctx: Context) -> object:
        if "nap" in ctx.event.data:
            ctx.step.sleep("nap", ctx.event.data["nap"])
        ctx.step.run("before", effects.append, "before")
        found = ctx.step.wait_for_event("wait", "paid", timeout="1h", match="data.order", lookback="1h")
        ctx.step.run("after", effects.append, "after")
        return found and found.data["n"]

    @app.function("all-back")
    async def all_back(ctx: AsyncContext) -> object:
        async def got(part: int) -> object:
            found = await ctx.step.wait_for_event(
                f"wait {part}", "paid", timeout="1h", match="data.order", lookback="1h"
            )
            await ctx.step.run(f"got {part}", effects.append, f"got {part}")
            return found and found.data["n"]

        if "nap" in ctx.event.data:
            await ctx.step.sleep("nap", ctx.event.data["nap"])
        first, _ = await asyncio.gather(got(1), got(2))
        await ctx.step.run("after", effects.append, "after")
        return first

    @app.function("signal")
    def signal(ctx: Context) -> object:
        found = ctx.step.wait_for_signal("wait", "go", timeout="1h")
        ctx.step.run("after", effects.append, "after")
        return found and found.data

    return app, effects


BACK = {"back": 1, "all-back": 2}
NAMES = ["alone", "beside", "race", "inside", "signal"]
DONE = {
    "alone": ["after", "before"],
    "beside": ["after", "one", "two"],
    "race": ["after"],
    "inside": ["got 1", "got 2"],
    "signal": ["after"],
    "back": ["after", "before"],
    "all-back": ["after", "got 1", "got 2"],
}


def tell(rt, name, n):
    if name == "signal":
        rt.client.send_signal("go", n)
    else:
        rt.send(Event("paid", {"order": "x", "n": 0}), Event("paid", {"order": "o", "n": n}))


def tell_each(rt, name):
    """One event for each of its waits."""
    for _ in range(BACK[name]):
        rt.send(Event("paid", {"order": "o", "n": 7}))


def is_waiting(rt, run_id):
    try:
        return any(step.status == "waiting" for step in rt.get(run_id).steps.values())
    except RunNotFoundError:
        return False


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", MODES)
def test_a_crash_anywhere_loses_and_repeats_nothing(name, mode):
    app, effects = make(mode)

    def drive(rt, run):
        rt.advance("0s")
        for _ in range(10):
            if is_waiting(rt, run.run_id):
                break
            rt.advance("5m")
        tell(rt, name, 7)
        rt.drain()

    points = 0
    for crash in crash_everywhere(app, app.functions[name], {"order": "o"}, drive=drive):
        points += 1
        assert crash.run.status == "completed", crash.point
        assert crash.run.output in (7, None), crash.point
        if crash.point is None:
            assert (crash.run.output, sorted(effects)) == (7, DONE[name])
        assert set(effects) == set(DONE[name]), crash.point
        # Those that were in flight are done again: in one invocation, both of `inside`.
        assert all(effects.count(effect) <= 2 for effect in effects), crash.point
        assert len(effects) <= len(DONE[name]) + (2 if (name, mode) == ("inside", "all") else 1), crash.point
        effects.clear()
    assert points > 15


@pytest.mark.parametrize("name", BACK)
@pytest.mark.parametrize("mode", MODES)
def test_what_came_before_its_wait_is_found_whatever_crashes(name, mode):
    app, effects = make(mode)

    def drive(rt, _):
        tell_each(rt, name)
        rt.drain()

    points = 0
    for crash in crash_everywhere(app, app.functions[name], {"order": "o", "nap": "30s"}, drive=drive):
        points += 1
        assert (crash.run.status, crash.run.output) == ("completed", 7), crash.point
        if crash.point is None:
            assert sorted(effects) == DONE[name]
        assert set(effects) == set(DONE[name]), crash.point
        assert all(effects.count(effect) <= 2 for effect in effects), crash.point
        effects.clear()
    assert points > 15


@pytest.mark.parametrize("name", BACK)
@pytest.mark.parametrize("mode", MODES)
def test_an_event_that_comes_as_its_wait_looks_back_repeats_nothing(name, mode):
    """It wakes the run, which must not go on in the invocation that found it, too."""
    for seed in range(60):
        app, effects = make(mode)
        rt = LocalRuntime(app, faults=Faults(interleave=True), seed=seed)
        run = rt.start(app.functions[name], {"order": "o"})
        tell_each(rt, name)
        rt.drain()
        assert rt.get(run.run_id).output == 7, seed
        assert sorted(effects) == DONE[name], seed


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens_a_wait_ends_once_and_the_same_for_all(name, seed):
    random = Random(seed)
    app, effects = make(random.choice([1, 3, "all", "auto"]))
    faults = [Faults(), Faults(duplicate=0.3, late=0.2, interleave=True), Faults(lose=0.2), Faults(crash=0.2)]
    rt = LocalRuntime(app, faults=random.choice(faults), seed=seed)
    run = rt.start(app.functions[name], {"order": "o"})
    for _ in range(3):
        rt.advance(f"{random.randrange(1500)}s")
        tell(rt, name, random.randrange(1, 9))
    rt.drain()

    ended = rt.get(run.run_id)
    assert ended.status == "completed"
    assert set(effects) == set(DONE[name])
    waits = [step for step in ended.steps.values() if step.id.endswith("wait")]
    outputs = {
        step.output and step.output["data"]["n"] if name != "signal" else step.output and step.output["data"]
        for step in waits
        if step.status == "completed"
    }
    if name in ("alone", "beside", "signal"):
        assert outputs == {ended.output}
    assert rt.dead_letters == []


def test_ten_waits_on_other_values_add_nothing(durable):
    def cost(others):
        app, _ = make(1)
        rt = durable(app)
        for number in range(others):
            rt.start(app.functions["alone"], {"order": f"other {number}"})
        run = rt.start(app.functions["alone"], {"order": "o"})
        rt.advance("1m")
        before, read = rt.calls.copy(), rt.usage.items_read
        tell(rt, "alone", 1)
        rt.advance("0s")
        assert rt.get(run.run_id).status == "completed"
        return rt.calls - before, rt.usage.items_read - read

    few, many = cost(0), cost(30)
    assert few == many


def test_what_a_wait_costs(durable):
    app = Durable("app", steps_per_invocation=1)

    @app.function("with")
    def with_wait(ctx: Context) -> None:
        ctx.step.wait_for_event("wait", "paid", timeout="10m")
        ctx.step.run("after", int)

    @app.function("step")
    def with_step(ctx: Context) -> None:
        ctx.step.run("wait", int)
        ctx.step.run("after", int)

    def writes(function):
        rt = durable(app)
        rt.start(function)
        rt.advance("0s")
        before = rt.calls.copy()
        rt.send(Event("paid"))
        sent = rt.calls - before
        rt.drain()
        made = rt.calls - sent
        wrote = sum(made[f"dynamodb:{name}"] for name in ("PutItem", "UpdateItem", "DeleteItem"))
        return wrote - 1, made["sqs:SendMessage"]  # that of the event itself is no wait's

    (waited, messages), (stepped, usual) = writes(with_wait), writes(with_step)
    assert waited - stepped <= 4
    assert messages - usual <= 1  # the one for the time-out; that which goes on a step sends, too


def test_what_came_before_a_wait_could_be_found_ends_it_even_when_its_time_is_over():
    app = Durable("app")

    @app.function("f")
    def function(ctx: Context) -> object:
        found = ctx.step.wait_for_event("w", "shipped", timeout="30s")
        return found and found.data["n"]

    def drive(rt, run):
        for _ in range(2):  # one of them is received by an invocation that lives
            rt.advance("10s")
            rt.send(Event("shipped", {"n": 1}))
        rt.drain()

    for crash in crash_everywhere(app, function, drive=drive):
        in_time = crash.run.steps["w"].started_at < datetime(2025, 1, 1, tzinfo=UTC) + timedelta(seconds=10)
        assert (crash.run.status, crash.run.output) == ("completed", 1 if in_time else None), crash.point
