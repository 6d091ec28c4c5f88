"""Invoices, by a meter that is not always there."""

from __future__ import annotations

from models import Account, Invoice
from references import reference

from lambda_durable import NonRetriableError, RetryAfterError, current_step


class MeterUnavailable(Exception):
    """The usage meter restarts now and then."""


class CardExpired(NonRetriableError):
    """The customer has to give us another one."""


def invoice(account: Account) -> Invoice:
    """Bill a day of usage."""
    return Invoice(id=reference("inv"), account=account.id, amount=_usage(account) * 3)


def _usage(account: Account) -> int:
    number, attempt = int(account.id.removeprefix("acc-")), current_step().attempt
    if account.card_expired:
        raise CardExpired(f"the card of {account.id} has expired")
    if number % 20 == 3 and attempt <= 2:
        raise MeterUnavailable("the usage meter is restarting")
    if number % 40 == 11 and attempt == 1:
        raise RetryAfterError("429: too many requests", after="30s")
    return 100 + number * 17 % 900
