"""The card gateway, on a bad day: it answers the third request only."""

from __future__ import annotations

from models import Payment
from references import reference

from lambda_durable import NonRetriableError, current_step

TIMES_OUT = 2


class GatewayTimeout(Exception):
    """No answer in time. Perhaps the card was charged, perhaps not: the idempotency key makes that safe."""


class CardDeclined(NonRetriableError):
    """The bank has said no, and asking again does not change its mind."""


def charge(card: str, amount: int, currency: str) -> Payment:
    if current_step().attempt <= TIMES_OUT:
        raise GatewayTimeout("the card gateway did not answer within 10 seconds")
    if card == "tok_declined":
        raise CardDeclined("insufficient funds")
    return Payment(id=reference("pay"), card=card, amount=amount, currency=currency)
