import os
import sys

from lambda_durable import AsyncContext, Context, Durable

app = Durable("shop")


TABLE = os.environ.get("TABLE", "orders")


@app.function("settings")
def settings(ctx: Context[dict]) -> list:
    ctx.step.run("store", print, TABLE)
    stage = ctx.step.run("stage", lambda: os.environ["STAGE"])
    if TABLE == "orders":
        ctx.step.run("orders", print)
    return [stage, sys.platform, os.path.join("a", "b")]
