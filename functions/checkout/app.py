"""A shop's checkout: claim the goods, charge the card, wait out the cool-off, settle the books."""

from __future__ import annotations

import emails
import inventory
import ledger
import payments
import search
from models import Cart, Receipt

from lambda_durable import Context, Durable, Retry, StepError, on_event

app = Durable("store")


@app.function(
    "checkout",
    on_event("store/checkout.completed", Cart),
    retry=Retry(max_attempts=5, initial_delay="2s"),
    labels=lambda event: [event.data.order, event.data.email],
)
def checkout(ctx: Context[Cart]) -> Receipt:
    cart = ctx.event.data
    claim = ctx.step.run("claim-inventory", inventory.claim, cart.lines)
    try:
        payment = ctx.step.run("charge", payments.charge, cart.card, cart.total, cart.currency)
    except StepError as error:
        ctx.step.run("release-inventory", inventory.release, claim)
        ctx.step.run("tell-customer", emails.send_declined, cart, error.message)
        raise

    ctx.step.sleep("cool-off", "3d")

    entering = ctx.step.submit("update-ledger", ledger.enter, payment)
    indexing = ctx.step.submit("update-search-index", search.index, cart, payment.id)
    entry, _ = entering.result(), indexing.result()

    receipt = Receipt(
        order=cart.order,
        claim=claim.id,
        payment=payment.id,
        ledger_entry=entry,
        amount=payment.amount,
        currency=payment.currency,
    )
    ctx.step.run("send-receipt", emails.send_receipt, cart.email, receipt)
    return receipt


handler = app.handler
