"""Collectors: where events wait for the one run that is made of them. Plain data and decisions, no I/O.

Of a `Debounce`, a collector holds the last event of a *burst*. Of a `Batch`, it gives out *seats*, and each event lies
at its own. Bursts and batches are named by when they were opened, which is later for each than for the one before.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..durations import in_millis
from ..flow_control import FlowControl
from .journal import Payload


@dataclass(frozen=True, slots=True, kw_only=True)
class Collector:
    """A collector as it is.

    `opened` (milliseconds) is the burst that goes on, or the batch that was opened last; 0 if there is none. `last` is
    the place in the order of the last event ever, and `event` the one with which a burst's run is to start; `joined` is
    when that one came here, if it had been held before, since its function was paused. `seats` and `size` (bytes of
    JSON) are what a batch has given out; one that is `closed` gives out no more. `wake` is for when a message that goes
    on with it is known to be on its way.
    """

    opened: int = 0
    last: str = ""
    event: Payload | None = None
    joined: int = 0
    seats: int = 0
    size: int = 0
    closed: bool = False
    wake: int = 0


@dataclass(frozen=True, slots=True, order=True)
class Seat:
    """A seat of the batch that was `opened` then; the first has the number 1."""

    opened: int
    number: int


@dataclass(frozen=True, slots=True)
class Member:
    """An event at its seat, and its place in the order. Without an event the seat was taken away from whoever did not
    come, and who does come takes another."""

    order: str = ""
    event: Payload | None = None


EMPTY = Collector()


def order(seen: int, event_id: str) -> str:
    """The place of an event in the order of all: by when it was first seen (milliseconds), then by id."""
    return f"{seen:013d}#{event_id}"


def seen_of(order: str) -> int:
    return int(order.partition("#")[0] or 0)


def came(collector: Collector) -> int:
    """When (milliseconds) the last event of a burst came."""
    return max(seen_of(collector.last), collector.joined)


def id_of(order: str) -> str:
    return order.partition("#")[2]


def due(flow: FlowControl | None, collector: Collector) -> int:
    """When (milliseconds) a run is made of what was collected; at once, where the code says no more."""
    if flow is not None and flow.batch is not None:
        return collector.opened + in_millis(flow.batch.timeout)
    if flow is not None and flow.debounce is not None:
        quiet = came(collector) + in_millis(flow.debounce.period)
        longest = flow.debounce.timeout
        return quiet if longest is None else min(quiet, collector.opened + in_millis(longest))
    return 0
