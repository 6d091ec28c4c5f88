import time

from lambda_durable import AsyncContext, Context, Durable

app = Durable("shop")


@app.function("names")
def names(ctx: Context[dict]) -> None:
    for index, item in enumerate(ctx.event.data["items"]):
        ctx.step.run(f"item-{index}", print, item)
    for item in ctx.event.data["items"]:
        ctx.step.run(f"ship-{item['sku']}", print)
    token = ctx.step.run("token", time.time)
    ctx.step.run(f"use-{token}", print)
    ctx.step.run(f"day-{ctx.started_at:%Y-%m-%d}", print)
    ctx.step.run(f"pick-{ctx.random.randint(1, 6)}", print)
    ctx.step.run(f"run-{ctx.run_id}", print)
    page = 0
    while ctx.step.run(f"page-{page}", bool):
        page += 1
    ctx.step.map("m", print, ctx.event.data["items"], key=lambda item: item["sku"])
