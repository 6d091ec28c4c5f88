"""Mail, as it would go out. A message with a number that has been sent before is not sent again."""

from __future__ import annotations

import logging

from models import Claim, Outcome

from lambda_durable import Callback, NonRetriableError, current_step

logger = logging.getLogger(__name__)

ANSWER = "https://expenses.example/answer?token="
"""Where a page asks yes or no, and hands the token back: `Client().complete_callback(token, {"approved": True})`."""


def ask(claim: Claim, callback: Callback) -> str:
    """Ask the manager. Whoever has the link can answer, so it is in nobody else's mail, and in no log."""
    by = callback.deadline.date()
    body = f"{claim.employee} claims {_euros(claim)} for {claim.purpose}. By {by}: {ANSWER}{callback.token}"
    return send(claim.manager, f"Claim {claim.number}: {_euros(claim)}", body)


def remind(claim: Claim) -> str:
    """A reply to the first mail, which has the link."""
    return send(claim.manager, f"Re: Claim {claim.number}: {_euros(claim)}", "We asked you a day ago.")


def tell(claim: Claim, outcome: Outcome) -> str:
    return send(claim.employee, f"Claim {claim.number}: {outcome.status}", outcome.note)


def send(to: str, subject: str, body: str) -> str:
    if to.endswith(".invalid"):
        raise NonRetriableError(f"{to} does not exist")
    logger.info("to %s: %s (%s characters)", to, subject, len(body))
    return f"<{current_step().idempotency_key}@expenses.example>"


def _euros(claim: Claim) -> str:
    return f"{claim.amount / 100:.2f} EUR"
