"""Runs that once got stuck, or ran a step twice, each by what happened to it: one test per bug.

A run is lost if it is still running when nothing is due any more, so each test drains its runtime.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from lambda_durable import AsyncContext, Context, Durable, Event, Retry, StepError
from lambda_durable.runtime.turn import Turn
from lambda_durable.testing import Faults, crash_everywhere

TWICE = Retry(max_attempts=2, initial_delay="1s")
IN_HALF_AN_HOUR = Retry(max_attempts=3, initial_delay="30m", jitter=False)


class Effects(Counter[Any]):
    """How often each step did what it does."""

    def do(self, name: Any) -> Any:
        self[name] += 1
        return name

    def do_at_the_second_attempt(self, name: Any) -> Any:
        if self.do(name) and self[name] == 1:
            raise OSError("once")
        return name

    def all_once(self) -> bool:
        return set(self.values()) == {1}


@pytest.fixture
def effects():
    return Effects()


def kill_in(rt, path, effect=None):
    """Have a step kill its Lambda whenever it runs, as running out of memory does."""

    def die(*args):
        if effect is not None:
            effect(*args)
        rt._simulation.current().crash(f"{path} ran out of memory")

    rt.stub(path, die)


def side_by_side(effects, *branches, steps_per_invocation=1):
    """An app whose run has branches side by side, each with steps one after the other."""
    app = Durable("app", steps_per_invocation=steps_per_invocation)

    @app.function("f")
    async def f(ctx: AsyncContext) -> str:
        async def branch(names):
            for name in names:
                await ctx.step.run(name, effects.do, name)

        await asyncio.gather(*map(branch, branches))
        return "done"

    return app, f


# Steps that were handed out and kill their Lambda


@pytest.mark.parametrize("how", ["killed", "too slow"])
@pytest.mark.parametrize("kind", ["map", "gather", "at_most_once"])
def test_a_handed_out_step_that_kills_its_lambda_every_time_fails(durable, effects, kind, how):
    app = Durable("app", steps_per_invocation=1)

    @app.function("f")
    async def f(ctx: AsyncContext) -> str:
        step = ctx.step.options(retry=TWICE)
        if kind == "at_most_once":
            step = ctx.step.options(retry=Retry(max_attempts=1), semantics="at_most_once")
        try:
            if kind == "map":
                await step.map("m", effects.do, ["a", "b"])
            else:
                await asyncio.gather(step.run("a", effects.do, "a"), step.run("b", effects.do, "b"))
        except StepError as error:
            return str(error)
        return "done"

    rt = durable(app, lambda_timeout="60s")
    killer = "m[0]" if kind == "map" else "a"
    if how == "killed":
        kill_in(rt, killer, effects.do)
    else:
        rt.stub(killer, takes="2h")
    run = rt.run(f)

    assert run.status == "completed"
    assert run.output.startswith(f"step '{killer}' failed")
    assert "StepInterruptedError" in run.output
    assert (run.steps[killer].status, effects["b"]) == ("failed", 1)
    assert effects.all_once() or kind != "at_most_once"


def test_of_a_map_in_many_lanes_one_item_that_kills_its_lambda_fails_alone(durable, effects):
    app = Durable("app", steps_per_invocation=1, retry=TWICE)

    @app.function("f")
    def f(ctx: Context) -> list[Any]:
        everything = ctx.step.map("m", effects.do, range(56), max_concurrency=56, return_exceptions=True)
        return [n for n, result in enumerate(everything) if isinstance(result, StepError)]

    rt = durable(app, lambda_timeout="60s")
    kill_in(rt, "m[50]", effects.do)
    run = rt.run(f)

    assert (run.status, run.output) == ("completed", [50])
    assert {n for n, times in effects.items() if times > 1} <= {50}


@pytest.mark.parametrize("how", ["killed", "too slow"])
@pytest.mark.parametrize("seed", range(2))
def test_a_message_that_was_copied_while_its_lambda_died_is_not_lost(durable, effects, seed, how):
    """The copy finds the step claimed and has nothing to do; that must not delete the message."""
    app = Durable("app", steps_per_invocation=1)

    @app.function("f")
    async def f(ctx: AsyncContext) -> str:
        async def pay():
            await ctx.step.options(semantics="at_most_once", retry=TWICE).run("a", effects.do, "a")

        async def others():
            await ctx.step.run("b", effects.do, "b")
            await ctx.step.run("c", effects.do, "c")

        try:
            await asyncio.gather(pay(), others())
        except StepError as error:
            return str(error)
        return "done"

    rt = durable(app, faults=Faults(duplicate=1), seed=seed, lambda_timeout="60s")
    if how == "killed":
        kill_in(rt, "a", effects.do)
    else:
        rt.stub("a", takes="2h")
    run = rt.run(f)

    assert run.status == "completed"
    assert "StepInterruptedError" in run.output
    assert effects["a"] <= 2


# A handler that raises, or changes its mind


@pytest.mark.parametrize("mode", [1, "auto"])
@pytest.mark.parametrize("kind", ["map", "submit"])
@pytest.mark.parametrize("replay", range(6))
def test_a_handler_that_raises_once_in_any_replay_goes_on(durable, effects, mode, kind, replay):
    app = Durable("app", steps_per_invocation=mode)
    replays = itertools.count()

    @app.function("f")
    def f(ctx: Context) -> list[str]:
        if next(replays) == replay:
            raise ConnectionError("a look-up failed")
        if kind == "map":
            return ctx.step.map("m", effects.do, ["a", "b"])
        futures = [ctx.step.submit(name, effects.do, name) for name in ("a", "b")]
        return [future.result() for future in futures]

    run = durable(app).run(f)

    assert (run.status, run.output) == ("completed", ["a", "b"])
    assert effects.all_once()


def test_a_step_that_runs_while_its_handler_raises_is_not_run_again(durable, effects):
    app = Durable("app", steps_per_invocation="all")
    replays = itertools.count()

    @app.function("f")
    async def f(ctx: AsyncContext) -> str:
        slow = asyncio.create_task(ctx.step.run("slow", effects.do, "slow"))
        await ctx.step.run("quick", effects.do, "quick")
        if next(replays) == 0:
            raise ConnectionError("a look-up failed")
        return await slow

    rt = durable(app)
    rt.stub("slow", takes="5s")
    rt.stub("quick", takes="1s")
    run = rt.run(f)

    assert (run.status, run.output) == ("completed", "slow")
    assert effects.all_once()


@pytest.mark.parametrize("grows", [True, False])
def test_a_map_whose_list_changes_while_its_branches_run_fails_the_run(durable, effects, grows):
    app = Durable("app", steps_per_invocation=1)
    replays = itertools.count()

    @app.function("f")
    def f(ctx: Context) -> list[int]:
        n = next(replays)
        return ctx.step.map("m", effects.do, range(3 + n % 2) if grows else [n, n + 1, n + 2])

    run = durable(app).run(f)

    assert run.status == "failed"
    assert run.error.type == "lambda_durable.errors.DeterminismError"
    assert "map 'm': its list changed between replays" in run.error.message


@pytest.mark.parametrize("fan_out", ["map", "map_group"])
@pytest.mark.parametrize("replay", [1, 2])
def test_a_keyed_map_whose_item_vanishes_while_it_runs_fails_the_run(durable, effects, fan_out, replay):
    app = Durable("app", steps_per_invocation=1)
    replays = itertools.count()

    @app.function("f")
    def f(ctx: Context) -> list[str]:
        def group(name: str) -> str:
            ctx.step.sleep("s", "1h")
            return ctx.step.run("a", effects.do, name)

        items = ["x", "y", "z"] if next(replays) < replay else ["x", "z"]
        if fan_out == "map":
            return ctx.step.map("m", effects.do, items, key=str)
        return ctx.step.map_group("m", group, items, key=str)

    run = durable(app).run(f)

    assert run.status == "failed"
    assert run.error.type == "lambda_durable.errors.DeterminismError"
    assert "'m' had 'm[y]' when it began, and its list no longer has it" in run.error.message
    assert "y" not in effects


def test_a_step_that_was_never_awaited_fails_the_run_and_is_named(durable, effects):
    app = Durable("app")

    @app.function("f")
    async def f(ctx: AsyncContext) -> str:
        mail = ctx.step.run("mail", effects.do, "mail")
        await ctx.step.run("pack", effects.do, "pack")
        return "done" if mail else "never"

    run = durable(app).run(f)

    assert run.status == "failed"
    assert "step 'mail' was called and never awaited" in run.error.message
    assert effects == {"pack": 1}


# Steps that run while others go on


def test_a_branch_whose_step_ends_shortly_before_the_deadline_goes_on(durable, effects):
    app, f = side_by_side(effects, ["a", "c"], ["b", "d"])
    rt = durable(app, lambda_timeout="60s")
    rt.stub("b", takes="55s")
    run = rt.run(f)

    assert run.status == "completed"
    assert effects.all_once()


def test_a_step_that_runs_while_its_invocation_loses_the_lead_is_recorded(durable, effects):
    app, f = side_by_side(effects, ["p", "r", "s"], ["q1", "t"], ["q2"], steps_per_invocation=3)
    rt = durable(app)
    for name, takes in (("p", "1s"), ("q1", "5s"), ("q2", "20s")):
        rt.stub(name, takes=takes)
    run = rt.run(f)

    assert (run.status, run.steps["q2"].status) == ("completed", "completed")
    assert effects.all_once()


def test_a_chain_that_goes_on_above_a_branch_with_an_abandoned_step_runs_its_step_once(durable, effects):
    app = Durable("app", steps_per_invocation=3)

    @app.function("f")
    async def f(ctx: AsyncContext) -> str:
        async def race(n):
            runners = [
                asyncio.create_task(ctx.step.run(name, effects.do, f"{name} {n}"))
                for name in ("quick", "slow")
            ]
            await asyncio.wait(runners, return_when=asyncio.FIRST_COMPLETED)

        await asyncio.gather(*[ctx.step.group(f"g{n}", race, n) for n in range(4)])
        return await ctx.step.run("after", effects.do, "after")

    rt = durable(app)
    for n in range(4):
        rt.stub(f"g{n}/quick", takes="1s")
        rt.stub(f"g{n}/slow", takes="5s")
    rt.stub("after", takes="30s")
    run = rt.run(f)

    assert (run.status, run.output) == ("completed", "after")
    assert effects.all_once()


def test_a_retry_that_is_due_after_its_message_comes_back_survives_any_crash(effects):
    app = Durable("app", steps_per_invocation=1)

    @app.function("f")
    async def f(ctx: AsyncContext) -> str:
        async def flaky():
            step = ctx.step.options(retry=IN_HALF_AN_HOUR)
            await step.run("a", effects.do_at_the_second_attempt, "a")

        async def others():
            await ctx.step.run("b", effects.do, "b")
            await ctx.step.run("c", effects.do, "c")

        await asyncio.gather(flaky(), others())
        return "done"

    for crash in crash_everywhere(app, f):
        assert crash.run.status == "completed", crash.point
        if crash.point == "after scheduler:CreateSchedule #1":
            break  # the retry is on its way
        effects.clear()


def test_a_deploy_without_the_step_that_waits_for_its_retry_goes_on(durable, effects):
    def code(name, do):
        app = Durable("app", steps_per_invocation=1)

        @app.function("f")
        async def f(ctx: AsyncContext) -> str:
            step = ctx.step.options(retry=IN_HALF_AN_HOUR)
            await asyncio.gather(step.run(name, do, name), ctx.step.run("b", effects.do, "b"))
            return "done"

        return app, f

    app, f = code("old", effects.do_at_the_second_attempt)
    rt = durable(app)
    run = rt.start(f)
    rt.advance("5m")
    rt.deploy(code("new", effects.do)[0])
    rt.drain()

    run = rt.get(run.run_id)
    assert run.status == "completed"
    assert (run.steps["old"].status, run.steps["new"].status) == ("cancelled", "completed")


def test_a_waiter_stays_until_who_ended_the_wait_has_woken_its_run():
    app = Durable("app")

    @app.function("f")
    def function(ctx: Context) -> object:
        found = ctx.step.wait_for_event("w", "shipped", timeout="1h")
        return found and found.data["n"]

    def drive(rt, run):
        rt.advance("20m")
        rt.send(Event("shipped", {"n": 1}))
        rt.advance("1m")
        rt.send(Event("shipped", {"n": 2}))  # finds a wait that has ended, and a run that may not know it
        rt.drain()

    for crash in crash_everywhere(app, function, drive=drive):
        assert crash.run.status == "completed", crash.point
        assert crash.run.output in (1, 2), crash.point


@pytest.mark.parametrize("mode", [1, "all"])
def test_who_loses_a_signal_to_another_run_is_told_whatever_crashes(mode):
    app = Durable("app", steps_per_invocation=mode)

    @app.function("first")
    def first(ctx: Context) -> str:
        try:
            ctx.step.wait_for_signal("w", "go", timeout="30d")
        except StepError as error:
            return error.error_type
        return "never"

    @app.function("second")
    def second(ctx: Context) -> bool:
        ctx.step.sleep("nap", "1h")
        return ctx.step.wait_for_signal("w", "go", timeout="1h", on_conflict="replace") is None

    losers = []

    def drive(rt, run):
        losers.append(rt.start(first).run_id)
        rt.drain()

    for crash in crash_everywhere(app, second, drive=drive):
        loser = crash.runtime.get(losers.pop())
        assert (loser.status, loser.output) == ("completed", "lambda_durable.errors.SignalConflictError"), (
            crash.point
        )
        assert (crash.run.status, crash.run.output) == ("completed", True), crash.point


def test_a_sleep_that_ends_while_a_cancel_is_looked_for_is_gone_on_with(durable, effects, monkeypatch):
    app = Durable("app", steps_per_invocation="all")

    @app.function("f")
    def f(ctx: Context) -> None:
        ctx.step.run("a", effects.do, "a")
        ctx.step.sleep("nap", "1s")
        ctx.step.run("b", effects.do, "b")

    rt = durable(app)
    looked = Turn._look_for_cancel

    def look(self: Turn) -> None:
        process = rt._simulation.current()
        assert process is not None
        process.sleep_until(rt.now() + timedelta(seconds=2))
        looked(self)

    monkeypatch.setattr(Turn, "_look_for_cancel", look)
    assert rt.run(f).status == "completed"
    assert effects.all_once()
