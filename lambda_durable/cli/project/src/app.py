"""Orders: charge the card, wait until the goods were surely sent, ask how it went."""

from __future__ import annotations

import logging
from hashlib import sha256

from pydantic import BaseModel

from lambda_durable import Context, Durable, NonRetriableError, Retry, current_step, on_event

logger = logging.getLogger(__name__)


class Order(BaseModel):
    number: str
    email: str
    amount: int
    """In cents."""


class Receipt(BaseModel):
    order: str
    payment: str


def charge(order: Order) -> str:
    """Returns the payment's id. The idempotency key is the same for every attempt: hand it to your provider."""
    if order.amount <= 0:
        raise NonRetriableError(f"an order over {order.amount} can't be charged")
    return "payment-" + sha256(current_step().idempotency_key.encode()).hexdigest()[:12]


def send_mail(address: str, text: str) -> None:
    logger.info("to %s: %s", address, text)


app = Durable("@name@")


@app.function("fulfil", on_event("order.placed", Order), retry=Retry(max_attempts=5))
def fulfil(ctx: Context[Order]) -> Receipt:
    order = ctx.event.data
    payment = ctx.step.run("charge", charge, order)
    ctx.step.run("confirm", send_mail, order.email, f"we have your order {order.number}")
    ctx.step.sleep("delivery", "3d")
    ctx.step.run("ask", send_mail, order.email, f"how was order {order.number}?")
    return Receipt(order=order.number, payment=payment)


handler = app.handler  # what template.yaml names
