import datetime as calendar
import time
from functools import cache
from datetime import date, datetime as dt
from time import monotonic as ticks

from lambda_durable import AsyncContext, Context, Durable

app = Durable("shop")


now = dt.now
STARTED = time.time()


def stamp():
    return time.strftime("%H:%M")  # finds: clock


@app.function("clocks")
def clocks(ctx: Context[dict]) -> list:
    first = time.time()  # finds: clock
    second = dt.now()  # finds: clock
    third = calendar.datetime.utcnow()  # finds: clock
    fourth = date.today()  # finds: clock
    fifth = ticks()  # finds: clock
    sixth = now()  # finds: clock
    ctx.step.run("late", print, time.perf_counter())  # finds: clock
    ages = [dt.now() - item for item in ctx.event.data["items"]]  # finds: clock
    newest = max(ctx.event.data["items"], key=lambda item: time.time() - item)  # finds: clock
    return [first, second, third, fourth, fifth, sixth, stamp(), STARTED, ages, newest]  # finds: clock


@app.function("async-clocks")
async def async_clocks(ctx: AsyncContext[dict]) -> str:
    async def helper() -> str:
        return time.ctime()  # finds: clock

    await ctx.step.run("a", print)
    return await helper()


@cache
def first_seen() -> float:
    return time.time()


@app.function("cached")
def cached(ctx: Context[dict]) -> float:
    return first_seen()  # finds: clock
