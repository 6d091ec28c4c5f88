"""Collectors on DynamoDB: the last events of bursts, and batches with the events at their seats.

    d#<name>            !          o: when what goes on was opened, l: the order of the last event, v, V: the event with
                                   which a burst's run starts, j: when that one joined, if it had been held; n, z:
                                   seats and bytes that a batch has given out, c: it gives out no more; w: for when a
                                   wake is on its way
    d#<name>#<opened>   <seat>     an event of a batch: l its order, v, V the event (neither: the seat was taken away)
    d#<name>#<opened>   !          n: how many seats a batch had that is over; 0 once it has its run
    m#<digest>          !          the seat that an event was given: o, n

Each write is of one item: no two conflict, and a busy collector takes what an item of DynamoDB takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from ..engine.collectors import EMPTY, Collector, Member, Seat
from . import keys
from .attributes import integer, named, names_damage, number, put_payload, read_payload, read_text, text
from .table_calls import NOTHING_IS_THERE, TableCalls

if TYPE_CHECKING:
    from .attributes import Item

STATE = "!"
A_BURST = 160  # about the bytes of its item without its event
MEMORY = timedelta(days=15)
"""For how long it is remembered where an event was collected. SQS: a message is kept for 14 days at most."""


def partition(name: str, opened: int | None = None) -> str:
    return f"d#{name}" if opened is None else f"d#{name}#{opened}"


def _mark(name: str, order: str) -> str:
    return f"m#{keys.digest(f'{name}#{order}')}"


def _sort(seat: Seat) -> str:
    return f"{seat.number:06d}"


class CollectorStore(TableCalls):
    """The part of the `Store` port that is in collectors.py."""

    def collector(self, name: str) -> Collector:
        found = self._get(partition(name), STATE)
        return _collector(found) if found else EMPTY

    # Bursts

    def collect_last(self, name: str, burst: Collector, *, until: int) -> Collector:
        item: Item = {"l": text(burst.last), "x": number(self._expiry(until))}
        put_payload(item, burst.event, "v", "V", beside=A_BURST)
        if burst.joined:
            item["j"] = number(burst.joined)
        values = named(item) | {":o": number(burst.opened)}
        changes = ", ".join(f"{each} = :{each}" for each in item)
        others = ", ".join(each for each in ("v", "V", "j") if each not in item)
        _, found = self._update(
            partition(name),
            STATE,
            f"SET o = if_not_exists(o, :o), {changes} REMOVE {others}",
            values,
            condition="attribute_not_exists(l) OR l < :l",
            returning="ALL_NEW",
        )
        return _collector(found)

    def end_burst(self, name: str, seen: Collector, *, next: int = 0) -> bool:
        change, values = "SET x = :x REMOVE o, w, v, V, j", {":x": number(self._soon())}
        if next:
            change, values = "SET o = :o REMOVE w", {":o": number(next)}
        values |= {":seen": number(seen.opened), ":last": text(seen.last)}
        done, _ = self._update(partition(name), STATE, change, values, condition="o = :seen AND l = :last")
        return done

    def expect_wake(self, name: str, opened: int, wake: int) -> None:
        values = {":o": number(opened), ":w": number(wake)}
        condition = "o = :o AND (attribute_not_exists(w) OR w < :w)"
        self._update(partition(name), STATE, "SET w = :w", values, condition=condition)

    # Batches

    def take_seat(self, name: str, size: int, *, most: int, room: int, since: int) -> tuple[bool, Collector]:
        values = {":one": number(1), ":size": number(size), ":most": number(most), ":room": number(room)}
        taken, found = self._update(
            partition(name),
            STATE,
            "ADD n :one, z :size",
            values | {":since": number(since)},
            condition="o > :since AND attribute_not_exists(c) AND n < :most AND z <= :room",
            returning="ALL_NEW",
        )
        return taken, _collector(found) if found else EMPTY

    def close_batch(self, name: str, opened: int) -> int:
        values = {":one": number(1), ":o": number(opened)}
        closed, found = self._update(
            partition(name), STATE, "SET c = :one", values, condition="o = :o", returning="ALL_NEW"
        )
        return _collector(found).seats if closed else 0

    def forget_batch(self, name: str, opened: int, *, until: int) -> None:
        over = {"pk": text(partition(name, opened)), "sk": text(STATE)}
        self._put({**over, "n": number(0), "x": number(self._expiry(until))})

    def open_batch(
        self, name: str, seen: Collector, *, opened: int, size: int, until: int
    ) -> tuple[bool, Collector]:
        expiry, condition = number(self._expiry(until)), "attribute_not_exists(o)"
        values = {":o": number(opened), ":one": number(1), ":size": number(size), ":x": expiry}
        if seen.opened:
            over = {"pk": text(partition(name, seen.opened)), "sk": text(STATE)}
            self._put({**over, "n": number(seen.seats), "x": expiry}, NOTHING_IS_THERE)
            condition, values = "o = :seen", values | {":seen": number(seen.opened)}
        done, found = self._update(
            partition(name),
            STATE,
            "SET o = :o, n = :one, z = :size, x = :x REMOVE c, w",
            values,
            condition=condition,
            returning="ALL_NEW",
        )
        return done, _collector(found) if found else EMPTY

    def seat_of(self, name: str, order: str) -> Seat | None:
        found = self._get(_mark(name, order), STATE)
        return _seat(found) if found else None

    def give_seat(self, name: str, order: str, seat: Seat, *, instead_of: Seat | None = None) -> Seat:
        item = {"pk": text(_mark(name, order)), "sk": text(STATE), "x": number(self._soon())}
        condition, values = NOTHING_IS_THERE, None
        if instead_of is not None:
            condition += " OR (o = :o AND n = :n)"
            values = {":o": number(instead_of.opened), ":n": number(instead_of.number)}
        found = self._put({**item, "o": number(seat.opened), "n": number(seat.number)}, condition, values)
        return seat if found is None else _seat(found)

    def sit_down(self, name: str, seat: Seat, member: Member, *, until: int) -> Member:
        item = {
            "pk": text(partition(name, seat.opened)),
            "sk": text(_sort(seat)),
            "x": number(self._expiry(until)),
        }
        if member.order:
            item["l"] = text(member.order)
        put_payload(item, member.event, "v", "V")
        found = self._put(item, NOTHING_IS_THERE)
        return member if found is None else _member(found)

    def members(self, name: str, opened: int) -> tuple[int | None, Mapping[int, Member]]:
        seats, found = None, {}
        for item in self._partition(partition(name, opened)):
            if item["sk"]["S"] == STATE:
                seats = integer(item, "n")
            else:
                found[int(item["sk"]["S"])] = _member(item)
        return seats, found

    def _soon(self) -> int:
        return int((self._clock.now() + MEMORY).timestamp())


@names_damage
def _collector(item: Item) -> Collector:
    return Collector(
        opened=integer(item, "o") or 0,
        last=read_text(item, "l"),
        event=read_payload(item, "v", "V"),
        joined=integer(item, "j") or 0,
        seats=integer(item, "n") or 0,
        size=integer(item, "z") or 0,
        closed="c" in item,
        wake=integer(item, "w") or 0,
    )


@names_damage
def _seat(item: Item) -> Seat:
    return Seat(int(item["o"]["N"]), int(item["n"]["N"]))


@names_damage
def _member(item: Item) -> Member:
    return Member(read_text(item, "l"), read_payload(item, "v", "V"))
