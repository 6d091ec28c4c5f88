"""The contract of `Collectors`, the part of the state in which events are collected."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from samples import HOSTILE, NOW

from lambda_durable.engine.collectors import Collector, Member, Seat, order
from lambda_durable.engine.journal import Payload
from lambda_durable.store import Store

LATER = NOW + 60_000
ONE, TWO = Payload(text='{"n":1}'), Payload(key="events/e2/abc")


def seat(store: Store, *, most: int = 3, room: int = 1_000, since: int = 0) -> tuple[bool, Collector]:
    return store.take_seat("c", 10, most=most, room=room, since=since)


def open_batch(store: Store, opened: int = NOW) -> Collector:
    found = store.collector("c")
    done, collector = store.open_batch("c", found, opened=opened, size=10, until=LATER)
    assert done
    return collector


def collect(store: Store, at: int, id: str = "e", event: Payload = ONE) -> Collector:
    return store.collect_last("c", Collector(opened=at, last=order(at, id), event=event), until=LATER)


# Bursts


def test_nothing_is_collected_at_first(store: Store) -> None:
    assert store.collector("c") == Collector()


def test_the_first_event_opens_a_burst_and_the_last_one_stays(store: Store) -> None:
    first = collect(store, NOW)
    assert first == Collector(opened=NOW, last=order(NOW, "e"), event=ONE)
    assert collect(store, NOW + 5, event=TWO) == Collector(opened=NOW, last=order(NOW + 5, "e"), event=TWO)
    assert collect(store, NOW + 3).event == TWO
    assert collect(store, NOW + 5, "d").event == TWO
    assert collect(store, NOW + 5, "f").event == ONE


def test_when_an_event_joined_that_was_held_is_known_until_the_next(store: Store) -> None:
    held = Collector(opened=LATER, last=order(NOW, "e"), event=ONE, joined=LATER)
    assert store.collect_last("c", held, until=LATER) == held
    assert store.collector("c") == held
    assert collect(store, NOW + 1) == Collector(opened=LATER, last=order(NOW + 1, "e"), event=ONE)
    last = Collector(opened=NOW, last=order(NOW + 2, "e"), event=ONE, joined=LATER + 1)
    found = store.collect_last("c", last, until=LATER)
    assert found == replace(last, opened=LATER)
    assert store.end_burst("c", found)
    assert store.collector("c") == Collector(last=last.last)


def test_an_event_that_comes_again_changes_nothing_even_if_its_burst_is_over(store: Store) -> None:
    first = collect(store, NOW)
    assert collect(store, NOW, event=TWO) == first
    assert store.end_burst("c", first)
    assert collect(store, NOW) == Collector(last=order(NOW, "e"))
    assert collect(store, NOW + 1) == Collector(opened=NOW + 1, last=order(NOW + 1, "e"), event=ONE)


def test_a_burst_is_ended_as_it_was_seen_or_not(store: Store) -> None:
    first = collect(store, NOW)
    second = collect(store, NOW + 1)
    assert not store.end_burst("c", first)
    assert store.end_burst("c", second, next=NOW + 1)
    assert store.collector("c") == Collector(opened=NOW + 1, last=second.last, event=ONE)
    assert not store.end_burst("c", second)


def test_the_latest_wake_is_noted_for_what_goes_on(store: Store) -> None:
    collect(store, NOW)
    for wake, noted in ((LATER, LATER), (LATER - 1, LATER), (LATER + 1, LATER + 1)):
        store.expect_wake("c", NOW, wake)
        assert store.collector("c").wake == noted
    store.expect_wake("c", NOW - 1, LATER + 9)
    assert store.collector("c").wake == LATER + 1
    store.end_burst("c", store.collector("c"), next=NOW + 7)
    assert store.collector("c").wake == 0


# Batches


def test_a_batch_gives_out_its_seats_one_by_one(store: Store) -> None:
    assert seat(store) == (False, Collector())
    assert open_batch(store) == Collector(opened=NOW, seats=1, size=10)
    assert seat(store) == (True, Collector(opened=NOW, seats=2, size=20))
    assert seat(store) == (True, Collector(opened=NOW, seats=3, size=30))
    assert seat(store) == (False, Collector(opened=NOW, seats=3, size=30))


def test_a_batch_gives_out_no_seat_beyond_its_room_or_its_time_or_once_it_is_closed(store: Store) -> None:
    open_batch(store)
    assert not seat(store, room=9)[0]
    assert seat(store, room=10)[0]
    assert not seat(store, since=NOW)[0]
    assert seat(store, since=NOW - 1)[0]
    assert store.close_batch("c", NOW) == 3
    assert not seat(store, most=9)[0]
    assert store.close_batch("c", NOW) == 3


def test_the_next_batch_is_opened_once_and_the_seats_of_the_one_before_are_known(store: Store) -> None:
    open_batch(store)
    seat(store)
    store.close_batch("c", NOW)
    seen = store.collector("c")
    assert seen == Collector(opened=NOW, seats=2, size=20, closed=True)
    assert open_batch(store, NOW + 1) == Collector(opened=NOW + 1, seats=1, size=10)
    done, there = store.open_batch("c", seen, opened=NOW + 2, size=10, until=LATER)
    assert (done, there.opened) == (False, NOW + 1)
    assert store.members("c", NOW) == (2, {})
    assert store.members("c", NOW + 1) == (None, {})
    assert store.close_batch("c", NOW) == 0


def test_a_batch_that_has_its_run_is_forgotten_for_good(store: Store) -> None:
    open_batch(store)
    store.close_batch("c", NOW)
    store.forget_batch("c", NOW, until=LATER)
    open_batch(store, NOW + 1)
    assert store.members("c", NOW) == (0, {})


def test_an_event_has_one_seat(store: Store) -> None:
    first, second, third = (Seat(NOW, number) for number in (1, 2, 3))
    assert store.seat_of("c", "e") is None
    assert store.give_seat("c", "e", first) == first
    assert store.give_seat("c", "e", second) == first
    assert store.seat_of("c", "e") == first
    assert store.give_seat("c", "e", third, instead_of=first) == third
    assert store.give_seat("c", "e", second, instead_of=first) == third
    assert store.seat_of("d", "e") is None


def test_a_seat_is_taken_or_taken_away_once(store: Store) -> None:
    mine, other, nobody = Member("e", ONE), Member("f", TWO), Member()
    assert store.sit_down("c", Seat(NOW, 1), mine, until=LATER) == mine
    assert store.sit_down("c", Seat(NOW, 1), other, until=LATER) == mine
    assert store.sit_down("c", Seat(NOW, 1), nobody, until=LATER) == mine
    assert store.sit_down("c", Seat(NOW, 2), nobody, until=LATER) == nobody
    assert store.sit_down("c", Seat(NOW, 2), mine, until=LATER) == nobody
    assert store.members("c", NOW) == (None, {1: mine, 2: nobody})
    assert store.members("c", NOW + 1) == (None, {})


def test_any_event_id_finds_its_seat(store: Store) -> None:
    for number, id in enumerate(HOSTILE, 1):
        place = order(NOW, id)
        store.give_seat("c", place, Seat(NOW, number))
        store.sit_down("c", Seat(NOW, number), Member(place, ONE), until=LATER)
    _, members = store.members("c", NOW)
    for number, id in enumerate(HOSTILE, 1):
        assert store.seat_of("c", order(NOW, id)) == Seat(NOW, number)
        assert members[number].order == order(NOW, id)


def test_a_full_batch_is_read_whole(store: Store) -> None:
    large = Payload(text="x" * 5_000)
    for number in range(1, 301):
        store.sit_down("c", Seat(NOW, number), Member(str(number), large), until=LATER)
    _, members = store.members("c", NOW)
    assert [members[number].order for number in sorted(members)] == [str(n) for n in range(1, 301)]


def test_each_costs_one_call(store: Store, calls: Counter[str]) -> None:
    collect(store, NOW)
    store.end_burst("c", store.collector("c"))
    assert calls == {"UpdateItem": 2, "GetItem": 1}
    calls.clear()
    open_batch(store)
    seat(store)
    store.give_seat("c", "e", Seat(NOW, 1))
    store.sit_down("c", Seat(NOW, 1), Member("e", ONE), until=LATER)
    assert calls == {"GetItem": 1, "UpdateItem": 2, "PutItem": 2}
