"""A crash at every point of small workflows, one a construct: nothing is lost, and little is done twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from lambda_durable import AsyncContext, Context, Durable, Retry, StepError, current_step
from lambda_durable.testing import crash, crash_everywhere
from tests.simulation.traced import TracedRuntime

MODES: list[Any] = [1, "all", "auto"]
app = Durable("crashes", retry=Retry.fixed("5s", 4))


class Runtime(TracedRuntime):
    """What `crash_everywhere` makes. `latest` is told of the effects."""

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


def effect(value: Any = None) -> Any:
    info = current_step()
    Runtime.latest.log(info.step_id, info.attempt, True)
    return info.step_id if value is None else value


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
def map_(ctx: Context[Any]) -> list[int]:
    return ctx.step.map("m", effect, [1, 2, 3], max_concurrency=2)


@app.function("parallel")
def parallel(ctx: Context[Any]) -> list[Any]:
    def branch() -> list[str]:
        return [ctx.step.run("x", effect), ctx.step.run("y", effect)]

    return list(ctx.step.parallel("p", branch, branch))


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


def effects(crash: Any) -> Counter[str]:
    return Counter(effect.path for effect in crash.runtime.effects)


def in_flight(crash: Any) -> set[str]:
    """The steps whose functions the invocation that died had called, and whose outcomes it had not written."""
    (died,) = [visit for visit in crash.runtime.visits if visit.error is not None]
    written = {path for path, tick in crash.runtime.committed.items() if tick <= died.ended}
    return {effect.path for effect in crash.runtime.effects if effect.visit is died} - written
