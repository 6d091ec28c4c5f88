import asyncio
import time

from lambda_durable import AsyncContext, Context, Durable

app = Durable("shop")


def patient() -> bool:
    time.sleep(0.1)
    return True


@app.function("sleeps")
def sleeps(ctx: Context[dict]) -> None:
    for attempt in range(3):
        if ctx.step.run(f"try-{attempt}", patient):
            break
        ctx.step.sleep(f"pause-{attempt}", f"{2**attempt}s")


async def slow() -> None:
    async with asyncio.timeout(30):
        await asyncio.sleep(5)


@app.function("async-sleeps")
async def async_sleeps(ctx: AsyncContext[dict]) -> None:
    await asyncio.sleep(0)
    await ctx.step.sleep("a-while", "5s")
    await ctx.step.options(timeout="30s").run("slow", slow)
    await asyncio.wait_for(ctx.step.run("slower", slow), timeout=None)
