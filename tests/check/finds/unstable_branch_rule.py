import os
import random
import time
from datetime import datetime

from lambda_durable import AsyncContext, Context, Durable

app = Durable("shop")


def is_open() -> bool:
    return 9 <= datetime.now().hour < 17  # finds: clock


@app.function("branches")
def branches(ctx: Context[dict]) -> str:
    if is_open():  # finds: unstable-branch
        ctx.step.run("call", print)
    lucky = random.random() > 0.5  # finds: random
    if ctx.event.data["draw"] and lucky:  # finds: unstable-branch
        return "won"
    deadline = time.monotonic() + 30  # finds: clock
    while time.monotonic() < deadline:  # finds: clock, unstable-branch
        ctx.step.run("poll", print)
    for pick in random.sample(["a", "b", "c"], 2):  # finds: random, unstable-branch
        ctx.step.run(f"pick-{pick}", print)  # finds: computed-id
    match os.environ["STAGE"]:  # finds: environment, unstable-branch
        case "prod":
            ctx.step.run("prod", print)
        case _:
            pass
    for item in sorted(ctx.event.data["items"], key=lambda item: time.time() - item):  # finds: clock, unstable-branch
        ctx.step.run("item", print, item)
    result = ctx.step.run("x", int) if lucky else 0  # finds: unstable-branch
    return str(result)
