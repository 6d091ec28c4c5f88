"""Mail. In production: SES."""

from __future__ import annotations

import logging

from references import reference

from lambda_durable import NonRetriableError

logger = logging.getLogger(__name__)


class Bounced(NonRetriableError):
    """Nobody lives there."""


def send(template: str, email: str) -> str:
    """Send a template to an address; returns the id of the message."""
    if "@" not in email or email.endswith(".invalid"):
        raise Bounced(f"{email!r} does not take mail")
    logger.info("to %s: %s", email, template)
    return reference("mail")
