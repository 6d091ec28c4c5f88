"""The app that the dashboard shows in its tests. While a file `broken` lies beside it, cards are refused."""

from pathlib import Path

from lambda_durable import Concurrency, Context, Durable, Retry, cron, on_event
from lambda_durable.callbacks import Callback

app = Durable("shop")
handler = app.handler

BROKEN = Path(__file__).with_name("broken")


class CardError(Exception):
    pass


def reserve(sku: str) -> dict:
    return {"sku": sku, "left": 3}


def charge(amount: int) -> dict:
    if BROKEN.exists():
        raise CardError(f"the card was refused: 402 for {amount}")
    return {"order": f"A-{amount}", "amount": amount}


def confirm(order: dict) -> None: ...


@app.function(
    "checkout",
    on_event("shop/checkout"),
    retry=Retry.never(),
    labels=lambda event: [event.data["sku"]],
    concurrency=Concurrency(5, key="data.sku"),
)
def checkout(ctx: Context[dict]) -> dict:
    """Take an order: reserve, charge, confirm."""
    cart = ctx.event.data
    reserved = ctx.step.run("reserve", reserve, cart["sku"])
    ctx.publish("order", {"state": "reserved", **reserved})
    order = ctx.step.run("charge", charge, cart["amount"])
    ctx.publish("order", {"state": "charged", **order})
    ctx.step.sleep("cool-off", cart.get("pause", "1s"))
    ctx.step.run("confirm", confirm, order)
    ctx.publish("order", {"state": "confirmed"})
    return order


def mail(callback: Callback) -> None: ...


@app.function("refund", on_event("shop/refund"))
def refund(ctx: Context[dict]) -> dict:
    """Ask a person, then a machine, then the bank."""
    ctx.publish("waits", "for a person")
    answer = ctx.step.wait_for_callback("approval", mail, timeout="2d")
    ctx.publish("waits", "for a machine")
    checked = ctx.step.wait_for_signal("check", f"checked-{ctx.event.data['order']}", timeout="2d")
    paid = ctx.step.wait_for_event("bank", "bank/paid", timeout="2d", match="data.order")
    return {"answer": answer, "checked": checked is not None and checked.data, "paid": paid is not None}


@app.function("import", on_event("shop/import"), steps_per_invocation="all")
def import_(ctx: Context[dict]) -> int:
    """Many steps in one run."""
    return sum(ctx.step.run(f"row-{row}", lambda row=row: row) for row in range(ctx.event.data["rows"]))


@app.function("night", cron("0 3 * * *", timezone="Europe/Paris"))
def night(ctx: Context) -> None:
    """Sleep through the night."""
    ctx.step.sleep("night", "8h")
