"""The books."""

from __future__ import annotations

import logging

from models import Payment
from references import reference

logger = logging.getLogger(__name__)


def enter(payment: Payment) -> str:
    """Enter a payment; returns the entry's number."""
    logger.info("%s %s from payment %s", payment.amount, payment.currency, payment.id)
    return reference("entry")
