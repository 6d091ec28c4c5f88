"""Orders, payments and their undoing, as tutorials of durable execution tell them."""

from __future__ import annotations

import os
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial

import boto3
import requests
from pydantic import BaseModel

from lambda_durable import (
    Concurrency,
    Context,
    Durable,
    Event,
    Idempotency,
    NonRetriableError,
    Retry,
    RetryAfterError,
    StepError,
    StepTimeoutError,
    current_step,
    on_event,
)

app = Durable("orders", retry=Retry(max_attempts=4))
TABLE = os.environ.get("TABLE", "orders")
table = boto3.resource("dynamodb", region_name="us-east-1").Table(TABLE)
session = requests.Session()
patient = Retry(max_attempts=8, initial_delay="1m")


class Line(BaseModel):
    sku: str
    count: int
    price: Decimal


class Order(BaseModel):
    number: str
    customer: str
    lines: list[Line]
    express: bool = False

    @property
    def total(self) -> Decimal:
        return sum((line.count * line.price for line in self.lines), Decimal())


@dataclass
class Receipt:
    payment: str
    lines: list[str] = field(default_factory=list)


def reserve(sku: str, count: int) -> str:
    done = table.update_item(
        Key={"sku": sku}, UpdateExpression="ADD stock :n", ExpressionAttributeValues={":n": -count}
    )
    return str(done["Attributes"]["reservation"])


def release(reservation: str) -> None:
    table.delete_item(Key={"reservation": reservation})


def charge(customer: str, amount: Decimal) -> str:
    reply = session.post(
        "https://pay.example.com/charges",
        json={"customer": customer, "amount": str(amount)},
        headers={"Idempotency-Key": current_step().idempotency_key},
        timeout=10,
    )
    if reply.status_code == 429:
        raise RetryAfterError("slow down", f"{int(reply.headers['Retry-After'])}s")
    if reply.status_code == 402:
        raise NonRetriableError("declined")
    return str(reply.json()["id"])


def refund(payment: str) -> None:
    session.delete(f"https://pay.example.com/charges/{payment}", timeout=10)


def mail(to: str, text: str) -> None:
    boto3.client("ses").send_email(
        Destination={"ToAddresses": [to]}, Message={"Body": {"Text": {"Data": text}}}
    )


@app.function("place", on_event("order.placed", Order), idempotency=Idempotency("event.data.number"))
def place(ctx: Context[Order]) -> Receipt:
    """Reserve, charge, ship, tell: what fails is undone by hand."""
    order = ctx.event.data
    reservations: list[str] = []
    try:
        for line in order.lines:
            reservations.append(ctx.step.run(f"reserve-{line.sku}", reserve, line.sku, line.count))
        payment = ctx.step.run("charge", charge, order.customer, order.total)
    except StepError as error:
        for reservation in reversed(reservations):
            ctx.step.run(f"release-{reservation}", release, reservation)
        ctx.step.run("sorry", mail, order.customer, f"we could not take your order: {error.message}")
        raise
    receipt = Receipt(payment)
    for line in order.lines:
        receipt.lines.append(f"{line.count} x {line.sku}")
    ctx.step.run("thanks", mail, order.customer, "\n".join(receipt.lines))
    return receipt


@app.function("trip", on_event("trip.requested"))
def trip(ctx: Context[dict]) -> dict:
    """A saga whose undoing is kept in a list of functions."""
    undo = []
    booked = {}
    try:
        for kind in ("flight", "hotel", "car"):
            booked[kind] = ctx.step.run(f"book-{kind}", reserve, kind, 1)
            undo.append((kind, partial(release, booked[kind])))
    except StepError:
        for kind, back in reversed(undo):
            ctx.step.run(f"cancel-{kind}", back)
        raise
    return booked


@app.function("declared-saga")
def declared_saga(ctx: Context[dict]) -> str:
    """The same, with undo= of the steps."""
    hotel = ctx.step.options(undo=release).run("hotel", reserve, "hotel", 1)
    ctx.step.options(undo=release, retry=patient).run("flight", reserve, "flight", 1)
    payment = ctx.step.options(semantics="at_most_once", undo=lambda made: refund(made)).run(
        "pay", charge, ctx.event.data["customer"], Decimal(100)
    )
    return f"{hotel}/{payment}"


@app.function("ship", on_event("order.packed"), concurrency=Concurrency(5, key="event.data.carrier"))
def ship(ctx: Context[dict]) -> str:
    """Asks the carrier until the parcel has arrived, three weeks at most."""
    label = ctx.step.run("label", lambda: str(uuid.uuid4()))

    def arrived() -> str:
        return str(session.get(f"https://ship.example.com/{label}", timeout=5).json()["state"])

    try:
        return ctx.step.poll(
            "arrival", arrived, until=lambda state: state == "arrived", every="6h", timeout="21d"
        )
    except StepTimeoutError:
        ctx.step.send_event("lost", Event("parcel.lost", {"label": label}))
        return "lost"


@app.function("subscription")
def subscription(ctx: Context[dict]) -> None:
    """A month at a time, for ever."""
    month = ctx.event.data["month"]
    ctx.step.run("charge", charge, ctx.event.data["customer"], Decimal("9.90"))
    cancelled = ctx.step.wait_for_event(
        "cancelled", "subscription.cancelled", match="data.customer", timeout="30d"
    )
    if cancelled is not None:
        ctx.step.run("goodbye", mail, ctx.event.data["customer"], "you are free")
        return
    ctx.continue_as_new({**ctx.event.data, "month": month + 1})


@app.function("trial", on_event("trial.began"))
def trial(ctx: Context[dict]) -> str:
    """Reminds at fixed days, and at a given hour."""
    ends = datetime.fromisoformat(ctx.event.data["ends"]).astimezone(UTC)
    for days in (7, 3, 1):
        ctx.step.sleep_until(f"until-{days}", ends - timedelta(days=days))
        if ctx.step.run(f"has-paid-{days}", table.get_item, Key={"id": ctx.run_id}).get("Item"):
            return "paid"
        ctx.step.run(f"remind-{days}", mail, ctx.event.data["customer"], f"{days} days left")
    return "over" if ctx.now() >= ends else "early"


@app.function("rates")
def rates(ctx: Context[dict]) -> dict:
    """A cache in the process, which only steps use."""
    amounts = {}
    for currency in ("EUR", "USD"):
        amounts[currency] = ctx.step.run(f"rate-{currency}", rate, currency)
    best = max(amounts, key=lambda currency: amounts[currency])
    return {"best": best, "amount": amounts[best], "at": ctx.now().isoformat()}


_cached: dict[str, tuple[float, float]] = {}


def rate(currency: str) -> float:
    known = _cached.get(currency)
    if known is None or time.monotonic() - known[0] > 60:
        value = float(session.get(f"https://rates.example.com/{currency}", timeout=5).text)
        _cached[currency] = known = (time.monotonic(), value)
    return known[1]


@place.on_failure
def placing_failed(ctx: Context) -> None:
    failure = ctx.event.data
    ctx.step.run("tell-us", mail, "ops@example.com", f"{failure.run_id}: {failure.error.message}")
