"""Functions as they are when a run of each goes to sleep. `after.py` is what is deployed meanwhile."""

from importlib.metadata import version

from lambda_durable import Context, Durable, every

CODE = "before"

app = Durable("drift")


def first() -> str:
    return f"first, {CODE}"


def second() -> str:
    return f"second, {CODE}"


def library() -> str:
    return version("lambda-durable")


@app.function("inserted")
def inserted(ctx: Context[dict]) -> list[str]:
    a = ctx.step.run("first", first)
    ctx.step.sleep("pause", "1h")
    return [a, ctx.step.run("second", second)]


@app.function("deleted")
def deleted(ctx: Context[dict]) -> list[str]:
    a = ctx.step.run("first", first)
    b = ctx.step.run("second", second)
    ctx.step.sleep("pause", "1h")
    return [a, b]


@app.function("reordered")
def reordered(ctx: Context[dict]) -> list[str]:
    a = ctx.step.run("first", first)
    b = ctx.step.run("second", second)
    ctx.step.sleep("pause", "1h")
    return [a, b]


@app.function("edited")
def edited(ctx: Context[dict]) -> list[str]:
    a = ctx.step.run("first", first)
    ctx.step.sleep("pause", "1h")
    return [a]


@app.function("renamed")
def renamed(ctx: Context[dict]) -> list[str]:
    a = ctx.step.run("first", first)
    ctx.step.sleep("pause", "1h")
    return [a]


@app.function("another-kind")
def another_kind(ctx: Context[dict]) -> list[str]:
    a = ctx.step.run("first", first)
    ctx.step.sleep("pause", "1h")
    return [a]


@app.function("pinned", version=CODE, pin=True)
def pinned(ctx: Context[dict]) -> list[str]:
    a = ctx.step.run("first", first)
    ctx.step.sleep("pause", "1h")
    return [a, ctx.step.run("second", second), CODE]


@app.function("upgraded")
def upgraded(ctx: Context[dict]) -> list[str]:
    a = ctx.step.run("began-on", library)
    ctx.step.sleep("pause", "1h")
    return [a, ctx.step.run("ended-on", library)]


@app.function("gone", every("1h"))
def gone(ctx: Context) -> None:
    ctx.step.run("first", first)


@app.function("rescheduled", every("2h"))
def rescheduled(ctx: Context) -> None:
    ctx.step.run("first", first)


handler = app.handler
