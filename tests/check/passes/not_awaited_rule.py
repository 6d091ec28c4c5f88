import asyncio

from lambda_durable import AsyncContext, Context, Durable

app = Durable("shop")


def send(text: str) -> None: ...


async def tell(ctx: AsyncContext[dict], who: str) -> None:
    await ctx.step.run(f"tell-{who}", send, who)


def later(ctx: AsyncContext[dict]):
    return ctx.step.run("later", send, "x")


@app.step
async def charge(amount: int) -> int:
    return amount


async def pages(ctx: AsyncContext[dict]):
    for number in range(3):
        yield await ctx.step.run(f"page-{number}", send, "x")


@app.function("goes-through")
async def goes_through(ctx: AsyncContext[dict]) -> None:
    async for page in pages(ctx):
        await ctx.step.run(f"use-{page}", send, page)


@app.function("awaits")
async def awaits(ctx: AsyncContext[dict]) -> None:
    await ctx.step.run("a", send, "a")
    pending = ctx.step.sleep("b", "1d")
    await pending
    await tell(ctx, "ada")
    await charge(3)
    await later(ctx)
    started = []
    for who in ctx.event.data["people"]:
        started.append(tell(ctx, who))
    await asyncio.gather(*started)
    both = [ctx.step.run("c", send, "c"), ctx.step.run("d", send, "d")]
    for each in asyncio.as_completed(both):
        await each
    coming = ctx.step.run("e", send, "e") if ctx.event.data["vip"] else ctx.step.run("f", send, "f")
    await coming
