"""Flow control while everything crashes, comes twice, late or never: no limit is exceeded, and all are served."""

from __future__ import annotations

from typing import Any

import pytest

from lambda_durable import Context, Durable, Event, Run, on_event
from lambda_durable.testing import LocalRuntime, crash_everywhere
from tests.simulation.crowds import FAULTS, KINDS, Crowd, play


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("faults", FAULTS)
def test_no_limit_is_exceeded_and_all_are_served(kind: str, faults: str) -> None:
    assert play(Crowd.of(0, kind, faults)) == []


@pytest.mark.parametrize("seed", range(1, 31))
def test_crowds(seed: int) -> None:
    crowd = Crowd.of(seed)
    assert play(crowd) == [], crowd.text()


def test_who_waits_behind_a_slot_that_is_not_given_back_is_served() -> None:
    assert play(Crowd.of(1101, "one step", "frozen")) == []


@pytest.mark.parametrize(
    "kind", ["one step", "steps, twice limited", "one run", "a throttle", "the last alone"]
)
def test_a_crash_anywhere_leaves_nobody_waiting(kind: str) -> None:
    app = Durable("app", steps_per_invocation="all")

    @app.function("f", on_event("job"), **KINDS[kind].options)
    def f(ctx: Context[dict[str, Any]]) -> int:
        ctx.step.run("a", int)
        ctx.step.sleep("nap", "5s")
        return ctx.step.run("b", int)

    def another(rt: LocalRuntime, _: Run[Any]) -> None:
        rt.send(Event("job", {"who": "a"}, id="e1"))
        rt.drain()

    for crash in crash_everywhere(app, f, {"who": "a"}, drive=another):
        statuses = sorted(run.status for run in crash.runtime.runs())
        if kind == "the last alone":
            assert statuses in (["cancelled", "completed"], ["completed", "completed"]), crash.point
        else:
            assert statuses == ["completed", "completed"], crash.point
