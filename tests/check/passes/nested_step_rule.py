from lambda_durable import AsyncContext, Context, Durable

app = Durable("shop")


@app.step
def charge(amount: int) -> int:
    return amount


def settle(ctx: Context[dict]) -> int:
    return charge(3) + ctx.step.run("book", int)


@app.function("flat")
def flat(ctx: Context[dict]) -> int:
    total = charge(1)
    total += ctx.step.group("settle", settle, ctx)
    ctx.step.run("charge-again", charge, 2)
    ctx.step.map_group("each", lambda item: ctx.step.run("x", print, item), ctx.event.data["items"])
    ctx.step.run("tell", lambda: print(ctx.event.data, ctx.run_id, ctx.function_id))
    return total


@app.function("async-flat")
async def async_flat(ctx: AsyncContext[dict]) -> None:
    async def inner() -> None:
        await ctx.step.run("a", print)

    await ctx.step.group("inner", inner)
