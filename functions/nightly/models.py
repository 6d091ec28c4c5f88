"""What the nightly billing talks about. Amounts are in cents."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import BaseModel, Field


class Night(BaseModel):
    """The day that is billed, and how many accounts there are."""

    day: date
    accounts: Annotated[int, Field(ge=0, le=10_000)]


class Account(BaseModel):
    id: str
    country: str
    card_expired: bool = False


class Invoice(BaseModel):
    id: str
    account: str
    amount: int


class Report(BaseModel):
    day: date
    invoices: int
    total: int
    failed: dict[str, str]
    """Why, by account."""
