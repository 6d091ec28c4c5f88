"""A case that fails is shrunk to one that a person can read."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from lambda_durable.testing import Faults
from tests.simulation import shrink
from tests.simulation.mutants import MUTANTS
from tests.simulation.nodes import Step
from tests.simulation.shrink import Shrinker, story
from tests.simulation.simulate import Setup, simulate
from tests.simulation.workflows import Workflow


@pytest.fixture(autouse=True)
def logs_come_back():
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def planted(bug):
    (mutant,) = [each for each in MUTANTS if each.bug == bug]
    return mutant.planted()


def nodes_in(setup):
    return len(setup.workflow.everything().nodes)


def test_a_case_becomes_a_few_nodes_and_faults_and_fails_the_same_check():
    setups = (Setup.of(seed, opened=True) for seed in range(100))
    large = (setup for setup in setups if 8 < nodes_in(setup) < 20)
    with planted("a retry does not wait"):
        setup = next(setup for setup in large if simulate(setup))
        shrinker = Shrinker(setup, runs=400)
        small = shrinker.shrink()
        assert simulate(small)[0].startswith(shrinker.check)
        told = story(small)
    assert nodes_in(small) <= 3
    assert (small.faults, small.workflow.happenings, small.mode) == (None, [], 1)
    assert 2 <= sum("EFFECT" in line for line in told) <= 8
    assert not simulate(small)  # without the bug


def test_of_the_faults_those_are_left_without_which_all_is_well(monkeypatch):
    monkeypatch.setattr(shrink, "TRIES", 1)
    setup = replace(Setup.of(0), workflow=Workflow([Step(id="s", at_most_once=True)]), seed=25, mode=1)
    setup = replace(setup, faults=Faults(crash=0.9))
    with planted("nothing claims"):
        shrinker = Shrinker(setup, runs=100)
        faults = [line for line in story(shrinker.shrink()) if " FAULT " in line]
    assert shrinker.check == "effects_happen_once_per_attempt"
    assert len(faults) <= 2


def test_what_fails_nothing_is_no_case():
    with pytest.raises(ValueError, match="fails no check"):
        Shrinker(Setup.of(0)).shrink()
