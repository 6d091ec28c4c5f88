"""The contract of `Store`: pauses, and what is kept as long as they last."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from samples import HOSTILE, NOW, RUN, header

from lambda_durable.engine.journal import RunStatus
from lambda_durable.pauses import Held, Hold, Pause
from lambda_durable.store import Store

FIRST = Pause(number=1, at=NOW)
OVER = replace(FIRST, over=True)
SECOND = Pause(number=2, at=NOW + 1, events="skip", runs="cancel")

OF_F = Hold(number=1, function="f")
OF_RUN = Hold(number=1, run=RUN)


def bodies(store: Store, hold: Hold) -> list[str]:
    return [body for _, _, body in store.parked(hold)]


# Pauses of functions


def test_no_function_is_paused_at_first(store: Store) -> None:
    assert store.pauses() == {}
    assert store.pauses(latest=True) == {}


def test_the_newest_pause_of_each_function_is_known(store: Store) -> None:
    assert store.change_pause("f", None, FIRST)
    assert store.change_pause("g", None, SECOND)
    assert store.pauses(latest=True) == {"f": FIRST, "g": SECOND}
    assert store.change_pause("f", FIRST, OVER)
    assert store.change_pause("f", OVER, SECOND)
    assert store.pauses(latest=True) == {"f": SECOND, "g": SECOND}


def test_a_pause_is_written_only_in_place_of_the_one_that_was_seen(store: Store) -> None:
    assert store.change_pause("f", None, FIRST)
    assert not store.change_pause("f", None, SECOND)
    assert store.change_pause("f", FIRST, OVER)
    assert not store.change_pause("f", FIRST, SECOND)
    assert store.pauses(latest=True) == {"f": OVER}


def test_a_pause_that_is_written_again_is_as_it_was_to_be(store: Store) -> None:
    assert store.change_pause("f", None, FIRST)
    assert store.change_pause("f", None, FIRST)
    assert store.change_pause("f", FIRST, OVER)
    assert store.change_pause("f", FIRST, OVER)


def test_any_function_id_has_its_pause(store: Store) -> None:
    for number, id in enumerate(HOSTILE, 1):
        assert store.change_pause(id, None, replace(FIRST, number=number))
    assert {id: pause.number for id, pause in store.pauses(latest=True).items()} == {
        id: number for number, id in enumerate(HOSTILE, 1)
    }


# Pauses of runs


@pytest.mark.parametrize("status", [RunStatus.RUNNING, RunStatus.QUEUED])
def test_a_run_is_paused_and_goes_on(store: Store, status: RunStatus) -> None:
    store.create_run(header(status=status))
    paused = store.change_pauses_of_run(RUN, 0, 1)
    assert paused is not None
    assert (paused.pauses, paused.paused) == (1, True)
    assert store.get_header(RUN) == paused
    resumed = store.change_pauses_of_run(RUN, 1, -1)
    assert resumed is not None
    assert (resumed.pauses, resumed.paused) == (-1, False)


def test_the_pause_of_a_run_is_changed_only_as_it_was_seen(store: Store) -> None:
    store.create_run(header())
    store.change_pauses_of_run(RUN, 0, 1)
    for before, after in ((0, 1), (-1, 2), (2, -2)):
        found = store.change_pauses_of_run(RUN, before, after)
        assert found is not None
        assert found.pauses == 1


@pytest.mark.parametrize("status", [RunStatus.COMPLETED, RunStatus.CANCELLING, RunStatus.COMPENSATING])
def test_a_run_that_is_over_or_is_to_end_is_not_paused(store: Store, status: RunStatus) -> None:
    store.create_run(header(status=status))
    found = store.change_pauses_of_run(RUN, 0, 1)
    assert found is not None
    assert (found.status, found.pauses) == (status, 0)


def test_a_run_that_is_not_there_is_not_paused(store: Store) -> None:
    assert store.change_pauses_of_run(RUN, 0, 1) is None
    assert store.get_header(RUN) is None


# What is kept


@pytest.mark.parametrize("hold", [OF_F, OF_RUN], ids=["function", "run"])
def test_what_is_kept_is_listed_by_its_key_until_it_is_kept_no_longer(store: Store, hold: Hold) -> None:
    for number in (3, 1, 2):
        store.park(hold, f"e#{number}", f"body {number}")
    assert list(store.parked(hold)) == [(hold, f"e#{number}", f"body {number}") for number in (1, 2, 3)]
    store.unpark(hold, "e#2")
    store.unpark(hold, "e#2")
    assert bodies(store, hold) == ["body 1", "body 3"]


@pytest.mark.parametrize("hold", [OF_F, OF_RUN], ids=["function", "run"])
def test_what_is_kept_twice_is_kept_once(store: Store, hold: Hold) -> None:
    store.park(hold, "c#1", "body")
    store.park(hold, "c#1", "body")
    assert bodies(store, hold) == ["body"]


@pytest.mark.parametrize("hold", [OF_F, OF_RUN], ids=["function", "run"])
def test_a_pause_has_what_those_before_it_left_but_nothing_of_a_later_one(store: Store, hold: Hold) -> None:
    for number in (1, 2, 3):
        store.park(replace(hold, number=number), "c#1", f"of {number}")
    found = list(store.parked(replace(hold, number=2)))
    assert [(since.number, body) for since, _, body in found] == [(1, "of 1"), (2, "of 2")]
    store.unpark(found[0][0], "c#1")
    assert bodies(store, replace(hold, number=3)) == ["of 2", "of 3"]


def test_functions_and_runs_keep_apart(store: Store) -> None:
    holds = [OF_F, replace(OF_F, function="g"), OF_RUN, replace(OF_RUN, run=f"{RUN}x")]
    for number, hold in enumerate(holds):
        store.park(hold, "c#1", str(number))
    assert [bodies(store, hold) for hold in holds] == [["0"], ["1"], ["2"], ["3"]]


def test_hundreds_are_listed_in_their_order(store: Store) -> None:
    for number in range(300):
        store.park(OF_F, f"e#{number:04d}", "x" * 5_000)
    assert [key for _, key, _ in store.parked(OF_F)] == [f"e#{number:04d}" for number in range(300)]


def test_what_is_held_of_a_function_is_counted_by_kind_up_to_a_bound(
    store: Store, calls: Counter[str]
) -> None:
    assert store.held("f", most=100) == Held()
    for number in range(40):
        store.park(replace(OF_F, number=number % 2 + 1), f"e#{number}", "{}")
    for number in range(5):
        store.park(OF_F, f"c#{number}", "{}")
    store.park(replace(OF_F, function="g"), "e#1", "{}")
    assert store.held("f", most=800) == Held(events=40, messages=5)
    calls.clear()
    some = store.held("f", most=16)
    assert some.more
    assert 2 <= some.events + some.messages <= 16
    assert calls["Query"] <= 16  # one for each partition, and whether there is more


def test_each_costs_one_call(store: Store, calls: Counter[str]) -> None:
    store.pauses()
    store.change_pause("f", None, FIRST)
    store.park(OF_F, "e#1", "{}")
    store.unpark(OF_F, "e#1")
    assert calls == {"GetItem": 1, "UpdateItem": 1, "PutItem": 1, "DeleteItem": 1}
