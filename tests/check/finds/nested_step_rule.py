from functools import partial

from lambda_durable import AsyncContext, Context, Durable

app = Durable("shop")


@app.step
def charge(amount: int) -> int:
    return amount


def outer() -> int:
    return charge(3)  # finds: nested-step


def helper(ctx: Context[dict]) -> None:
    ctx.step.run("inner", print)  # finds: nested-step


@app.function("nested")
def nested(ctx: Context[dict]) -> None:
    step = ctx.step
    ctx.step.run("a", lambda: ctx.step.run("b", print))  # finds: nested-step
    ctx.step.run("c", outer)
    ctx.step.run("d", helper, ctx)
    ctx.step.submit("e", partial(helper, ctx)).result()
    ctx.step.map("f", lambda item: ctx.step.sleep("g", "1d"), [1])  # finds: nested-step
    ctx.step.wait_for_callback("h", lambda callback: step.run("i", print), timeout="1d")  # finds: nested-step
    ctx.step.run("j", lambda: ctx.continue_as_new({}))  # finds: nested-step
    ctx.step.options(undo=lambda result: ctx.step.run("k", print)).run("l", print)  # finds: nested-step


@app.function("async-nested")
async def async_nested(ctx: AsyncContext[dict]) -> None:
    async def twice() -> None:
        await ctx.step.run("a", print)  # finds: nested-step

    await ctx.step.run("twice", twice)
