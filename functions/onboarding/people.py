"""What customers do, and who looks after them."""

from __future__ import annotations

import logging

from references import reference

logger = logging.getLogger(__name__)

MANAGERS = ("Grace", "Edsger", "Barbara")


async def has_been_active(user: str) -> bool:
    """Whether the user came back. In production: a query of the usage table."""
    return not user.endswith("-idle")


async def assign_manager(user: str) -> str:
    return MANAGERS[sum(user.encode()) % len(MANAGERS)]


async def book_kickoff(email: str) -> str:
    logger.info("a kick-off with %s", email)
    return reference("meeting")
