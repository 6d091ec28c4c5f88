from datetime import datetime

from lambda_durable import AsyncContext, Context, Durable

app = Durable("shop")


def is_open() -> bool:
    return 9 <= datetime.now().hour < 17


@app.function("branches")
def branches(ctx: Context[dict]) -> str:
    if ctx.step.run("is-open", is_open):
        ctx.step.run("call", print)
    if 9 <= ctx.now().hour < 17:
        ctx.step.run("mail", print)
    if ctx.random.random() > 0.5:
        return "won"
    if ctx.attempt > 1:
        ctx.logger.info("once more")
    while ctx.now() - ctx.started_at < ctx.event.data["patience"]:
        ctx.step.run("poll", print)
    return "lost"
