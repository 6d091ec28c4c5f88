"""What is deployed while the runs of `before.py` sleep."""

from importlib.metadata import version

from lambda_durable import Context, Durable, every

CODE = "after"

app = Durable("drift")


def first() -> str:
    return f"first, {CODE}"


def second() -> str:
    return f"second, {CODE}"


def library() -> str:
    return version("lambda-durable")


@app.function("inserted")
def inserted(ctx: Context[dict]) -> list[str]:
    new = ctx.step.run("second-before-first", second)
    a = ctx.step.run("first", first)
    ctx.step.sleep("pause", "1h")
    return [new, a, ctx.step.run("second", second)]


@app.function("deleted")
def deleted(ctx: Context[dict]) -> list[str]:
    b = ctx.step.run("second", second)
    ctx.step.sleep("pause", "1h")
    return [b]


@app.function("reordered")
def reordered(ctx: Context[dict]) -> list[str]:
    b = ctx.step.run("second", second)
    a = ctx.step.run("first", first)
    ctx.step.sleep("pause", "1h")
    return [a, b]


@app.function("edited")
def edited(ctx: Context[dict]) -> list[str]:
    words = []
    for _ in range(2):
        words.append("edited")
    words.append(ctx.step.run("first", first))
    ctx.step.sleep("pause", "1h")
    return words


@app.function("renamed")
def renamed(ctx: Context[dict]) -> list[str]:
    a = ctx.step.run("foremost", first)
    ctx.step.sleep("pause", "1h")
    return [a]


@app.function("another-kind")
def another_kind(ctx: Context[dict]) -> list[str]:
    ctx.step.sleep("first", "1m")
    ctx.step.sleep("pause", "1h")
    return []


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


@app.function("rescheduled", every("3h"))
def rescheduled(ctx: Context) -> None:
    ctx.step.run("first", first)


@app.function("new", every("1h"))
def new(ctx: Context) -> None:
    ctx.step.run("first", first)


handler = app.handler
