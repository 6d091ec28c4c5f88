import contextlib
from contextlib import suppress

from lambda_durable import AsyncContext, Context, Durable

app = Durable("shop")


@app.function("catches")
def catches(ctx: Context[dict]) -> str:
    try:
        ctx.step.run("a", print)
    except:  # finds: catch-all
        return "failed"
    try:
        ctx.step.sleep("b", "1d")
    except BaseException as error:  # finds: catch-all
        ctx.logger.warning(str(error))
    try:
        helper(ctx)
    except (ValueError, BaseException):  # finds: catch-all
        raise RuntimeError("c") from None
    with contextlib.suppress(BaseException):  # finds: catch-all
        ctx.step.run("d", print)
    with suppress(KeyError, BaseException):  # finds: catch-all
        ctx.step.run("e", print)
    for each in ctx.event.data["items"]:
        try:
            ctx.step.run(f"f-{each}", print)
        finally:
            continue  # finds: catch-all
    try:
        ctx.step.run("g", print)
    finally:
        return "out"  # finds: catch-all


def helper(ctx: Context[dict]) -> None:
    ctx.step.run("c", print)


@app.function("async-catches")
async def async_catches(ctx: AsyncContext[dict]) -> None:
    try:
        await ctx.step.run("a", print)
    except BaseException:  # finds: catch-all
        pass
