"""The bank."""

from __future__ import annotations

import logging

from models import Payment
from references import reference as make_reference

from lambda_durable import NonRetriableError

logger = logging.getLogger(__name__)


class Declined(NonRetriableError):
    """The bank has said no, and asking again does not change its mind."""


def charge(reference: str, card: str, amount: int) -> Payment:
    if card == "tok_declined":
        raise Declined("insufficient funds")
    logger.info("%s: %.2f charged", reference, amount / 100)
    return Payment(id=make_reference("pay"), amount=amount)


def void(reference: str, payment: Payment | None) -> None:
    """Take back what was paid under a reference, if anything was. `payment` is None where nobody knows."""
    logger.info("%s: %s is void", reference, payment.id if payment is not None else "whatever was paid")
