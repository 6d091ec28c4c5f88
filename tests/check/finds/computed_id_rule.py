import time
import uuid

from lambda_durable import AsyncContext, Context, Durable

app = Durable("shop")


def label() -> str:
    return f"charge-{uuid.uuid4()}"  # finds: uuid


@app.function("names")
def names(ctx: Context[dict]) -> None:
    ctx.step.run(f"op-{time.time()}", print)  # finds: computed-id, clock
    ctx.step.run(label(), print)  # finds: computed-id
    key = "a" + str(time.time_ns())  # finds: clock
    short = key[:8].upper()
    ctx.step.sleep(short, "1d")  # finds: computed-id
    ctx.step.group(f"g-{id(ctx)}", lambda: ctx.step.run("x", print))  # finds: computed-id
    ctx.step.run(f"h-{hash(ctx.event.data['name'])}", print)  # finds: computed-id
    ctx.step.run(f"attempt-{ctx.attempt}", print)  # finds: computed-id
    ctx.step.map("m", print, [1, 2], key=lambda item: f"{item}-{time.time()}")  # finds: computed-id, clock
    config = {"name": uuid.uuid4().hex}  # finds: uuid
    ctx.step.run(config["name"], print)  # finds: computed-id
