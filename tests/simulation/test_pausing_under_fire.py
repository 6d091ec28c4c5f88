"""Pausing while everything crashes, comes twice, late or never: nothing is lost, and nothing begins meanwhile."""

from __future__ import annotations

import logging

import pytest

from lambda_durable import Event
from lambda_durable.testing import crash_everywhere
from tests.simulation.hunt import find
from tests.simulation.pausing import FAULTS, KINDS, Case, fire, in_turn, kept, turmoil
from tests.simulation.pausing_mutants import PAUSING_MUTANTS

SOON = {"a paused run goes on", "what is held is removed before it goes on"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(1))
@pytest.mark.parametrize("faults", FAULTS)
def test_nothing_begins_while_it_is_paused_and_all_ends_when_it_goes_on(kind, seed, faults):
    assert fire(kind, seed, FAULTS[faults], turmoil) == []


@pytest.mark.parametrize("kind", ["plain", "debounced", "batched"])
@pytest.mark.parametrize("seed", range(1))
@pytest.mark.parametrize("faults", ["everything", "crashes"])
def test_what_is_held_goes_on_in_the_order_in_which_it_came(kind, seed, faults):
    assert fire(kind, seed, FAULTS[faults], in_turn) == []


@pytest.mark.parametrize(
    "mutant", [each for each in PAUSING_MUTANTS if each.bug in SOON], ids=lambda each: each.bug
)
def test_a_planted_bug_is_found(mutant):
    try:
        assert find(mutant, range(5)).seeds is not None
    finally:
        logging.disable(logging.NOTSET)


def drive(case):
    def outside(rt, run):
        case.rt = rt
        rt.advance("3s")
        while not list(rt.runs("f")):
            rt.advance("1m")
        rt.client.pause_run(run.run_id)
        rt.client.pause("f")
        rt.send(Event("job", {"n": 1, "nap": "1s"}, id="e1"))
        rt.advance("5m")
        rt.client.resume("f")
        rt.advance("5m")
        rt.client.resume_run(run.run_id)
        rt.drain()

    return outside


@pytest.mark.parametrize("kind", ["plain", "one"])
def test_a_crash_anywhere_loses_nothing_that_is_held(kind):
    case = Case(kind, 0, None)
    function = case.app.functions["f"]
    for crash in crash_everywhere(
        case.app, function, {"n": 0, "nap": "30s"}, drive=drive(case), steps_per_invocation="all"
    ):
        runs = list(crash.runtime.runs("f"))
        assert len(runs) == 2, crash.point
        assert {run.status for run in runs} == {"completed"}, (crash.point, runs)
        assert kept(crash.runtime) == []
