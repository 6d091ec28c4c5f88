"""The steps of an async handler are coroutines, whether their functions are async or not."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import assert_type

from shop import Claim, app, count, lock, lock_async, notify_async

from lambda_durable import AsyncContext, AsyncStep, Retry, StepError


@app.step
async def charge(amount: int) -> str:
    raise NotImplementedError


def coroutine(ctx: AsyncContext[None]) -> Coroutine[None, None, Claim]:
    return ctx.step.run("lock", lock_async, "sku", 2)


async def run(ctx: AsyncContext[None]) -> None:
    assert_type(await ctx.step.run("lock", lock_async, "sku", 2, urgent=True), Claim)
    assert_type(await ctx.step.run("lock", lock, "sku", 2, urgent=True), Claim)
    assert_type(await ctx.step.run("lambda", lambda: "x"), str)
    assert_type(await ctx.step.run("lambda", lambda: lock_async("x")), Claim)
    assert_type(ctx.step.options(retry=Retry.never()), AsyncStep)
    await ctx.step.run("notify", notify_async, email="a@b.c")

    await ctx.step.run("lock", lock_async, 1)  # type: ignore[call-overload]
    await ctx.step.run("lock", lock, 1)  # type: ignore[call-overload]
    await ctx.step.run("lock", lock_async)  # type: ignore[call-overload]
    await ctx.step.run("lock", lock_async("sku"))  # type: ignore[call-overload]
    ctx.step.run("forgotten", lock, "sku").id  # type: ignore[attr-defined]
    ctx.step.submit("lock", lock, "sku")  # type: ignore[attr-defined]
    ctx.step.parallel("two", count, count)  # type: ignore[attr-defined]


async def side_by_side(ctx: AsyncContext[None]) -> None:
    claim, number = await asyncio.gather(
        ctx.step.run("lock", lock_async, "sku"), ctx.step.run("count", count)
    )
    assert_type(claim, Claim)
    assert_type(number, int)
    claims = await asyncio.gather(*(ctx.step.run("lock", lock_async, sku) for sku in "abc"))
    assert_type(claims, list[Claim])
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(ctx.step.run("lock-2", lock_async, "sku"))
    assert_type(task.result(), Claim)


async def fan_out(ctx: AsyncContext[None], skus: list[str]) -> None:
    assert_type(await ctx.step.map("locks", lock_async, skus), list[Claim])
    assert_type(await ctx.step.map("locks", lock, skus, key=lambda sku: sku.lower()), list[Claim])
    assert_type(
        await ctx.step.map("locks", lock_async, skus, return_exceptions=True), list[Claim | StepError]
    )
    assert_type(await ctx.step.map("locks", lock, skus, return_exceptions=True), list[Claim | StepError])
    assert_type(await ctx.step.map("charges", charge, [1, 2], max_concurrency=2), list[str])
    assert_type(await ctx.step.map_group("locks", lock_async, skus), list[Claim])
    assert_type(
        await ctx.step.map_group("locks", lock_async, skus, return_exceptions=True), list[Claim | StepError]
    )

    await ctx.step.map("locks", lock_async, [1, 2])  # type: ignore[arg-type]
    await ctx.step.map("locks", lock, [1, 2])  # type: ignore[arg-type]
    await ctx.step.map_group("locks", lock, skus)  # type: ignore[arg-type]


async def group(ctx: AsyncContext[None]) -> None:
    async def settle(sku: str) -> Claim:
        return await ctx.step.run("lock", lock, sku)

    assert_type(await ctx.step.group("settle", settle, "a"), Claim)
    await ctx.step.group("settle", settle, 1)  # type: ignore[arg-type]
    await ctx.step.group("settle", lock, "a")  # type: ignore[arg-type]


async def sleep(ctx: AsyncContext[None]) -> None:
    await ctx.step.sleep("a", "3d")
    await ctx.step.sleep("b", 3)  # type: ignore[arg-type]


async def durable_functions(ctx: AsyncContext[None]) -> None:
    assert_type(await charge(3), str)
    assert_type(await ctx.step.run("again", charge, 3), str)
    await charge("3")  # type: ignore[arg-type]
