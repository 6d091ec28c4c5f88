import asyncio

from lambda_durable import AsyncContext, Context, Durable

app = Durable("shop")


def send(text: str) -> None: ...


@app.function("once")
def once(ctx: Context[dict]) -> str:
    if ctx.event.data["express"]:
        ctx.step.run("ship", send, "air")
    elif ctx.event.data["heavy"]:
        ctx.step.run("ship", send, "sea")
    else:
        ctx.step.run("ship", send, "road")
    match ctx.event.data["plan"]:
        case "free":
            ctx.step.run("welcome", send, "free")
        case _:
            ctx.step.run("welcome", send, "paid")
    for item in ctx.event.data["items"]:
        ctx.step.run("item", send, item)
    while not ctx.step.run("ready", bool):
        ctx.step.sleep("pause", "1m")
    ctx.step.group("left", lambda: ctx.step.run("lift", send, "left"))
    ctx.step.group("right", lambda: ctx.step.run("lift", send, "right"))
    ctx.step.parallel(
        "both",
        lambda: ctx.step.run("x", send, "a"),
        lambda: ctx.step.run("x", send, "b"),
    )
    if ctx.event.data["silent"]:
        ctx.step.run("end", send, "")
        return "silent"
    ctx.step.run("end", send, "done")
    return "told"


@app.function("side-by-side")
async def side_by_side(ctx: AsyncContext[dict]) -> None:
    async def ship(item: str) -> None:
        await ctx.step.run(f"pack-{item}", send, item)

    async def scan() -> None:
        await ctx.step.run("scan", send, "x")

    await asyncio.gather(*(ship(item) for item in ctx.event.data["items"]))
    await asyncio.gather(*(ctx.step.group(f"scan-{item}", scan) for item in ctx.event.data["items"]))
    for item in ctx.event.data["items"]:
        await scan()


async def lift(ctx: AsyncContext[dict], side: str) -> None:
    await ctx.step.run(f"lift-{side}", send, side)


@app.function("two-tasks")
async def two_tasks(ctx: AsyncContext[dict]) -> None:
    await asyncio.gather(lift(ctx, "left"), lift(ctx, "right"))
