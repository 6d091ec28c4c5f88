"""The ticket office."""

from __future__ import annotations

from models import Trip
from references import reference

from lambda_durable import NonRetriableError


class NoVisa(NonRetriableError):
    """This traveller may not fly there."""


def issue(trip: Trip) -> str:
    if trip.city == "Atlantis":
        raise NoVisa(f"{trip.traveller} needs a visa for {trip.city}")
    return reference("ticket")
