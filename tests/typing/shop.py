"""What the other files here check types with."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel

from lambda_durable import Durable

app = Durable("store")


class Cart(BaseModel):
    sku: str
    count: int


@dataclass
class Claim:
    id: str


class Receipt(BaseModel):
    claim: str


def lock(sku: str, count: int = 1, *, urgent: bool = False) -> Claim:
    raise NotImplementedError


def count() -> int:
    raise NotImplementedError


def notify(email: str) -> None:
    raise NotImplementedError


async def lock_async(sku: str, count: int = 1, *, urgent: bool = False) -> Claim:
    raise NotImplementedError


async def notify_async(email: str) -> None:
    raise NotImplementedError
