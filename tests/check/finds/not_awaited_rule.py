import asyncio

from lambda_durable import AsyncContext, Context, Durable

app = Durable("shop")


def send(text: str) -> None: ...


async def tell(ctx: AsyncContext[dict], who: str) -> None:
    await ctx.step.run(f"tell-{who}", send, who)


@app.step
async def charge(amount: int) -> int:
    return amount


@app.function("forgets")
async def forgets(ctx: AsyncContext[dict]) -> None:
    ctx.step.run("a", send, "a")  # finds: not-awaited
    later = ctx.step.sleep("b", "1d")  # finds: not-awaited
    tell(ctx, "ada")  # finds: not-awaited
    charge(3)  # finds: not-awaited
    asyncio.gather(ctx.step.run("c", send, "c"))  # finds: not-awaited
    if ctx.event.data["vip"]:
        ctx.step.group("d", tell, ctx, "bob")  # finds: not-awaited
