from lambda_durable import AsyncContext, Context, Durable

app = Durable("shop")


@app.function("orders")
def orders(ctx: Context[dict]) -> None:
    names = set(ctx.event.data["names"])
    for name in sorted(names):
        ctx.step.run("greet", print, name)
    for name in names:  # each outcome is found by its item
        ctx.step.run(f"greet-{name}", print, name)
    for name in dict.fromkeys(ctx.event.data["names"]):
        ctx.step.run("hello", print, name)
    ctx.step.map("all", print, names, key=str)
    ctx.step.map("some", print, sorted(names | {"ada"}))
    if "ada" in names and len(names) > 1:
        ctx.step.run("ada", print)
    total = sum({1, 2})
    ctx.step.run("total", print, total)
