"""Looks for planted bugs: `scripts/simulate --mutants`."""

# ruff: noqa: T201
from __future__ import annotations

import logging
import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from tests.simulation import collecting, pausing, reruns
from tests.simulation.collecting_mutants import COLLECTING_MUTANTS
from tests.simulation.crowd_mutants import CROWD_MUTANTS
from tests.simulation.crowds import Crowd, play
from tests.simulation.mutants import MUTANTS, Mutant
from tests.simulation.pausing_mutants import PAUSING_MUTANTS
from tests.simulation.rerun_mutants import RERUN_MUTANTS
from tests.simulation.simulate import Setup, simulate

ALL = [*MUTANTS, *CROWD_MUTANTS, *COLLECTING_MUTANTS, *PAUSING_MUTANTS, *RERUN_MUTANTS]
HUNTED = [each for each in ALL if not each.kept]


@dataclass(frozen=True)
class Found:
    """Where a planted bug was found: after how many seeds (None: it was not), and by which check."""

    bug: str
    seeds: int | None
    check: str = ""
    seconds: float = 0


def find(mutant: Mutant, seeds: range) -> Found:
    """Try seeds until one finds the bug: one that fails with it, and passes without."""
    logging.disable(logging.CRITICAL)  # with a bug, much is logged
    began = time.monotonic()
    for count, seed in enumerate((mutant.first + seed for seed in seeds), 1):
        look = _case(mutant, seed)
        with mutant.planted():
            wrong = look()
        if wrong and not look():
            return Found(mutant.bug, count, wrong[0].partition(":")[0], time.monotonic() - began)
    return Found(mutant.bug, None, seconds=time.monotonic() - began)


def _case(mutant: Mutant, seed: int) -> Callable[[], list[str]]:
    if mutant in COLLECTING_MUTANTS:
        return partial(collecting.simulate, seed)
    if mutant in PAUSING_MUTANTS:
        return partial(pausing.simulate, seed)
    if mutant in RERUN_MUTANTS:
        return partial(reruns.simulate, seed)
    if mutant in CROWD_MUTANTS:
        return partial(play, Crowd.of(seed))
    return partial(simulate, Setup.of(seed, opened=not mutant.closed, profile=mutant.profile))


def find_by_number(number: int, seeds: range) -> Found:
    return find(HUNTED[number], seeds)


def hunt(seeds: range, processes: int) -> int:
    """Print the table of the planted bugs. 1 if one was not found."""
    context = multiprocessing.get_context("spawn")
    print("| bug | seeds until found | the check that found it |\n|---|---|---|", flush=True)
    missed = 0
    with context.Pool(processes) as pool:  # whose processes end with it, also when it is interrupted
        for one in pool.imap(partial(find_by_number, seeds=seeds), range(len(HUNTED))):
            missed += one.seeds is None
            print(f"| {one.bug} | {one.seeds or 'not found'} | {one.check} |", flush=True)
    for each in ALL:
        if each.kept:
            print(f"| {each.bug} | found by a case that was kept | {each.kept} |", flush=True)
    print(f"{len(HUNTED) - missed} of {len(HUNTED)} found by seeds, {len(ALL) - len(HUNTED)} by a case each")
    return 1 if missed else 0
