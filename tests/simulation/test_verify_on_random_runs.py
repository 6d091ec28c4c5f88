"""`verify` on random workflows: on the code that they ran on nothing differs; and a step that is renamed is named."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import pytest

from lambda_durable import Durable
from lambda_durable.engine import paths
from lambda_durable.engine.journal import Kind
from lambda_durable.verify import Recording, read_recording, verify
from lambda_durable.verify.files import dump, load
from lambda_durable.verify.rehearsal import _Scope
from tests.simulation.simulate import Setup, _Outside
from tests.simulation.traced import TracedRuntime

MOMENTS = ("1s", "20s", "2m", "1h", "9d")


def recorded(seed: int) -> tuple[Durable, list[Recording]]:
    """A random workflow of steps, groups, fan-outs and sleeps, and its run as it was at some moments."""
    setup = Setup.of(seed)
    outside = _Outside(setup.workflow)
    app, function = setup.workflow.build(outside)
    outside.runtime = runtime = TracedRuntime(
        app, steps_per_invocation=setup.mode, seed=seed, most_invocations=10_000
    )
    for path, node in setup.workflow.everything().nodes.items():
        if takes := getattr(node, "takes", 0):
            runtime.stub(path, takes=f"{takes}s")
    run_id = runtime.start(function, {"key": "k"}).run_id
    found = []
    for moment in MOMENTS:
        runtime.advance(moment)
        found.append(read_recording(runtime.client._world, run_id))
    runtime.close()
    return app, found


@contextmanager
def renamed(victim: str) -> Iterator[None]:
    """Let the code call a step by another id."""
    name = _Scope.name

    def other(scope: Any, id: Any, kind: Kind) -> tuple[str, int]:
        return name(scope, f"{id}, renamed" if paths.escape(id) == victim else id, kind)

    with patch.object(_Scope, "name", other):
        yield


def base(path: str) -> str:
    """The id that a step was called with, escaped."""
    return path.rpartition("/")[2].partition(":")[0]


@pytest.mark.parametrize("first", range(0, 8, 2))
def test_what_a_run_came_through_unchanged_shows_no_difference_and_a_renamed_step_is_named_alone(first):
    for seed in range(first, first + 2):
        app, recordings = recorded(seed)
        for recording in recordings:
            verdict = verify(recording, app)
            assert not verdict.differences, (seed, verdict)
            assert verify(load(dump(recording), "it"), app) == verdict
        ended = recordings[-1]
        assert ended.header.status.ended
        for victim in sorted({base(each.path) for each in ended.records() if not paths.is_branch(each.path)}):
            with renamed(victim):
                verdict = verify(ended, app)
            broken = {base(each.step or "") for each in verdict.differences if each.change.breaks}
            assert verdict.diverges, (seed, victim, verdict)
            assert broken == {victim}, (seed, victim, verdict)
