"""Random workflows that are done again from random steps, under faults, and what must have become of them.

A step's result is a digest of all that led to it, so a kept outcome that no longer follows from what came before it
shows in the output.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any
from unittest.mock import patch

from lambda_durable import RunNotFoundError
from lambda_durable.runs import Run
from tests.simulation import checks
from tests.simulation import simulate as simulator
from tests.simulation.checks import Case
from tests.simulation.nodes import within

CHECKS = [
    checks.invocations_fail_for_a_reason,
    checks.it_ends_as_the_workflow_says,
    checks.steps_are_complete,
    checks.only_one_arm_of_a_race_runs,
    checks.effects_belong_to_the_workflow,
    checks.committed_steps_never_run_again,
    checks.messages_come_to_an_end,
]


@dataclass
class Reruns:
    """Does the run of a case again, from a step that the seed draws, and again that rerun."""

    seed: int
    at_once: bool = False
    done: list[str] = field(default_factory=list)

    def violations(self, case: Case) -> list[str]:
        found = ORIGINAL(case)
        random = Random(f"rerun {self.seed}")
        for number in range(0 if found or len(case.workflow.rounds) > 1 else 3):
            try:
                found = list(self._again(case, random, f"again-{number}"))
            except RunNotFoundError:
                break  # it has expired
            if found:
                return found
        return found

    def _again(self, case: Case, random: Random, id: str) -> Iterator[str]:
        runtime = case.runtime
        before = runtime.get(runtime._followed)
        steps = [path for path, step in before.steps.items() if "undo/" not in path and step.kind != "undo"]
        step = random.choice([None, *steps, *steps, *steps])
        self.done.append(f"{id} from {step}")
        runtime.effects.clear()
        runtime.undos.clear()
        runtime.committed.clear()
        runtime.settled.clear()
        runtime.interrupted.clear()
        runtime.visits.clear()
        runtime.client.rerun(before.run_id, from_step=step, new_run_id=id)
        runtime.follow(id)
        runtime._seen = None
        if random.random() < 0.5:
            runtime.advance(timedelta(seconds=random.uniform(0, 30)))
        runtime.drain()
        again = Case(case.workflow, runtime.last_seen(), runtime, case.faults)
        where = f"done again as {id} from {step}"
        for text in checks.the_run_ends(again):
            yield f"the_run_ends: {where}: {text}"
            return
        for check in CHECKS:
            for text in check(again):
                yield f"{check.__name__}: {where}: {text}"
        for name, texts in runtime.wrong.items():
            yield f"{name}: {where}: {texts[:3]}"
        for text in () if again.timed_out else _kept(before, again.run, step):
            yield f"kept: {where}: {text}"


def _kept(before: Run[Any], again: Run[Any], step: str | None) -> Iterator[str]:
    kept = {path for path, record in again.steps.items() if record.kept}
    if step is None:
        if kept:
            yield f"{kept} are kept, and all was to be done anew"
        return
    undone = {path.removeprefix("undo/") for path in before.steps if path.startswith("undo/")}
    for path in kept:
        if before.steps[path].output != again.steps[path].output:
            yield f"{path} was kept, and changed"
        if within(step, path) or within(path, step):
            yield f"{path} was kept, and {step} was to be done anew"
    first = before.steps[step]
    for path, record in before.steps.items():
        if undone or record.ended_at is None or record.status not in ("completed", "failed"):
            continue
        if within(path, step) or within(step, path) or path.endswith("/submit"):
            continue  # (a callback that nobody had answered is asked for anew)
        failed = "[" in path and "[" in step  # a branch that did is done anew, beside the one that is to be
        if (
            first.started_at is not None
            and record.ended_at < first.started_at
            and path not in kept
            and not failed
        ):
            yield f"{path} had ended before {step} began, and was not kept"
        ended = first.ended_at
        beside = "[" in step and path.startswith(step[: step.rindex("[") + 1])
        if (
            ended is not None
            and record.started_at > ended
            and path in kept
            and not beside
            and "[" not in step
        ):
            yield f"{path} began after {step} had ended, and was kept"


ORIGINAL = simulator.violations


def simulate(seed: int, **options: Any) -> list[str]:
    """Run the workflow of a seed, and do it again three times: what is wrong, and in which of them."""
    reruns = Reruns(seed)
    with (
        patch.object(simulator, "violations", reruns.violations),
        patch.object(simulator, "aftermath", lambda case, tokens: []),
    ):
        found = simulator.simulate(simulator.Setup.of(seed, **options))
    return [f"{text} ({', '.join(reruns.done)})" for text in found]
