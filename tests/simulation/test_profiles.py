"""Narrow workflows: cases of each profile hold, and a seed's profile is its own."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.simulation.profiles import PROFILES, WHOLE, profile_of
from tests.simulation.simulate import Setup, simulate


@pytest.mark.parametrize("profile", PROFILES)
def test_a_narrow_workflow_keeps_every_promise(profile):
    for seed in range(3):
        setup = Setup.of(seed, opened=True, profile=profile)
        assert simulate(setup) == [], setup.text()


def test_most_seeds_have_the_whole_and_each_profile_is_drawn():
    drawn = Counter(map(profile_of, range(400)))
    assert set(drawn) == {WHOLE, *PROFILES}
    assert drawn[WHOLE] > 200


def test_a_seed_stands_for_the_workflow_of_the_profile_that_it_draws():
    seed = next(seed for seed in range(400) if profile_of(seed) == "waits")
    own = Setup.of(seed, opened=True, profile=None)
    assert own == Setup.of(seed, opened=True, profile="waits")
    assert own != Setup.of(seed, opened=True)
