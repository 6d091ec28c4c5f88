import asyncio

from lambda_durable import AsyncContext, Context, Durable

app = Durable("shop")


def send(text: str) -> str: ...


@app.function("asks")
def asks(ctx: Context[dict]) -> list:
    one = ctx.step.submit("a", send, "a")
    several = [ctx.step.submit(f"b-{n}", send, "b") for n in range(3)]
    done, pending = ctx.step.wait([one, *several], return_when="FIRST_COMPLETED")
    first = [future.result() for future in done]
    rest = [future.result() for future in pending]
    named = {"c": ctx.step.submit("c", send, "c")}
    found = {name: future.result() for name, future in named.items()}
    results = ctx.step.map("e", send, ["x"], return_exceptions=True)
    return [first, rest, found, [r for r in results if not isinstance(r, Exception)]]


@app.function("async-asks")
async def async_asks(ctx: AsyncContext[dict]) -> list:
    answer = asyncio.create_task(ctx.step.run("answer", send, "a"))
    a_day = asyncio.create_task(ctx.step.sleep("a-day", "1d"))
    await asyncio.wait({answer, a_day}, return_when=asyncio.FIRST_COMPLETED)
    if not answer.done():
        await ctx.step.run("remind", send, "b")
    async with asyncio.TaskGroup() as group:
        group.create_task(ctx.step.run("c", send, "c"))
        kept = group.create_task(ctx.step.run("d", send, "d"))
    await asyncio.gather(ctx.step.run("g", send, "g"), return_exceptions=False)
    results = await asyncio.gather(ctx.step.run("e", send, "e"), return_exceptions=True)
    race = {asyncio.create_task(ctx.step.run(f"f-{n}", send, "f")) for n in range(3)}
    done, pending = await asyncio.wait(race, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    return [await answer, kept.result(), results, [task.result() for task in done]]
