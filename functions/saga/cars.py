"""Rental cars."""

from __future__ import annotations

import logging

from models import Booking
from references import reference

from lambda_durable import NonRetriableError

logger = logging.getLogger(__name__)

A_DAY = 5_900
WITHOUT_ROADS = {"Venice"}


class NoCars(NonRetriableError):
    """Nobody rents cars there."""


def rent(city: str, days: int) -> Booking:
    if city in WITHOUT_ROADS:
        raise NoCars(f"there are no cars in {city}")
    return Booking(id=reference("car"), price=days * A_DAY)


def give_back(booking: Booking) -> None:
    logger.info("%s: the car is free again", booking.id)
