"""Hotels, by way of an aggregator."""

from __future__ import annotations

import logging

from models import Booking
from references import reference

logger = logging.getLogger(__name__)

A_NIGHT = 14_900


async def book(city: str, nights: int) -> Booking:
    logger.info("%s nights in %s", nights, city)
    return Booking(id=reference("hotel"), price=nights * A_NIGHT)


async def cancel(booking: Booking) -> None:
    logger.info("%s: the room is free again", booking.id)
