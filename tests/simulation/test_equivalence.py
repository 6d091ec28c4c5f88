"""One workflow, sync and async, in every mode, whatever the messages do: one outcome."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from lambda_durable.testing import Faults, LocalRuntime
from tests.simulation.twins import CASES, EXAMPLES, app

MODES: list[Any] = [1, 3, "all", "auto"]


def check(name: str, kind: str, mode: Any, **options: Any) -> None:
    wanted = EXAMPLES[name]
    runtime = LocalRuntime(app, steps_per_invocation=mode, **options)
    for path, takes in wanted.takes.items():
        runtime.stub(path, takes=takes)
    run = runtime.run(wanted.kinds[kind])
    told = f"{name}, {kind}, steps_per_invocation={mode!r}, {options}"
    assert (run.status, run.output) == ("completed", wanted.output), told
    assert {path: step.attempts for path, step in run.steps.items()} == wanted.attempts, told
    assert {step.status for step in run.steps.values()} <= {"completed", "failed"}, told
    assert not runtime.dead_letters, told
    runtime.close()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("name", "kind"), CASES)
def test_every_mode_and_kind_of_handler_comes_to_the_same(name, kind, mode):
    check(name, kind, mode)


@pytest.mark.parametrize("first", range(0, 100, 5))
def test_whatever_messages_do_the_outcome_is_the_same(first):
    for seed in range(first, first + 5):
        draw = Random(f"equivalence {seed}")
        name, kind = CASES[seed % len(CASES)]
        faults = Faults(duplicate=draw.choice((0, 0.2)), late=draw.choice((0, 0.2)), interleave=True)
        check(name, kind, draw.choice(MODES), faults=faults, seed=seed)
