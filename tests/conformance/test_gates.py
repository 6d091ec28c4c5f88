"""The contract of `Store`: gates, the slots of those, and their lines."""

from __future__ import annotations

from dataclasses import replace

import pytest
from samples import NOW, RUN, header

from lambda_durable.engine.gates import EMPTY, Gate, Limit, Place, Queueing
from lambda_durable.engine.journal import Header, RunStatus
from lambda_durable.store import Join, Lease, Pass, Store

TWO = Limit(gate="g", slots=2)
OTHER = Limit(gate="other", slots=1)
PACE = Limit(gate="p", interval=1_000, tolerance=0)
LATER = NOW + 60_000


def lease(name: str, *limits: Limit) -> Lease:
    return Lease(name, LATER, limits or (TWO,))


def place(run: str, order: int = 0, generation: int = 1, gate: str = "g", part: str = "x") -> Place:
    return Place(gate, order, run, part, generation)


def wait(store: Store, where: Place, body: str = "{}", limit: Limit = TWO) -> bool:
    return store.wait_in_line(Join(where, limit, EMPTY, body), leaving=None)


def fill(store: Store) -> None:
    assert store.lease(lease("a"), None) is None
    assert store.lease(lease("b"), None) is None


def test_a_gate_lets_as_many_in_as_it_has_slots(store: Store) -> None:
    fill(store)
    refused = store.lease(lease("c"), None)
    assert refused == {"g": Gate(inside={"a": LATER, "b": LATER}, slots=2)}
    assert store.leave("g", "a").inside == {"b": LATER}
    assert store.lease(lease("c"), None) is None


def test_a_slot_is_given_up_once(store: Store) -> None:
    fill(store)
    store.leave("g", "a")
    assert store.leave("g", "a") == Gate(inside={"b": LATER}, slots=2)
    assert store.lease(lease("c"), None) is None
    assert store.lease(lease("d"), None) is not None


def test_all_slots_of_a_lease_or_none(store: Store) -> None:
    assert store.lease(lease("a", OTHER), None) is None
    refused = store.lease(lease("b", TWO, OTHER), None)
    assert refused is not None
    assert refused["other"].inside == {"a": LATER}
    assert store.gate("g") == EMPTY
    store.leave("other", "a")
    assert store.lease(lease("b", TWO, OTHER), None) is None
    assert store.gate("g").inside == store.gate("other").inside == {"b": LATER}


def test_who_comes_lets_those_pass_who_wait(store: Store) -> None:
    fill(store)
    assert wait(store, place("r"))
    store.leave("g", "a")
    refused = store.lease(lease("c"), None)
    assert refused is not None
    assert refused["g"].waiting == 1
    assert store.lease(lease("c"), place("r")) is None
    assert store.line("g", 10).heads == []
    assert store.gate("g").waiting == 0


def test_nobody_waits_at_a_gate_that_is_open(store: Store) -> None:
    assert store.lease(lease("a"), None) is None
    assert not wait(store, place("r"))
    assert store.line("g", 10).heads == []


def test_a_line_goes_by_order_and_run(store: Store) -> None:
    fill(store)
    for run, order in (("r3", 7), ("r1", 5), ("r2", 7), ("r4", 1_000_000_000_000)):
        assert wait(store, place(run, order), body=run)
    assert [each.body for each in store.line("g", 10).heads] == ["r1", "r2", "r3", "r4"]
    line = store.line("g", 2)
    assert [each.place for each in line.heads] == [place("r1", 5), place("r2", 7)]
    assert (line.gate.waiting, len(line.gate.inside)) == (4, 2)


def test_a_part_of_a_run_has_one_place_where_its_newest_message_waits(store: Store) -> None:
    fill(store)
    assert wait(store, place("r", generation=3), body="third")
    assert wait(store, place("r", generation=2), body="second")
    assert wait(store, place("r", generation=4), body="fourth")
    (only,) = store.line("g", 10).heads
    assert (only.body, only.place.generation) == ("fourth", 4)
    assert store.gate("g").waiting == 1
    store.leave("g", "a")
    assert store.lease(lease("c"), place("r", generation=3)) == {}
    assert store.lease(lease("c"), place("r", generation=4)) is None


def test_a_place_is_given_up_once_and_not_to_an_older_message(store: Store) -> None:
    fill(store)
    wait(store, place("r", generation=3))
    wait(store, place("s"))
    store.quit(place("r", generation=2))
    assert store.place(place("r")) == place("r", generation=3)
    store.quit(place("r", generation=4))
    store.quit(place("r", generation=4))
    assert store.place(place("r")) is None
    assert store.gate("g").waiting == 1


def test_who_moves_to_another_line_is_in_one(store: Store) -> None:
    fill(store)
    store.lease(lease("a", OTHER), None)
    wait(store, place("r"))
    there = place("r", gate="other", generation=2)
    assert store.wait_in_line(Join(there, OTHER, EMPTY, "{}"), leaving=place("r"))
    assert store.line("g", 10).heads == []
    assert (store.gate("g").waiting, store.gate("other").waiting) == (0, 1)
    assert [each.place for each in store.line("other", 10).heads] == [there]


def test_a_wake_is_noted_of_who_waits_alone(store: Store) -> None:
    fill(store)
    wait(store, place("r"))
    store.note_wake(place("r"), NOW)
    store.note_wake(place("nobody"), NOW)
    (only,) = store.line("g", 10).heads
    assert only.woken == NOW
    assert store.forget_wake(place("r"))
    assert not store.forget_wake(place("r"))
    assert not store.forget_wake(place("nobody"))
    assert [each.woken for each in store.line("g", 10).heads] == [0]


def test_one_sees_to_it_that_a_line_is_looked_after(store: Store) -> None:
    fill(store)
    seen = store.gate("g")
    assert store.set_wake("g", seen, LATER, "me")
    assert not store.set_wake("g", seen, LATER, "you")
    gate = store.gate("g")
    assert (gate.wake, gate.woken_by) == (LATER, "me")
    assert store.set_wake("g", gate, LATER + 1, "you")


def queued(store: Store) -> Header:
    made = header(status=RunStatus.QUEUED, queueing=Queueing(), check_at=NOW)
    store.create_run(made)
    return made


def test_a_run_passes_its_gates_with_its_header_or_not_at_all(store: Store) -> None:
    before = queued(store)
    after = replace(before, status=RunStatus.RUNNING, queueing=Queueing(inside=("g",), admitted=NOW))
    moves = [Pass(TWO, EMPTY, RUN), Pass(PACE, EMPTY, RUN)]
    assert store.move(before, after, moves, now=NOW)
    assert not store.move(before, after, moves, now=NOW)
    assert store.gate("g").inside == {RUN: 0}
    assert store.gate("p").due == NOW + 1_000
    found = store.get_header(RUN)
    assert found is not None
    assert (found.status, found.queueing) == (RunStatus.RUNNING, after.queueing)


def test_a_run_that_waits_lies_in_the_line_and_in_its_header(store: Store) -> None:
    before = queued(store)
    spot = Place("p", 5, RUN)
    after = replace(before, queueing=Queueing(place=spot, by="me"))
    gate = Gate(due=NOW + 1_000)
    assert not store.move(before, after, [Join(spot, PACE, gate, "{}")], now=NOW)
    other = replace(before, run_id="other")
    store.create_run(other)
    assert store.move(other, replace(other, status=RunStatus.RUNNING), [Pass(PACE, EMPTY, "other")], now=NOW)
    assert store.move(before, after, [Join(spot, PACE, gate, "{}")], now=NOW)
    found = store.get_header(RUN)
    assert found is not None
    assert found.queueing == after.queueing
    assert [each.place for each in store.line("p", 10).heads] == [spot]


@pytest.mark.parametrize("gate", ["#", "a#b", "💥" * 400, "x" * 2_000])
def test_gates_have_any_name(store: Store, gate: str) -> None:
    limit = Limit(gate=gate, slots=1)
    assert store.lease(lease("a", limit), None) is None
    refused = store.lease(lease("b", limit), None)
    assert refused is not None
    assert list(refused) == [gate]
    assert wait(store, place("r" * 500, gate=gate), limit=limit)
    assert [each.place.run for each in store.line(gate, 1).heads] == ["r" * 500]


def test_a_lease_comes_before_those_it_is_ahead_of(store: Store) -> None:
    store.lease(lease("a", OTHER), None)
    there = place("r", gate="other")
    assert store.wait_in_line(Join(there, OTHER, EMPTY, "{}"), leaving=None)
    store.leave("other", "a")
    wanted = lease("b", TWO, OTHER)
    assert store.lease(wanted, None) is not None
    assert store.lease(replace(wanted, ahead={"other"}), None) is None
    assert store.gate("other").waiting == 1


def inside(store: Store, run: str = RUN) -> Header:
    before = header(run_id=run, status=RunStatus.QUEUED, queueing=Queueing(), check_at=NOW)
    store.create_run(before)
    after = replace(before, status=RunStatus.RUNNING, queueing=Queueing(inside=("g",), admitted=NOW))
    assert store.move(before, after, [Pass(TWO, EMPTY, run)], now=NOW)
    return after


def test_a_slot_is_taken_from_who_is_as_it_was_found_and_once(store: Store) -> None:
    before = inside(store)
    inside(store, "other")
    ended = replace(before, status=RunStatus.COMPLETED, ended=NOW)
    assert not store.release("g", RUN, ended)  # it has not ended
    assert not store.release("g", RUN, None)  # nor is it gone
    assert store.gate("g").inside == {RUN: 0, "other": 0}
    assert store.end_run(ended) is None
    assert not store.release("g", RUN, before)
    assert store.release("g", RUN, ended)
    assert not store.release("g", RUN, ended)
    assert store.gate("g").inside == {"other": 0}
    found = store.get_header(RUN)
    assert found is not None
    assert (found.status, found.queueing) == (RunStatus.COMPLETED, ended.queueing)


def test_a_slot_is_taken_from_a_run_that_is_gone_and_leaves_nothing(store: Store) -> None:
    inside(store)
    assert not store.release("g", "nobody", None)
    before = queued_as(store, "nobody")
    assert store.move(before, before, [Pass(OTHER, EMPTY, "gone")], now=NOW)
    assert store.release("other", "gone", None)
    assert store.get_header("gone") is None
    assert store.gate("other").inside == {}


def queued_as(store: Store, run: str) -> Header:
    made = header(run_id=run, status=RunStatus.QUEUED, queueing=Queueing(), check_at=NOW)
    store.create_run(made)
    return made


def test_a_gate_does_not_expire_from_when_somebody_waits_until_it_is_let(store: Store) -> None:
    fill(store)
    assert store.gate("g").expires
    assert wait(store, place("r"))
    assert not store.gate("g").expires
    assert store.set_wake("g", store.gate("g"), LATER, "me")
    assert not store.let_expire("g", NOW)
    assert (store.gate("g").expires, store.gate("g").wake) == (False, LATER)
    store.leave("g", "a")
    assert store.lease(lease("c"), place("r")) is None
    assert not store.gate("g").expires
    assert store.let_expire("g", NOW)
    assert (store.gate("g").expires, store.gate("g").wake) == (True, 0)
    assert store.let_expire("nobody", NOW)
    assert store.gate("nobody") == EMPTY


def test_a_gate_with_a_pace_does_not_expire_while_somebody_waits(store: Store) -> None:
    first, second = queued_as(store, "first"), queued_as(store, "second")
    assert store.move(first, replace(first, status=RunStatus.RUNNING), [Pass(PACE, EMPTY, "first")], now=NOW)
    gate, spot = store.gate("p"), Place("p", 5, "second")
    waits = replace(second, queueing=Queueing(place=spot))
    assert gate.expires
    assert store.move(second, waits, [Join(spot, PACE, gate, "{}")], now=NOW)
    assert not store.gate("p").expires
    goes = replace(waits, status=RunStatus.RUNNING, queueing=Queueing(admitted=NOW))
    assert store.move(waits, goes, [Pass(PACE, store.gate("p"), "second", spot)], now=NOW)
    assert not store.gate("p").expires
    store.let_expire("p", NOW)
    assert store.gate("p").expires


def test_what_was_noted_of_a_wake_is_so_for_who_notes_it_again(store: Store) -> None:
    fill(store)
    seen = store.gate("g")
    assert store.set_wake("g", seen, LATER, "me")
    assert store.set_wake("g", seen, LATER, "me")  # its response was lost
    assert not store.set_wake("g", seen, LATER, "you")
