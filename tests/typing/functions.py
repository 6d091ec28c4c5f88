"""Triggers say what a handler's data is; handlers say what a run's output is."""

from __future__ import annotations

from typing import Any, assert_type

from shop import Cart, Receipt, app

from lambda_durable import (
    AsyncContext,
    Client,
    Context,
    Event,
    Function,
    Retry,
    Run,
    Schedule,
    cron,
    every,
    on_event,
)


@app.function("checkout", on_event("store/checkout.completed", Cart), retry=Retry(max_attempts=3))
def checkout(ctx: Context[Cart]) -> Receipt:
    assert_type(ctx.event, Event[Cart])
    assert_type(ctx.event.data, Cart)
    assert_type(ctx.events[0].data, Cart)
    return Receipt(claim=ctx.event.data.sku)


@app.function("checkout-async", on_event("store/checkout.completed", Cart))
async def checkout_async(ctx: AsyncContext[Cart]) -> Receipt:
    assert_type(ctx.event.data, Cart)
    return Receipt(claim="")


@app.function("endless")
def endless(ctx: Context[Cart]) -> int:
    if ctx.event.data.count:
        ctx.continue_as_new("a cart")  # type: ignore[arg-type]
    ctx.continue_as_new(ctx.event.data)
    return "never reached, so no error"


@app.function("untyped", on_event("store/*"))
def untyped(ctx: Context[Any]) -> None:
    assert_type(ctx.event.data, Any)


@app.function("several", [on_event("store/a", Cart), on_event("store/b")])
def several(ctx: Context[Cart]) -> int:
    return ctx.event.data.count


@app.function("scheduled", cron("0 9 * * MON-FRI", timezone="Europe/Paris", jitter="5m"))
def scheduled(ctx: Context[Schedule]) -> str:
    assert_type(ctx.event, Event[Schedule])
    return ctx.event.data.schedule


@app.function("both", [on_event("store/a", Cart), cron("0 9 * * *"), every("15m")])
async def both(ctx: AsyncContext[Cart | Schedule]) -> int:
    data = ctx.event.data
    return 0 if isinstance(data, Schedule) else data.count


@app.function("invoked")
async def invoked(ctx: AsyncContext[int]) -> str:
    return str(ctx.event.data)


@app.function(
    "labelled",
    on_event("store/checkout.completed", Cart, if_exp=lambda event: event.data.count > 1),
    labels=lambda event: [event.data.sku],
)
def labelled(ctx: Context[Cart]) -> None: ...


assert_type(checkout, Function[Cart, Receipt])
assert_type(checkout_async, Function[Cart, Receipt])
assert_type(untyped, Function[Any, None])
assert_type(several, Function[Cart, int])
assert_type(invoked, Function[int, str])
assert_type(scheduled, Function[Schedule, str])
assert_type(both, Function[Cart | Schedule, int])


@app.function("wrong-data", on_event("store/checkout.completed", Cart))  # type: ignore[arg-type]
def wrong_data(ctx: Context[Receipt]) -> None: ...


@app.function("wrong-schedule", every("1h"))  # type: ignore[arg-type]
def wrong_schedule(ctx: Context[Cart]) -> None: ...


@app.function("wrong-context")  # type: ignore[arg-type]
def wrong_context(ctx: AsyncContext[Cart]) -> None: ...


@app.function("wrong-label", on_event("store/a", Cart), labels=lambda event: [event.data.price])  # type: ignore[attr-defined]
def wrong_label(ctx: Context[Cart]) -> None: ...


on_event("store/a", Cart, if_exp=lambda event: event.data.price > 1)  # type: ignore[attr-defined]
on_event("store/a", if_exp=1)  # type: ignore[call-overload]
every(15)  # type: ignore[arg-type]
cron("0 9 * * *", jitter=5)  # type: ignore[arg-type]


async def with_the_context_of_a_def(ctx: Context[Cart]) -> None:
    """`def` and `async def` are the same to a decorator's type, but a step of the wrong kind shows."""
    await ctx.step.sleep("nap", "1h")  # type: ignore[func-returns-value, misc]
    await ctx.step.run("count", int, "1")  # type: ignore[misc]


def start(client: Client) -> None:
    assert_type(client.start(checkout, Cart(sku="a", count=1)), Run[Receipt])
    assert_type(client.start(checkout_async, Cart(sku="a", count=1), run_id="r"), Run[Receipt])
    assert_type(client.start(invoked, 1).output, str | None)
    assert_type(client.start("checkout", {"sku": "a"}), Run[Any])
    client.start(checkout, 1)  # type: ignore[misc]
    client.start(invoked, "1")  # type: ignore[misc]
    client.start(1)  # type: ignore[call-overload]
