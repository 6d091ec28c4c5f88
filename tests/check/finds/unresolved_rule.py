import unheard_of
from unheard_of import compute

from lambda_durable import AsyncContext, Context, Durable

app = Durable("shop")


@app.function("unknown")
def unknown(ctx: Context[dict]) -> int:
    first = compute(3)  # finds: unresolved
    second = unheard_of.Engine().start()  # finds: unresolved
    ctx.event.data["handlers"]["a"](ctx)  # finds: unresolved
    ctx.step.group("theirs", unheard_of.flow, ctx)  # finds: unresolved
    return ctx.step.run("theirs-again", compute, first) + second
