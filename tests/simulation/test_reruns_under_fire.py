"""Random workflows are done again from random steps, under faults: the outcome is one that the workflow could have."""

from __future__ import annotations

import logging

import pytest

from tests.simulation.hunt import find
from tests.simulation.rerun_mutants import RERUN_MUTANTS
from tests.simulation.reruns import simulate

SOON = {"a rerun keeps what came after the step, too", "who finds some of what is kept takes it for all"}


@pytest.mark.parametrize("opened", [False, True])
@pytest.mark.parametrize("seeds", [range(3), range(3, 6)], ids=str)
def test_a_rerun_ends_as_the_workflow_says(seeds, opened):
    for seed in seeds:
        assert simulate(seed, opened=opened) == [], seed


@pytest.mark.parametrize("seed", [35, 74])
def test_the_order_in_what_is_in_progress_is_read_before_what_is_added_to_it(seed):
    assert simulate(seed) == []


def test_a_branch_that_failed_keeps_no_other_from_being_done_anew():
    assert simulate(278) == []


@pytest.mark.parametrize(
    "mutant", [each for each in RERUN_MUTANTS if each.bug in SOON], ids=lambda each: each.bug
)
def test_a_planted_bug_is_found(mutant):
    try:
        assert find(mutant, range(12)).seeds is not None
    finally:
        logging.disable(logging.NOTSET)
