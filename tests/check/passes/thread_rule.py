import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

from lambda_durable import AsyncContext, Context, Durable

app = Durable("shop")


lock = threading.Lock()


def work(n: int) -> int:
    return n


def all_of(numbers: list[int]) -> list[int]:
    with ThreadPoolExecutor() as pool:
        return list(pool.map(work, numbers))


@app.function("threads")
def threads(ctx: Context[dict]) -> list:
    return ctx.step.run("all", all_of, [1, 2]) + ctx.step.map("each", work, [1, 2])


@app.function("async-threads")
async def async_threads(ctx: AsyncContext[dict]) -> list:
    async def aside() -> int:
        return await asyncio.to_thread(work, 1)

    return await asyncio.gather(ctx.step.run("aside", aside), ctx.step.run("work", work, 2))
