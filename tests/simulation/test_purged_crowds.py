"""Crowds whose queue is purged, again and again: no limit is exceeded, and all are served once the doctor was there."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from lambda_durable.aws.leftovers import Leftovers
from lambda_durable.doctor.examination import Patient, examine
from lambda_durable.runtime.executor import NoExecutor
from lambda_durable.testing import LocalRuntime
from lambda_durable.testing.fakes import VirtualClock
from tests.simulation.crowds import FAULTS, KINDS, Crowd, play

OVER = {"completed", "failed", "cancelled", "skipped"}

VISITS = 12


def purge(runtime: LocalRuntime) -> None:
    """What `aws sqs purge-queue` and the deletion of all schedules do. Whoever is at work then is killed, too."""
    runtime._simulation._events.clear()
    runtime._scheduler._schedules.clear()


def see_the_doctor(runtime: LocalRuntime) -> None:
    """Bring all to its end, without a reconciler."""
    runtime.drain()
    for _ in range(VISITS):
        if all(run.status in OVER for run in runtime.runs()):
            return
        runtime.advance("31m")
        world = runtime._world(VirtualClock(runtime._simulation), NoExecutor())
        left = Leftovers(runtime.aws("dynamodb"), "lambda-durable", None, "")
        list(examine(Patient(world=world, left=left), fix=True, deep=True))
        runtime.drain()


def wait_for_the_reconciler(runtime: LocalRuntime) -> None:
    """Bring all to its end, without a doctor: that takes up to days."""
    runtime.drain()
    for _ in range(24 * 12 * 4):
        if all(run.status in OVER for run in runtime.runs()):
            return
        runtime.advance("15m")
        runtime.reconcile()


def sometimes(random: Random) -> Callable[[LocalRuntime], None]:
    def between(runtime: LocalRuntime) -> None:
        if random.random() < 0.4:
            purge(runtime)

    return between


@pytest.mark.parametrize("kind", KINDS)
def test_all_are_served_once_the_doctor_was_there(kind: str) -> None:
    for seed, faults in enumerate(FAULTS):
        crowd = Crowd.of(seed, kind, faults)
        random = Random(f"purges {seed}")
        assert play(crowd, between=sometimes(random), then=see_the_doctor) == [], crowd.text()


def test_the_reconciler_alone_has_all_served_in_the_end() -> None:
    for seed, kind in enumerate(["one step", "steps of the app", "one run", "the first alone", "a throttle"]):
        crowd = Crowd.of(seed, kind, "none")
        random = Random(f"purges {seed}")
        wrong = play(crowd, between=sometimes(random), then=wait_for_the_reconciler)
        assert [each for each in wrong if not each.startswith("nothing_is_left")] == [], crowd.text()
