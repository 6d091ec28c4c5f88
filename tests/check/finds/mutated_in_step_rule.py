from dataclasses import dataclass, field

from lambda_durable import AsyncContext, Context, Durable

app = Durable("shop")


AUDIT = []
TOTAL = 0


@dataclass
class Basket:
    items: list = field(default_factory=list)
    state: str = "new"


def record() -> None:
    global TOTAL
    TOTAL += 1  # finds: mutated-in-step


def fill(bucket: list) -> None:
    bucket.append(1)  # finds: mutated-in-step


@app.function("changes")
def changes(ctx: Context[dict]) -> list:
    receipts = []
    state = {}
    count = 0
    basket = Basket()
    order = ctx.step.run("order", dict)

    def save() -> None:
        nonlocal count
        count += 1  # finds: mutated-in-step
        receipts.append("r")  # finds: mutated-in-step
        AUDIT.append("a")  # finds: mutated-in-step
        state["done"] = True  # finds: mutated-in-step
        basket.state = "paid"  # finds: mutated-in-step
        order["paid"] = True  # finds: mutated-in-step
        ctx.event.data["seen"] = True  # finds: mutated-in-step

    ctx.step.run("save", save)
    marks = {}
    ctx.step.run("mark", lambda: marks.__setitem__("done", True))  # finds: mutated-in-step
    ctx.step.run("record", record)
    bucket = []
    ctx.step.run("fill", fill, bucket)
    return [receipts, state, count, basket.state, order["paid"], marks, len(AUDIT), TOTAL, bucket, ctx.event.data]


@app.function("saga")
def saga(ctx: Context[dict]) -> None:
    done = []
    ctx.step.run("one", lambda: done.append("one"))  # finds: mutated-in-step
    ctx.step.group("undo", lambda: [ctx.step.run(f"undo-{each}", print) for each in reversed(done)])


@app.function("grouped")
def grouped(ctx: Context[dict]) -> int:
    found = []

    def search(place: str) -> None:
        found.append(ctx.step.run("look", print, place))  # finds: mutated-in-step

    ctx.step.map_group("places", search, ["here", "there"])
    return len(found)
