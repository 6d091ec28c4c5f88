"""A trip is booked with three companies and paid for, or not at all."""

from __future__ import annotations

import asyncio
from functools import partial

import cars
import flights
import hotels
import payments
import tickets
from models import Itinerary, Trip

from lambda_durable import AsyncContext, Durable, Retry, on_event

app = Durable("travel")


@app.function(
    "saga",
    on_event("travel/trip.requested", Trip),
    retry=Retry(max_attempts=4, initial_delay="2s"),
    labels=lambda event: [event.data.reference],
)
async def saga(ctx: AsyncContext[Trip]) -> Itinerary:
    trip = ctx.event.data
    hotel, flight = await asyncio.gather(
        ctx.step.options(undo=hotels.cancel).run("hotel", hotels.book, trip.city, trip.nights),
        ctx.step.options(undo=flights.cancel).run("flight", flights.book, trip.city),
    )
    car = await ctx.step.options(undo=cars.give_back).run("car", cars.rent, trip.city, trip.nights)

    # The bank takes each reference once, and voids it whether or not it ever came. So one attempt it is; and
    # should it die without telling, what it may have done is undone as well.
    paying = ctx.step.options(
        semantics="at_most_once",
        timeout="20s",
        undo=partial(payments.void, trip.reference),
        undo_if_unknown=True,
    )
    total = hotel.price + flight.price + car.price
    payment = await paying.run("payment", payments.charge, trip.reference, trip.card, total)

    number = await ctx.step.run("tickets", tickets.issue, trip)
    return Itinerary(
        reference=trip.reference,
        hotel=hotel.id,
        flight=flight.id,
        car=car.id,
        payment=payment.id,
        tickets=number,
    )


handler = app.handler
