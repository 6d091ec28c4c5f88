import asyncio
import os

from lambda_durable import AsyncContext, Context, Durable

app = Durable("shop")


@app.function("orders")
def orders(ctx: Context[dict]) -> None:
    for name in {"ada", "bob"}:
        ctx.step.run("greet", print, name)  # finds: unordered
    names = set(ctx.event.data["names"])
    for index, name in enumerate(names):
        ctx.step.run(f"greet-{index}", print, name)  # finds: unordered
    ctx.step.map("all", print, names)  # finds: unordered
    ctx.step.map("known", print, list(names | {"ada"}))  # finds: unordered
    unique = [name.lower() for name in frozenset(ctx.event.data["names"])]
    ctx.step.map_group("some", lambda name: ctx.step.run("x", print), unique)  # finds: unordered
    for path in os.listdir("."):  # finds: file, unstable-branch
        ctx.step.sleep("a-while", "1d")  # finds: unordered


@app.function("async-orders")
async def async_orders(ctx: AsyncContext[dict]) -> None:
    await asyncio.gather(*(ctx.step.run("greet", print, name) for name in {"ada", "bob"}))  # finds: unordered
