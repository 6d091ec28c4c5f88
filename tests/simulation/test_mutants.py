"""Planted bugs that the random workflows find soon. All of them: scripts/simulate --mutants."""

from __future__ import annotations

import logging

import pytest

from tests.simulation.hunt import ALL, find
from tests.simulation.mutants import HARMLESS, Mutant

SOON = {
    "a message is acknowledged before it is worked on",
    "a delivery takes what an earlier one of its message committed for another's",
    "a lane moves wherever it stands",
    "dispatch is not memoized",
    "order is not memoized",
    "a branch that ends lets nobody go on",
    "nothing claims",
    "one name for all schedules of a run",
    "a retry does not wait",
    "a time-out is decided by the clock alone",
    "a wait ends twice",
    "nothing is undone",
    "undo begins with what came first",
    "a step does not look whether its run is being undone",
    "an event that is sent again has another id",
    "a message has another id each time",
}


@pytest.fixture(autouse=True)
def logs_come_back():
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("mutant", [each for each in ALL if each.bug in SOON], ids=lambda each: each.bug)
def test_a_planted_bug_is_found(mutant):
    assert find(mutant, range(200)).seeds is not None


def test_each_that_is_found_soon_is_planted():
    assert {each.bug for each in ALL} >= SOON


@pytest.mark.parametrize("mutant", [*ALL, *HARMLESS], ids=lambda each: each.bug)
def test_what_a_bug_is_planted_in_is_there(mutant):
    with mutant.planted():
        pass


def test_a_bug_is_not_planted_in_what_is_gone():
    gone = Mutant("bug", ((Mutant, "renamed", lambda was: was),))
    with pytest.raises(AttributeError, match="has no 'renamed' any more, so 'bug' would plant nothing"):
        gone.planted().__enter__()
