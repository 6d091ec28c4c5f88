import asyncio
import time
from asyncio import sleep

from lambda_durable import AsyncContext, Context, Durable

app = Durable("shop")


@app.function("sleeps")
def sleeps(ctx: Context[dict]) -> None:
    for attempt in range(3):
        if ctx.step.run(f"try-{attempt}", bool):
            break
        time.sleep(2**attempt)  # finds: timer


@app.function("async-sleeps")
async def async_sleeps(ctx: AsyncContext[dict]) -> None:
    await sleep(5)  # finds: timer
    async with asyncio.timeout(30):  # finds: timer
        await ctx.step.run("slow", print)
    await asyncio.wait_for(ctx.step.run("slower", print), timeout=30)  # finds: timer
    task = asyncio.create_task(ctx.step.run("slowest", print))
    done, _ = await asyncio.wait({task}, timeout=5)  # finds: timer
    for each in done:
        each.result()
