"""What waits give, sync and async; other functions by their own types; failures by those of their function."""

from __future__ import annotations

from datetime import datetime
from typing import Any, assert_type

from shop import Cart, Receipt, app, count, lock_async

from lambda_durable import (
    AsyncContext,
    Callback,
    CancelOn,
    Context,
    Event,
    Failure,
    Signal,
    Timeouts,
    on_event,
)


@app.function(
    "sell", on_event("ordered", Cart), timeouts=Timeouts(finish="1h"), cancel_on=CancelOn("withdrawn")
)
def sell(ctx: Context[Cart]) -> Receipt:
    raise NotImplementedError


@sell.on_failure
def apologize(ctx: Context[Failure[Cart]]) -> None:
    assert_type(ctx.event.data.event.data, Cart)


@sell.on_failure  # type: ignore[arg-type]
def misunderstood(ctx: Context[Failure[Receipt]]) -> None:
    raise NotImplementedError


def ask(callback: Callback) -> None:
    assert_type(callback.token, str)
    assert_type(callback.deadline, datetime)


async def ask_async(callback: Callback) -> int:
    raise NotImplementedError


def sync(ctx: Context[None], cart: Cart) -> None:
    assert_type(ctx.step.invoke("sell", sell, cart), Receipt)
    assert_type(ctx.step.invoke("sell", "sell", {"sku": "a"}), Any)
    assert_type(ctx.step.wait_for_event("paid", "paid", timeout="1h"), Event[Any] | None)
    assert_type(ctx.step.wait_for_event("paid", ["a", "b"], timeout="1h", model=Cart), Event[Cart] | None)
    assert_type(ctx.step.wait_for_signal("go", "go", timeout="1h"), Signal | None)
    assert_type(ctx.step.send_signal("go", "go", 1), bool)
    assert_type(ctx.step.send_event("tell", Event("told", cart)), list[str])
    assert_type(ctx.step.poll("n", count, until=bool, every="1m", timeout="1h"), int)

    assert_type(ctx.step.wait_for_callback("ask", ask, timeout="1h"), Any)
    assert_type(ctx.step.wait_for_callback("ask", submit=ask, timeout="1h", heartbeat="1m", model=Cart), Cart)

    ctx.step.wait_for_callback("ask", count, timeout="1h")  # type: ignore[arg-type]
    ctx.step.wait_for_callback("ask", ask)  # type: ignore[call-overload]
    ctx.step.invoke("sell", sell, "a cart")  # type: ignore[misc]
    ctx.step.wait_for_event("paid", "paid")  # type: ignore[call-overload]
    ctx.step.wait_for_signal("go", "go", timeout="1h", on_conflict="wait")  # type: ignore[arg-type]


async def asynchronous(ctx: AsyncContext[None], cart: Cart) -> None:
    assert_type(await ctx.step.invoke("sell", sell, cart), Receipt)
    assert_type(await ctx.step.wait_for_event("paid", "paid", timeout="1h", model=Cart), Event[Cart] | None)
    assert_type(await ctx.step.wait_for_signal("go", "go", timeout="1h"), Signal | None)
    claim = await ctx.step.poll("lock", lock_async, "sku", until=bool, every="1m", timeout="1h")
    assert_type(claim.id, str)
    assert_type(await ctx.step.wait_for_callback("ask", ask_async, timeout="1h", model=Cart), Cart)
    assert_type(await ctx.step.wait_for_callback("ask", ask, timeout="1h"), Any)

    await ctx.step.invoke("sell", sell, "a cart")  # type: ignore[misc]
