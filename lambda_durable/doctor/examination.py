"""An examination: everything that is looked at, in the order in which it matters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from ..findings import Finding
from ..ports import World
from ..runtime.reconciler import overdue
from .diagnosis import IsGone
from .leftovers import Left, leftovers
from .letters import DeadLetters, dead_letters
from .lines import lines
from .pauses import held_back
from .runs import every_run, one_run, overdue_runs


def _nothing() -> Iterator[Finding]:
    return iter(())


def _never(_: str) -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """A deployed app, and what can be looked at of it. `retention` is how long ended runs are remembered."""

    world: World
    letters: DeadLetters | None = None
    left: Left | None = None
    setup: Callable[[], Iterator[Finding]] = _nothing
    is_gone: IsGone = _never
    retention: timedelta = timedelta(days=30)


def examine(patient: Patient, *, fix: bool = False, deep: bool = False) -> Iterator[Finding]:
    """What is stuck, why, and, with `fix`, what was done about it. It reads what is overdue, what waits at limits and
    what was given up; with `deep` every run that has not ended, and the whole table. Lazy."""
    yield from patient.setup()
    late = overdue(patient.world)
    for _, _, finding in overdue_runs(patient.world, late, patient.is_gone, fix=fix):
        yield finding
    yield from lines(patient.world, fix=fix, deep=deep)
    yield from held_back(patient.world, fix=fix)
    if patient.letters is not None:
        yield from dead_letters(patient.world, patient.letters, patient.retention, fix=fix)
    if deep:
        yield from every_run(patient.world, patient.is_gone, fix=fix, but={run for run, _ in late})
        if patient.left is not None:
            yield from leftovers(patient.world, patient.left, fix=fix)


def examine_run(patient: Patient, run: str, *, fix: bool = False) -> Iterator[Finding]:
    """What one run waits for, and whether it will ever come. Raises RunNotFoundError."""
    return one_run(patient.world, run, patient.is_gone, fix=fix, asked=True)
