"""What a travel agency talks about. Amounts are in cents."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field


class Trip(BaseModel):
    reference: str
    traveller: str
    city: str
    nights: Annotated[int, Field(ge=1)]
    card: str


class Booking(BaseModel):
    """Something that is ours until it is cancelled."""

    id: str
    price: int


class Payment(BaseModel):
    id: str
    amount: int


class Itinerary(BaseModel):
    reference: str
    hotel: str
    flight: str
    car: str
    payment: str
    tickets: str
