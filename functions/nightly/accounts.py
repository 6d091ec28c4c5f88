"""The accounts that are billed tonight. In production: a query."""

from __future__ import annotations

from models import Account

COUNT = 200
COUNTRIES = ("DE", "FR", "IT", "PL")


def due(count: int) -> list[Account]:
    return [
        Account(id=f"acc-{number:04}", country=COUNTRIES[number % 4], card_expired=number % 50 == 7)
        for number in range(count)
    ]
