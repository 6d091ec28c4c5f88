import time

from lambda_durable import AsyncContext, Context, Durable

app = Durable("shop")


@app.function("comments")
def comments(ctx: Context[dict]) -> float:
    ctx.step.run("a", print)  # durable: ignore  # finds: unused-ignore
    ctx.step.run("b", print)  # durable: ignore[clock]  # finds: unused-ignore
    ctx.step.run("c", print, time.time())  # durable: ignore[random]  # finds: unused-ignore, clock
    return time.time()  # durable: ignore[clock, nonsense]  # finds: unused-ignore
