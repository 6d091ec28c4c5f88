import asyncio

from lambda_durable import AsyncContext, Context, Durable

app = Durable("shop")


def send(text: str) -> None: ...


@app.function("ignores")
def ignores(ctx: Context[dict]) -> None:
    ctx.step.submit("a", send, "a")  # finds: ignored-failure
    forgotten = ctx.step.submit("b", send, "b")  # finds: ignored-failure
    waited = ctx.step.submit("c", send, "c")  # finds: ignored-failure
    ctx.step.wait([waited])
    asked = ctx.step.submit("d", send, "d")  # finds: ignored-failure
    if asked.done():
        ctx.step.run("done", print)
    ctx.step.map("e", send, ["x"], return_exceptions=True)  # finds: ignored-failure


@app.function("async-ignores")
async def async_ignores(ctx: AsyncContext[dict]) -> None:
    asyncio.create_task(ctx.step.run("a", send, "a"))  # finds: ignored-failure
    task = asyncio.create_task(ctx.step.run("b", send, "b"))  # finds: ignored-failure
    await asyncio.wait({task})
    await asyncio.gather(ctx.step.run("c", send, "c"), return_exceptions=True)  # finds: ignored-failure
    await ctx.step.map("d", send, ["x"], return_exceptions=True)  # finds: ignored-failure
