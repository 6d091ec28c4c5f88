"""The part of the state (store.py) in which events are collected: a contract in docstrings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from .engine.collectors import Collector, Member, Seat


class Collectors(Protocol):
    """Collectors, by their names. What is written for one that goes on `until` then (milliseconds) lives as long."""

    def collector(self, name: str) -> Collector: ...

    def collect_last(self, name: str, burst: Collector, *, until: int) -> Collector:
        """Make the event of a burst the last of the one that goes on, unless one that is not before it was ever the
        last: then nothing changes. If none goes on, this one does. The collector as it is now."""
        ...

    def end_burst(self, name: str, seen: Collector, *, next: int = 0) -> bool:
        """End the burst that was `seen`, if its last event still is; with `next`, its last event then is the first of
        another, which was opened at that time. Whether it did."""
        ...

    def expect_wake(self, name: str, opened: int, wake: int) -> None:
        """Note that a wake is on its way for what was `opened` then, unless a later one is known to be."""
        ...

    def take_seat(self, name: str, size: int, *, most: int, room: int, since: int) -> tuple[bool, Collector]:
        """Take the next seat of the batch that is open, for an event of `size` bytes, if fewer than `most` are taken,
        no more than `room` bytes, and it was opened `since` then. Whether it did, and the collector as it is now. Of a
        seat that nobody comes to, nothing is missed."""
        ...

    def close_batch(self, name: str, opened: int) -> int:
        """Have a batch give out no seats any more; how many it has given out, if it is the one that was opened last,
        and else 0. Idempotent."""
        ...

    def forget_batch(self, name: str, opened: int, *, until: int) -> None:
        """A batch has its run: from now on it is as if none of its seats had been given out. Idempotent."""
        ...

    def open_batch(
        self, name: str, seen: Collector, *, opened: int, size: int, until: int
    ) -> tuple[bool, Collector]:
        """Open another batch than the one that was `seen`, which is closed, and take its first seat; how many seats
        the one before had is written down first. Whether it did, and the collector as it is now."""
        ...

    def seat_of(self, name: str, order: str) -> Seat | None:
        """The seat that an event was given, for fifteen days at least."""
        ...

    def give_seat(self, name: str, order: str, seat: Seat, *, instead_of: Seat | None = None) -> Seat:
        """Give an event a seat, if it has none, or that one. The one that it has now."""
        ...

    def sit_down(self, name: str, seat: Seat, member: Member, *, until: int) -> Member:
        """Put an event at its seat, or take the seat away, if nobody is there. Who is there now."""
        ...

    def members(self, name: str, opened: int) -> tuple[int | None, Mapping[int, Member]]:
        """How many seats a batch had, if that was written down, and who is there, by the numbers of the seats."""
        ...
