import time
from datetime import UTC, datetime, timedelta

from lambda_durable import AsyncContext, Context, Durable

app = Durable("shop")


def stamp() -> float:
    return time.time()


@app.function("clocks")
def clocks(ctx: Context[dict]) -> list:
    first = ctx.step.run("first", time.time)
    second = ctx.step.run("second", lambda: datetime.now(UTC).isoformat())
    third = ctx.step.run("third", stamp)
    due = ctx.now() + timedelta(days=3)
    given = datetime.fromisoformat(ctx.event.data["at"])
    shown = time.strftime("%H:%M", time.gmtime(given.timestamp()))
    ctx.step.sleep_until("due", due)
    return [first, second, third, shown, datetime(2025, 1, 1, tzinfo=UTC), given.astimezone(UTC)]


@app.function("async-clocks")
async def async_clocks(ctx: AsyncContext[dict]) -> float:
    async def ask() -> float:
        return time.time()

    return await ctx.step.run("ask", ask)
