"""What the shop talks about. Amounts are in cents."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field


class Line(BaseModel):
    sku: str
    count: Annotated[int, Field(ge=1)]
    price: Annotated[int, Field(ge=0)]


class Cart(BaseModel):
    order: str
    email: str
    card: str
    currency: str = "EUR"
    lines: Annotated[list[Line], Field(min_length=1)]

    @property
    def total(self) -> int:
        return sum(line.count * line.price for line in self.lines)


class Claim(BaseModel):
    """Stock that is set aside for an order."""

    id: str
    items: dict[str, int]


class Payment(BaseModel):
    id: str
    card: str
    amount: int
    currency: str


class Receipt(BaseModel):
    order: str
    claim: str
    payment: str
    ledger_entry: str
    amount: int
    currency: str
