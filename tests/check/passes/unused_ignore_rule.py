import time
import uuid

from lambda_durable import AsyncContext, Context, Durable

app = Durable("shop")


@app.function("comments")
def comments(ctx: Context[dict]) -> float:
    ctx.step.run(f"a-{uuid.uuid4()}", print)  # durable: ignore
    ctx.step.run(f"b-{time.time()}", print)  # durable: ignore[clock, computed-id]
    ctx.step.run(
        "c",
        print,
        time.time(),  # durable: ignore[clock]
    )
    return time.time()  # it is only shown. durable: ignore[clock]
