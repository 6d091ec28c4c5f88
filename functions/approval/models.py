"""What the expenses desk talks about. Amounts are in cents."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field


class Claim(BaseModel):
    number: str
    employee: str
    manager: str
    purpose: str
    amount: Annotated[int, Field(gt=0)]


class Decision(BaseModel):
    """What a manager's answer has to look like."""

    approved: bool
    note: str = ""


class Outcome(BaseModel):
    claim: str
    status: Literal["paid", "declined", "expired", "undeliverable"]
    note: str = ""
    reminded: bool = False
