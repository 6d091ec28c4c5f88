"""Debounce and batch while everything crashes, comes twice, late or never: a burst runs once, with its last event;
batches lose nothing, and repeat nothing."""

from __future__ import annotations

import logging

import pytest

from lambda_durable import Event
from lambda_durable.testing import crash_everywhere
from tests.simulation.collecting import FAULTS, KINDS, Aftermath, fire, make
from tests.simulation.collecting_mutants import COLLECTING_MUTANTS
from tests.simulation.hunt import find


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(1))
@pytest.mark.parametrize("faults", FAULTS)
def test_bursts_run_once_and_batches_lose_and_repeat_nothing(kind, seed, faults):
    assert fire(kind, seed, FAULTS[faults]) == []


@pytest.mark.parametrize(
    ("kind", "faults", "seed"),
    [
        ("quiet", "stops", 2),  # a wake came before its burst was opened, and died
        ("long", "stops", 110),  # two wakes of one minute were one schedule
        ("fives", "everything", 104),  # a copy of a wake that was acknowledged began a run, and died
        ("pairs", "everything", 2),  # a batch that had its run was written down as if it had none
    ],
)
def test_what_was_found_stays_mended(kind, faults, seed):
    assert fire(kind, seed, FAULTS[faults]) == []


SOON = [each for each in COLLECTING_MUTANTS if not each.kept]


@pytest.mark.parametrize("mutant", SOON, ids=lambda each: each.bug)
def test_a_planted_bug_is_found(mutant):
    try:
        assert find(mutant, range(60)).seeds is not None
    finally:
        logging.disable(logging.NOTSET)


def test_a_wake_without_a_stand_in_is_found_by_the_case_that_was_kept():
    (mutant,) = (each for each in COLLECTING_MUTANTS if each not in SOON)
    with mutant.planted():
        assert fire("fives", 104, FAULTS["everything"]) != []


@pytest.mark.parametrize(("kind", "count"), [("quiet", 2), ("pairs", 2)])
def test_a_crash_anywhere_loses_nothing_and_repeats_nothing(kind, count):
    def send(rt, _):
        for n in range(count):
            rt.send(Event("job", {"n": n, "who": "a"}, id=f"e{n}"))
            rt.advance("1s")
        rt.drain()

    app, f = make(kind, "all")
    for crash in crash_everywhere(app, f, {"n": 9, "who": "a"}, drive=send):
        after = Aftermath(crash.runtime, kind)
        after.by_key["a"] = after.runs = [run for run in after.runs if run.run_id != crash.run.run_id]
        assert list(after.wrong()) == [], crash.point
        assert 1 <= len(after.runs) <= count, crash.point
        if crash.point is None:
            ran = [[event.id for event in run.events] for run in after.runs]
            assert ran == ([["e1"]] if kind == "quiet" else [["e0", "e1"]])
