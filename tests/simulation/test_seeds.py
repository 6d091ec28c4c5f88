"""Random workflows under random faults: the first hundred seeds, and those that found a bug once.

`scripts/simulate --seeds 2000` does more of them. When the generator changes, a seed stands for something
else; then let the seeds of REGRESSIONS go, and look for others.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from tests.simulation.messages import MESSAGES
from tests.simulation.profiles import WHOLE
from tests.simulation.simulate import Setup, simulate

REGRESSIONS = {
    "a copy that acknowledged the message of a delivery that was still at work": (404798,),
    "a stray delivery that took the lead, and died": (104221, 303298, 102895),
    "a sleep that was handed out by a redelivery, and registered by an earlier message": (101851,),
    "a map that was joined while a branch that had been handed out ran its first attempt": (100691,),
    "a follower that took the lead from who ran the steps whose outcome it saw": (50581, 101976),
    "no time for another step, while one that was abandoned still ran": (2870,),
    "two deliveries side by side, each of which ran all attempts": (1576, 1775),
    "a stray delivery ended a branch whose message another one had acknowledged": (1115,),
    "a join of steps that were handed out went on without the lead": (1925, 10015),
    "a delivery died after another one of its message was acknowledged": (20093,),
    "a redelivered message whose wait it had settled itself": (8, 19, 28, 137),
    "a follower that could not enter what enclosed its work": (35, 178, 355),
    "a join by a follower": (75, 263),
    "branches that began together with one that failed": (72, 76, 245),
    "schedules in the past": (18, 112),
    "a map that forgot return_exceptions": (140, 195),
    "a leaf that forgot its attempts": (16, 38),
    "handing out and going on in one generation": (160,),
    "a lagging clock, and a sleep that is over": (185, 315),
    "an attempt that lost to a claim": (265,),
}
KEPT = {seed for seeds in REGRESSIONS.values() for seed in seeds}
FRESH = [seed for seed in range(100) if seed not in KEPT]


LOSING = [*range(40), 109]
"""The same, and messages and schedules are lost. 109: a check that a nested scope had overtaken."""


OPEN = [*range(60), 1000823]
"""The outside world takes part: waits, other runs, events, cancels; and what was done is undone. 1000823: a message
gave up what a step had invoked, and died before it was cancelled; another one ended the group and the run."""


BACKS = {
    "waits that were all ended as they looked back": (871,),
    "a wait that each message looked back on, and sent one that looks back again": (0, 692),
    "who looked back removed a waiter that another one was to find when it came again": (2960, 5580),
    "a wait whose time was over, and which nobody had been able to find": (5300, 2159, 2517),
    "a process that froze between a wait and its waiter": (5294,),
    "who looked back again let others find a wait that was over": (1334, 1959, 3663, 4482),
    "two wakes at one time, and an event that comes": (4519, 5890),
}
"""Of the profile in which waits look back."""


def complaint(seed: int, **kind: Any) -> str:
    setup = Setup.of(seed, **kind)
    wrong = simulate(setup)
    if not wrong:
        return ""
    told = "\n".join(f"  - {text}" for text in wrong)
    options = f" --profile {kind.get('profile', WHOLE)}" if kind.get("opened", False) else " --closed"
    options += " --lose" * kind.get("lose", False)
    return f"{setup.text()}\n{told}\n  replay: scripts/simulate --seed {seed} --seeds 1 --verbose{options}"


def fail_on(complaints: Iterable[str]) -> None:
    if found := "\n\n".join(filter(None, complaints)):
        pytest.fail(found, pytrace=False)


@pytest.mark.parametrize("first", range(0, len(FRESH), 5))
def test_a_run_keeps_every_promise_whatever_happens(first):
    fail_on(complaint(seed) for seed in FRESH[first : first + 5])


@pytest.mark.parametrize("first", range(0, len(LOSING), 5))
def test_a_run_is_found_again_when_its_message_is_lost(first):
    fail_on(complaint(seed, lose=True) for seed in LOSING[first : first + 5])


@pytest.mark.parametrize("first", range(0, len(OPEN), 5))
def test_a_run_keeps_every_promise_whatever_the_world_does(first):
    fail_on(complaint(seed, opened=True) for seed in OPEN[first : first + 5])


@pytest.mark.parametrize("first", range(0, 20, 5))
def test_a_run_is_found_again_whatever_the_world_does(first):
    fail_on(complaint(seed, opened=True, lose=True) for seed in OPEN[first : first + 5])


@pytest.mark.parametrize("first", range(0, 15, 5))
def test_who_follows_hears_each_message_once_and_in_order(first):
    fail_on(complaint(seed, opened=True, profile=MESSAGES) for seed in range(first, first + 5))


@pytest.mark.parametrize(
    ("bug", "seed"), [(bug, seed) for bug, seeds in REGRESSIONS.items() for seed in seeds]
)
def test_a_bug_that_was_mended_stays_so(bug, seed):
    if found := complaint(seed):
        pytest.fail(f"{bug}, again?\n{found}", pytrace=False)


@pytest.mark.parametrize("seed", [0, 7, 265])
def test_a_seed_does_the_same_every_time(seed, capsys):
    def trace():
        simulate(Setup.of(seed), verbose=True)
        return capsys.readouterr().out.splitlines()

    first = trace()
    assert any("EFFECT" in line for line in first)
    assert first == trace()


@pytest.mark.parametrize("seeds", BACKS.values(), ids=BACKS)
def test_waits_that_look_back_keep_every_promise(seeds):
    fail_on(complaint(seed, opened=True, profile="backs") for seed in seeds)
