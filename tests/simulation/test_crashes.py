"""A crash at every point of small workflows, one a construct: nothing is lost, and little is done twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from lambda_durable import AsyncContext, Context, Durable, Retry, current_step
from lambda_durable.function import Function
from lambda_durable.testing import crash, crash_everywhere
from tests.simulation.traced import TracedRuntime

MODES: list[Any] = [1, "all", "auto"]
app = Durable("crashes", retry=Retry.fixed("5s", 4))


class Runtime(TracedRuntime):
    """What `crash_everywhere` makes here. The latest one is told of the effects."""

    latest: Runtime

    def __init__(self, app: Durable, **options: Any) -> None:
        super().__init__(app, most_invocations=100, **options)
        for path in ("left/x", "hare"):
            self.stub(path, takes="2s")
        for path in ("right/x", "tortoise"):
            self.stub(path, takes="9s")
        Runtime.latest = self


@pytest.fixture(autouse=True)
def traced_runtimes(monkeypatch):
    monkeypatch.setattr(crash, "LocalRuntime", Runtime)


# What the steps do


def effect(*_: Any) -> str:
    info = current_step()
    Runtime.latest.log(info.step_id, info.attempt, True)
    return info.step_id


def second_time() -> str:
    info = current_step()
    Runtime.latest.log(info.step_id, info.attempt, info.attempt > 1)
    if info.attempt == 1:
        raise ConnectionError(info.step_id)
    return info.step_id


# The workflows


@app.function("sequence")
def sequence(ctx: Context[Any]) -> list[str]:
    first = ctx.step.run("a", effect)
    ctx.step.sleep("nap", "3d")
    return [first, ctx.step.run("b", effect)]


@app.function("retry")
async def retry(ctx: AsyncContext[Any]) -> list[str]:
    return [await ctx.step.run("a", second_time), await ctx.step.run("b", effect)]


@app.function("map")
def map_(ctx: Context[Any]) -> list[str]:
    return ctx.step.map("m", effect, [1, 2, 3], max_concurrency=2)


@app.function("parallel")
def parallel(ctx: Context[Any]) -> list[Any]:
    def long() -> list[str]:
        return [ctx.step.run("x", effect), ctx.step.run("y", effect)]

    def short() -> str:
        return ctx.step.run("x", effect)

    return list(ctx.step.parallel("p", long, short))


@app.function("gather")
async def gather(ctx: AsyncContext[Any]) -> list[str]:
    both = await asyncio.gather(ctx.step.run("a", effect), ctx.step.run("b", second_time))
    return [*both, await ctx.step.run("c", effect)]


@app.function("groups")
async def groups(ctx: AsyncContext[Any]) -> list[str]:
    async def side() -> str:
        await ctx.step.sleep("nap", "1h")
        return await ctx.step.run("x", effect)

    return await asyncio.gather(ctx.step.group("left", side), ctx.step.group("right", side))


@app.function("race")
async def race(ctx: AsyncContext[Any]) -> list[str]:
    racers = [asyncio.ensure_future(ctx.step.run(id, effect)) for id in ("tortoise", "hare")]
    done, _ = await asyncio.wait(racers, return_when=asyncio.FIRST_COMPLETED)
    winner = next(racer for racer in racers if racer in done).result()
    return [winner, await ctx.step.run(f"{winner}-won", effect), *[await racer for racer in racers]]


@app.function("at-most-once")
def at_most_once(ctx: Context[Any]) -> list[str]:
    first = ctx.step.options(semantics="at_most_once").run("a", effect)
    return [first, ctx.step.run("b", effect)]


@app.function("at-most-once-per-attempt")
def at_most_once_per_attempt(ctx: Context[Any]) -> list[str]:
    options = ctx.step.options(semantics="at_most_once", retry=Retry.fixed("5s", 3))
    return [options.run("a", second_time), ctx.step.run("b", effect)]


# What must be true of each run


def effects(crashed: Any) -> Counter[tuple[str, int]]:
    """How often each attempt's function was called."""
    return Counter((effect.path, effect.attempt) for effect in crashed.runtime.effects)


def in_flight(crashed: Any) -> set[tuple[str, int]]:
    """The attempts that the invocation that died had made, and not written down."""
    (died,) = [visit for visit in crashed.runtime.visits if visit.error is not None]
    settled = {attempt for attempt, tick in crashed.runtime.settled.items() if tick < died.ended}
    return {
        (effect.path, effect.attempt) for effect in crashed.runtime.effects if effect.visit is died
    } - settled


def outcome(crashed: Any) -> Any:
    run = crashed.run
    steps = {path: (step.kind, step.status, step.attempts, step.output) for path, step in run.steps.items()}
    return run.status, run.output, steps


def all_crashes(function: Function[Any, Any], mode: Any) -> Iterator[tuple[Any, Any]]:
    """The undisturbed run, with each that was crashed. What is true of any run is seen to here."""
    crashes = crash_everywhere(app, function, steps_per_invocation=mode)
    undisturbed = next(crashes)
    assert undisturbed.run.status == "completed"
    assert set(effects(undisturbed).values()) == {1}
    undisturbed.runtime.close()
    for crashed in crashes:
        assert crashed.run.status in ("completed", "failed"), crashed.point
        assert crashed.runtime.dead_letters == [], crashed.point
        for attempt, count in effects(crashed).items():
            assert count <= 1 + (attempt in in_flight(crashed)), (crashed.point, attempt)
        yield undisturbed, crashed
        crashed.runtime.close()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("function", [sequence, retry, map_, parallel, gather, groups], ids=lambda f: f.id)
def test_a_crash_leaves_no_trace_but_what_was_in_flight_done_twice(function, mode):
    for undisturbed, crashed in all_crashes(function, mode):
        assert outcome(crashed) == outcome(undisturbed), crashed.point
        assert effects(crashed).keys() == effects(undisturbed).keys(), crashed.point


@pytest.mark.parametrize("mode", MODES)
def test_a_race_that_is_crashed_has_one_winner(mode):
    for _, crashed in all_crashes(race, mode):
        winner, then, *others = crashed.run.output
        assert winner in ("tortoise", "hare"), crashed.point
        assert (then, others) == (f"{winner}-won", ["tortoise", "hare"]), crashed.point
        assert crashed.run.steps.keys() == {"tortoise", "hare", f"{winner}-won"}, crashed.point
        assert effects(crashed).keys() == {(path, 1) for path in crashed.run.steps}, crashed.point


@pytest.mark.parametrize("mode", MODES)
def test_at_most_once_is_never_twice_and_says_so_where_it_fails(mode):
    failed = 0
    for undisturbed, crashed in all_crashes(at_most_once, mode):
        assert effects(crashed)["a", 1] <= 1, crashed.point
        if crashed.run.status == "completed":
            assert outcome(crashed) == outcome(undisturbed), crashed.point
            assert effects(crashed).keys() == effects(undisturbed).keys(), crashed.point
        else:
            failed += 1
            error = crashed.run.error
            assert (error.type, error.step_id) == ("lambda_durable.errors.StepInterruptedError", "a")
            assert "whether its effect happened is not known" in error.message
            assert ("a", 1) in in_flight(crashed) or not effects(crashed), crashed.point
    assert failed >= 3  # after the claim, and on both sides of the effect


@pytest.mark.parametrize("mode", MODES)
def test_at_most_once_with_retries_is_never_twice_in_an_attempt(mode):
    for undisturbed, crashed in all_crashes(at_most_once_per_attempt, mode):
        done = effects(crashed)
        assert all(count <= 1 for (path, _), count in done.items() if path == "a"), crashed.point
        assert (crashed.run.status, crashed.run.output) == ("completed", ["a", "b"]), crashed.point
        assert crashed.run.steps.keys() == undisturbed.run.steps.keys(), crashed.point
        assert {path for path, _ in done} == {"a", "b"}, crashed.point
