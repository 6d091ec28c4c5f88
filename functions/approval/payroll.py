"""The payroll."""

from __future__ import annotations

import logging

logger = logging.getLogger(__name__)


def add(employee: str, claim: str, amount: int) -> None:
    """Pay it with the next salary. A claim that is there already stays as it is."""
    logger.info("%s gets %s cents for %s", employee, amount, claim)
