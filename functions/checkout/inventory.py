"""The warehouse. In production: a conditional update of a stock table."""

from __future__ import annotations

import logging
from collections import Counter

from models import Claim, Line
from references import reference

from lambda_durable import NonRetriableError

logger = logging.getLogger(__name__)

IN_STOCK = {"espresso-machine": 4, "grinder": 12, "beans-1kg": 250}


class OutOfStock(NonRetriableError):
    """No later attempt will find more of it."""


def claim(lines: list[Line]) -> Claim:
    """Set the goods aside, all of them or none."""
    wanted: Counter[str] = Counter()
    for line in lines:
        wanted[line.sku] += line.count
    for sku, count in wanted.items():
        if count > IN_STOCK.get(sku, 0):
            raise OutOfStock(f"{count} of {sku!r} are wanted, and {IN_STOCK.get(sku, 0)} are left")
    return Claim(id=reference("claim"), items=dict(wanted))


def release(claim: Claim) -> None:
    """Put the goods back on the shelf."""
    logger.info("%s: %s back on the shelf", claim.id, claim.items)
