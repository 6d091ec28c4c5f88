import asyncio

from lambda_durable import AsyncContext, Context, Durable

app = Durable("shop")


def send(text: str) -> None: ...


@app.function("twice")
def twice(ctx: Context[dict]) -> None:
    ctx.step.run("mail", send, "a")
    ctx.step.run("mail", send, "b")  # finds: duplicate-id
    if ctx.event.data["late"]:
        ctx.step.sleep("pause", "1d")
    ctx.step.sleep("pause", "2d")  # finds: duplicate-id
    name = "pay"
    try:
        ctx.step.run(f"{name}-now", send, "c")
    finally:
        ctx.step.run("pay-now", send, "d")  # finds: duplicate-id
    for item in ctx.event.data["items"]:
        ctx.step.run("item", send, item)
        ctx.step.run("item", send, item)  # finds: duplicate-id


@app.step
def audit(text: str) -> None: ...


@app.function("audited")
def audited(ctx: Context[dict]) -> None:
    audit("a")
    ctx.step.run("audit", print)  # finds: duplicate-id


@app.function("side-by-side")
async def side_by_side(ctx: AsyncContext[dict]) -> None:
    async def ship(item: str) -> None:
        await ctx.step.run("pack", send, item)  # finds: duplicate-id
        await ctx.step.sleep(f"rest-{item}", "1h")

    await asyncio.gather(*(ship(item) for item in ctx.event.data["items"]))


async def left(ctx: AsyncContext[dict]) -> None:
    await ctx.step.run("lift", send, "left")


async def right(ctx: AsyncContext[dict]) -> None:
    await ctx.step.run("lift", send, "right")  # finds: duplicate-id


@app.function("two-tasks")
async def two_tasks(ctx: AsyncContext[dict]) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(left(ctx))
        group.create_task(right(ctx))


@app.function("going-on")
def going_on(ctx: Context[dict]) -> None:
    try:
        ctx.step.run("pay", send, "a")
    except ValueError:
        ctx.step.run("tell", send, "failed")
    ctx.step.run("tell", send, "done")  # finds: duplicate-id
    for item in ctx.event.data["items"]:
        if item == "skip":
            ctx.step.run("skip", send, item)
            continue
        ctx.step.run(f"use-{item}", send, item)
    ctx.step.run("skip", send, "all")  # finds: duplicate-id
    if helper(ctx):
        ctx.step.run("help", send, "again")  # finds: duplicate-id


def helper(ctx: Context[dict]) -> bool:
    if ctx.event.data["a"]:
        ctx.step.run("help", send, "a")
        return True
    return False
