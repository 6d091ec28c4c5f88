"""Mail to customers. In production: SES."""

from __future__ import annotations

import logging

from models import Cart, Receipt
from references import reference

logger = logging.getLogger(__name__)


def send_receipt(email: str, receipt: Receipt) -> str:
    """Returns the id of the message."""
    logger.info("to %s: your receipt for order %s", email, receipt.order)
    return reference("mail")


def send_declined(cart: Cart, reason: str) -> str:
    """Ask for another card."""
    logger.info("to %s: your card was declined (%s)", cart.email, reason)
    return reference("mail")
