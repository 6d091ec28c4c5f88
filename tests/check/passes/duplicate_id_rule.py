import asyncio

from lambda_durable import AsyncContext, Context, Durable, StepError

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


@app.function("leaving")
def leaving(ctx: Context[dict]) -> str:
    try:
        ctx.step.run("pay", send, "a")
    except StepError:
        ctx.step.run("tell", send, "failed")
        return "failed"
    except ValueError:
        ctx.step.run("tell", send, "odd")
        raise
    if ctx.event.data["a"]:
        ctx.step.run("tell", send, "a")
        return "a"
    elif ctx.event.data["b"]:
        ctx.step.run("tell", send, "b")
        return "b"
    for item in ctx.event.data["items"]:
        if item == "skip":
            ctx.step.run(f"skip-{item}", send, item)
            continue
        if item == "stop":
            ctx.step.run("tell", send, "stopped")
            return "stopped"
    match ctx.event.data["c"]:
        case 1:
            ctx.step.run("tell", send, "1")
            return "1"
        case 2:
            ctx.step.run("tell", send, "2")
            raise ValueError
    ctx.step.run("tell", send, "done")
    return "done"


@app.function("trying")
def trying(ctx: Context[dict]) -> None:
    try:
        number = ctx.event.data["number"]
    except KeyError:
        ctx.step.run("number", send, "none")
    else:
        ctx.step.run("number", send, number)
