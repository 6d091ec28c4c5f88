import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import Pool

from lambda_durable import AsyncContext, Context, Durable

app = Durable("shop")


def work(n: int) -> int:
    return n


@app.function("threads")
def threads(ctx: Context[dict]) -> list:
    thread = threading.Thread(target=work, args=(1,))  # finds: thread
    thread.start()  # finds: thread
    with ThreadPoolExecutor() as pool:  # finds: thread
        results = list(pool.map(work, [1, 2]))  # finds: thread
    with Pool(2) as processes:  # finds: thread
        results += processes.map(work, [3])  # finds: thread
    ctx.step.run("store", print)
    return results


@app.function("async-threads")
async def async_threads(ctx: AsyncContext[dict]) -> int:
    loop = asyncio.get_running_loop()
    await ctx.step.run("a", print)
    return await asyncio.to_thread(work, 1) + await loop.run_in_executor(None, work, 2)  # finds: thread, thread
