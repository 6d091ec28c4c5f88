"""The airline, whose system is now and then busy."""

from __future__ import annotations

import logging

from models import Booking
from references import reference

from lambda_durable import current_step

logger = logging.getLogger(__name__)

THERE_AND_BACK = 22_000


class Busy(Exception):
    """The airline asks to try again."""


async def book(city: str) -> Booking:
    if current_step().attempt == 1:
        raise Busy("the booking system is busy")
    logger.info("to %s and back", city)
    return Booking(id=reference("flight"), price=THERE_AND_BACK)


async def cancel(booking: Booking) -> None:
    if current_step().attempt == 1:
        raise Busy("the booking system is busy")
    logger.info("%s: the seat is free again", booking.id)
