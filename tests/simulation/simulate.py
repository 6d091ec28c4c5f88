"""Random workflows under random faults: `scripts/simulate --seeds 2000`.

All of a case follows from its seed: the workflow, its kind, the mode, the faults, and when they strike.
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import logging
import multiprocessing
import os
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from functools import partial
from random import Random
from typing import Any
from unittest.mock import patch
from uuid import UUID

from lambda_durable import RunNotFoundError
from lambda_durable.testing import Faults
from tests.simulation.aftermath import aftermath
from tests.simulation.checks import Case, seconds_of, violations
from tests.simulation.generators import random_workflow
from tests.simulation.messages import MESSAGES, SHARE, telling
from tests.simulation.nodes import Step
from tests.simulation.outside import KEY, TABLE, Happening, Transact
from tests.simulation.profiles import PROFILES, WHOLE, narrow_workflow, profile_of
from tests.simulation.traced import Storm, TracedRuntime
from tests.simulation.workflows import Workflow

MOST_FOR_A_MUTANT = 2000
MODES: list[Any] = [1, 3, "all", "auto"]
FAULTS: dict[str, dict[str, Any] | None] = {
    "none": None,
    "duplicate": {"duplicate": 0.2},
    "late": {"late": 0.2},
    "interleave": {"interleave": True},
    "crash": {"crash": 0.1},
    "lose_response": {"lose_response": 0.1},
    "skew": {"skew": True},
    "duplicate, late, interleave": {"duplicate": 0.2, "late": 0.2, "interleave": True},
    "duplicate, crash": {"duplicate": 0.1, "crash": 0.1},
    "everything": {
        "duplicate": 0.1,
        "late": 0.1,
        "crash": 0.05,
        "lose_response": 0.05,
        "interleave": True,
        "skew": True,
    },
}
"""Those of workflows of steps and sleeps alone: what a seed of theirs stands for does not change."""

MORE_FAULTS: dict[str, dict[str, Any] | None] = {
    **FAULTS,
    "throttle": {"throttle": 0.1},
    "freeze": {"freeze": 0.2},
    "freeze, duplicate, interleave": {"freeze": 0.1, "duplicate": 0.2, "interleave": True},
    "everything": {},
}
"""Those of workflows that the outside world takes part in."""


@dataclass(frozen=True)
class Setup:
    """What a seed stands for."""

    seed: int
    workflow: Workflow
    mode: Any
    faults: Faults | None
    timeout: str
    only: frozenset[int] | None = None
    """The numbers of the faults that strike, if not all do."""

    @classmethod
    def of(
        cls,
        seed: int,
        mode: Any = None,
        *,
        lose: bool = False,
        opened: bool = False,
        profile: str | None = WHOLE,
    ) -> Setup:
        """`opened`: the outside world takes part. `profile`: None for that which the seed draws, and for messages in
        some of them."""
        random = Random(f"setup {seed}")
        drawn = random.choice(MODES)
        kinds = MORE_FAULTS if opened else FAULTS
        options = kinds[random.choice([*kinds, "none", "everything", "everything"])]
        faults = None if options is None else Faults(**options)
        if lose:
            faults = replace(faults or Faults(interleave=False), lose=0.1)
        is_async, size = random.random() < 0.5, random.choice((3, 6, 12))
        drawn_profile = profile_of(seed) if profile is None else profile
        if not opened or drawn_profile in (WHOLE, MESSAGES):
            workflow = random_workflow(seed, is_async=is_async, size=size, opened=opened)
        else:
            workflow = narrow_workflow(seed, drawn_profile, is_async=is_async, size=size)
        if opened and profile in (None, MESSAGES):
            workflow = telling(workflow, seed, share=SHARE if profile is None else 1)
        timeout = random.choice(("60s", "900s"))
        return cls(seed, workflow, drawn if mode is None else mode, faults, timeout)

    def text(self) -> str:
        given = (
            {}
            if self.faults is None
            else {
                field.name: value for field in fields(Faults) if (value := getattr(self.faults, field.name))
            }
        )
        faults = ", ".join(f"{name}={value}" for name, value in given.items()) or "none"
        return (
            f"seed {self.seed}: steps_per_invocation={self.mode!r}, faults: {faults}, Lambda's timeout: "
            f"{self.timeout}\n{self.workflow.text()}"
        )


def simulate(setup: Setup, *, verbose: bool = False, injected: Counter[str] | None = None) -> list[str]:
    """Run a case; what is wrong with it. The faults that there were are counted in `injected`."""
    logging.getLogger("lambda_durable.failed_runs").setLevel(logging.CRITICAL)  # many are to fail
    faults = setup.faults
    everything = setup.workflow.everything()
    outside = _Outside(setup.workflow)
    app, function = setup.workflow.build(outside)
    outside.runtime = runtime = TracedRuntime(
        app,
        steps_per_invocation=setup.mode,
        faults=faults,
        seed=setup.seed,
        lambda_timeout=setup.timeout,
        most_invocations=1000 + 20 * len(everything.nodes) + 20 * len(setup.workflow.happenings),
        verbose=verbose,
    )
    runtime.let_strike(setup.only)
    for path, node in everything.nodes.items():
        if isinstance(node, Step) and node.takes:
            runtime.stub(path, takes=f"{node.takes}s")
    if any(isinstance(node, Transact) for node in everything.nodes.values()):
        runtime.aws("dynamodb").create_table(**TABLE)
    try:
        with warnings.catch_warnings(), _ids(setup.seed):
            warnings.simplefilter("ignore", ResourceWarning)
            run_id = runtime.follow(runtime.start(function, {"key": KEY}).run_id)
            for happening in setup.workflow.happenings:
                runtime.advance(timedelta(seconds=max(happening.at - outside.seconds(), 0)))
                _happens(happening, outside, run_id)
                runtime.listen()
            runtime.drain()
            runtime.listen()
            case = Case(setup.workflow, runtime.last_seen(), runtime, faults)
            return violations(case) or aftermath(case, outside.tokens)
    except Storm as storm:
        return [f"there_is_no_storm: {storm}"]
    except Exception:
        return [f"the simulation failed: {traceback.format_exc()}"]
    finally:
        if injected is not None:
            injected.update(runtime.faults_so_far)
        runtime.close()


@contextmanager
def _ids(seed: int) -> Iterator[None]:
    """Let the ids that events and clients make up follow from the seed, too."""
    random = Random(f"ids {seed}")

    def made_up() -> UUID:
        return UUID(int=random.getrandbits(128), version=4)

    with patch("lambda_durable.events.uuid4", made_up), patch("lambda_durable.client.uuid4", made_up):
        yield


def _happens(happening: Happening, outside: _Outside, run_id: str) -> None:
    runtime, client = outside.runtime, outside.runtime.client
    if happening.kind == "deploy":
        outside.deploys += 1
        runtime.deploy(outside.workflow.build(outside, outside.deploys)[0])
    elif happening.kind == "event":
        runtime.send(happening.event())
    elif happening.kind == "signal":
        client.send_signal(happening.name, happening.number)
    elif happening.kind in ("complete", "fail", "beat"):
        for token in outside.tokens:
            if happening.kind == "complete":
                client.complete_callback(token, happening.number)
            elif happening.kind == "fail":
                client.fail_callback(token, "no")
            else:
                client.heartbeat_callback(token)
    else:
        with suppress(RunNotFoundError):  # its start is late
            client.cancel(run_id)


class _Outside:
    """What a workflow meets outside itself, in the runtime."""

    runtime: TracedRuntime

    def __init__(self, workflow: Workflow) -> None:
        self.workflow = workflow
        self.tokens: list[str] = []
        self.deploys = 0

    def log(self, path: str, attempt: int, succeeds: bool, version: int) -> None:
        self.runtime.log(path, attempt, succeeds, version)

    def undone(self) -> None:
        self.runtime.note_undo()

    def token(self, token: str) -> None:
        if token not in self.tokens:
            self.tokens.append(token)

    def seconds(self) -> float:
        return seconds_of(self.runtime.now())


@dataclass(frozen=True)
class Report:
    seed: int
    wrong: list[str]
    injected: Counter[str]


def run_seed(seed: int, setup: Callable[..., Setup]) -> Report:
    injected: Counter[str] = Counter()
    logging.disable(logging.CRITICAL)  # what faults make fail is logged: --verbose shows it
    try:
        return Report(seed, simulate(setup(seed), injected=injected), injected)
    finally:
        logging.disable(logging.NOTSET)


def _reports(seeds: range, setup: Callable[..., Setup], processes: int) -> Iterator[Report]:
    if processes == 1 or len(seeds) == 1:
        yield from (run_seed(seed, setup) for seed in seeds)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        yield from pool.map(run_seed, seeds, [setup] * len(seeds), chunksize=4)


def _mode(text: str) -> Any:
    return text if text in ("all", "auto") else int(text)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="scripts/simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="how many (default: 200)")
    parser.add_argument("--seed", type=int, default=0, help="the first one (default: 0)")
    parser.add_argument("--steps-per-invocation", type=_mode, default=None, help="instead of the seed's own")
    parser.add_argument("--lose", action="store_true", help="lose messages and schedules, too")
    parser.add_argument("--closed", action="store_true", help="workflows of steps and sleeps alone")
    parser.add_argument(
        "--profile",
        choices=[WHOLE, MESSAGES, *PROFILES],
        help="what workflows are made of, instead of what each seed draws (most: whole)",
    )
    parser.add_argument(
        "--mutants", action="store_true", help="plant bugs, and look for a seed that finds each"
    )
    parser.add_argument(
        "--shrink", type=int, metavar="SEED", help="make the case of a seed that fails as small as it can be"
    )
    parser.add_argument(
        "--plant", metavar="BUG", help="with --shrink: plant this bug first (its first words)"
    )
    parser.add_argument("--verbose", action="store_true", help="show all that happens (with --seeds 1)")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args(arguments)
    if options.plant is not None and options.shrink is None:
        parser.error("--plant goes with --shrink SEED")
    if options.mutants:
        from tests.simulation.hunt import hunt

        return hunt(range(options.seed, options.seed + MOST_FOR_A_MUTANT), options.processes)
    if options.shrink is not None:
        from tests.simulation.shrink import show

        setup = Setup.of(
            options.shrink,
            options.steps_per_invocation,
            lose=options.lose,
            opened=not options.closed,
            profile=options.profile,
        )
        return show(setup, options.plant)
    seeds = range(options.seed, options.seed + options.seeds)
    mode = options.steps_per_invocation
    setup = partial(
        Setup.of, mode=mode, lose=options.lose, opened=not options.closed, profile=options.profile
    )
    if options.verbose:
        for seed in seeds:
            print(setup(seed).text())
            simulate(setup(seed), verbose=True)
    failed = 0
    injected: Counter[str] = Counter()
    began = time.monotonic()
    for number, report in enumerate(_reports(seeds, setup, options.processes), 1):
        injected += report.injected
        if report.wrong:
            failed += 1
            print(f"\nFAILED {setup(report.seed).text()}")
            for text in report.wrong:
                print(f"  - {text}")
            again = f" --steps-per-invocation {mode}" if mode is not None else ""
            again += " --lose" * options.lose + " --closed" * options.closed
            again += f" --profile {options.profile}" if options.profile is not None else ""
            print(f"  replay: scripts/simulate --seed {report.seed} --seeds 1 --verbose{again}")
        if number % 50 == 0 or number == len(seeds):
            print(
                f"{number} of {len(seeds)} seeds, {failed} failed, {time.monotonic() - began:.0f} s",
                flush=True,
            )
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in injected.most_common())
    print(f"{injected.total():,} faults: {kinds}")
    print(f"{len(seeds) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
