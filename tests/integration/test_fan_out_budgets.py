"""What many at once cost an invocation: how often it looks at a record of the journal, for each of them."""

import asyncio
from operator import attrgetter

import pytest

from lambda_durable import AsyncContext, Context, Durable
from lambda_durable.engine.operations import Operation
from lambda_durable.testing import LocalRuntime

app = Durable("t")


@app.function("map")
def in_a_map(ctx: Context[int]) -> int:
    return sum(ctx.step.map("m", abs, range(ctx.event.data)))


@app.function("narrow")
def in_a_map_of_five_at_once(ctx: Context[int]) -> int:
    return sum(ctx.step.map("m", abs, range(ctx.event.data), max_concurrency=5))


@app.function("submit")
def submitted(ctx: Context[int]) -> int:
    futures = [ctx.step.submit(f"s{n}", abs, n) for n in range(ctx.event.data)]
    ctx.step.wait(futures)
    return sum(future.result() for future in futures)


@app.function("parallel")
def in_branches(ctx: Context[int]) -> int:
    def branch(n: int) -> int:
        return ctx.step.run("a", abs, n) + ctx.step.run("b", abs, n)

    return sum(ctx.step.map_group("m", branch, range(ctx.event.data)))


@app.function("nested")
def in_fan_outs_of_branches(ctx: Context[int]) -> int:
    def branch(n: int) -> int:
        return sum(ctx.step.map("m", abs, range(3))) + ctx.step.run("b", abs, n)

    return sum(ctx.step.map_group("m", branch, range(ctx.event.data)))


@app.function("gather")
async def gathered(ctx: AsyncContext[int]) -> int:
    return sum(await asyncio.gather(*(ctx.step.run(f"s{n}", abs, n) for n in range(ctx.event.data))))


@app.function("tasks")
async def in_tasks_of_several_steps(ctx: AsyncContext[int]) -> int:
    async def task(n: int) -> int:
        first = await ctx.step.run(f"a{n}", abs, n)
        await ctx.step.sleep(f"z{n}", "1s")
        return first + await ctx.step.run(f"b{n}", abs, n)

    return sum(await asyncio.gather(*(task(n) for n in range(ctx.event.data))))


@app.function("groups")
async def in_groups(ctx: AsyncContext[int]) -> int:
    async def group(n: int) -> int:
        return await ctx.step.run("a", abs, n) + await ctx.step.run("b", abs, n)

    groups = (ctx.step.group(f"g{n}", group, n) for n in range(ctx.event.data))
    return sum(await asyncio.gather(*groups))


@app.function("sleeps")
async def beside_many_that_sleep(ctx: AsyncContext[int]) -> None:
    numbers = range(ctx.event.data)
    sleeps = (ctx.step.sleep(f"z{n}", "1s") for n in numbers)
    await asyncio.gather(*sleeps, *(ctx.step.run(f"s{n}", abs, n) for n in numbers))


@pytest.mark.parametrize("function", app.functions.values(), ids=attrgetter("id"))
def test_what_one_of_many_costs_does_not_grow_with_their_number(function, monkeypatch):
    looks = 0
    record = Operation.record

    def counted(op):
        nonlocal looks
        looks += 1
        return record.fget(op)

    monkeypatch.setattr(Operation, "record", property(counted))

    def cost(many):
        nonlocal looks
        looks = 0
        runtime = LocalRuntime(app, steps_per_invocation="all")
        run = runtime.start(function, many)
        runtime.drain()
        assert runtime.client.get(run.run_id).status == "completed"
        return looks / many

    assert cost(60) <= 1.1 * cost(6)
