"""The doctor called in the midst of work, again and again, and dying at it: it loses nothing and doubles nothing.

It is given letters that are copies of messages which are still at work, which is the worst that it could be given.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import ClassVar

import pytest
from botocore.exceptions import ReadTimeoutError

from lambda_durable import Context, Durable
from lambda_durable.aws.dead_letters import Letter
from lambda_durable.aws.leftovers import Leftovers
from lambda_durable.doctor.examination import Patient, examine
from lambda_durable.durations import from_millis, to_millis
from lambda_durable.findings import Finding
from lambda_durable.runtime.executor import NoExecutor
from lambda_durable.testing import LocalRuntime, crash_everywhere
from lambda_durable.testing.fakes import VirtualClock
from lambda_durable.testing.simulation import Crashed
from tests.simulation import simulate as simulator
from tests.simulation.traced import TracedRuntime

VISITS = 6


class _Letters:
    def __init__(self, rt: LocalRuntime) -> None:
        now = to_millis(rt.now())
        self._letters = [Letter(body=body, message_id=f"copy {body}", sent=now) for body in rt._latest]

    @contextmanager
    def taken(self):
        yield self._letters

    def remove(self, letter: Letter) -> None:
        pass


class _Left(Leftovers):
    """The waiters in the table. (Scheduler's calls are fakes here: its schedules are for the other tests.)"""

    def __init__(self, rt: LocalRuntime) -> None:
        super().__init__(rt.aws("dynamodb"), "lambda-durable", None, "")


def see_the_doctor(rt: LocalRuntime, clock: VirtualClock) -> Iterator[Finding]:
    world = rt._world(clock, NoExecutor())
    who = Patient(world=world, letters=_Letters(rt), left=_Left(rt))
    return examine(who, fix=True, deep=True)


class Watched(TracedRuntime):
    """A runtime that a doctor visits at random times, beside what is at work, and who may die at it."""

    found = 0
    errors: ClassVar[list[BaseException]] = []

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        Watched.errors.clear()
        random = self._simulation.random("doctor")
        for _ in range(VISITS):
            after = timedelta(seconds=random.choice((random.uniform(0, 60), random.uniform(0, 7200))))
            self._simulation.at(self.now() + after, self._visit)

    def drain(self):
        """With the reconciler, as a deployed app: a check takes the place of the wake that it comes before, and leaves
        what is due later to the next check."""
        super().drain()
        for _ in range(50):
            if not (times := [at for _, at in self._unended()]):
                return
            self._simulation.run_until(max(self.now(), from_millis(min(times))))
            self.reconcile()
            self._simulation.run_until_idle()

    def _visit(self):
        def body(process):
            process.dies_at = self._dice.dies_at(60)
            for _ in see_the_doctor(self, VirtualClock(self._simulation, self._dice.skew())):
                Watched.found += 1

        def ended(error):
            if error is not None and not isinstance(error, Crashed | ReadTimeoutError):
                Watched.errors.append(error)

        self._simulation.spawn(body, ended=ended)


@pytest.mark.parametrize("lose", [False, True])
@pytest.mark.parametrize("seeds", [range(3), range(3, 6), range(6, 9)], ids=str)
def test_runs_end_as_they_must_with_a_doctor_about(seeds, lose, monkeypatch):
    monkeypatch.setattr(simulator, "TracedRuntime", Watched)
    before = Watched.found
    for seed in seeds:
        found = simulator.simulate(simulator.Setup.of(seed, lose=lose))
        # Each letter costs an invocation, so there are more than the run alone would take.
        wrong = [each for each in found if "there_is_no_storm" not in each]
        assert (wrong, Watched.errors) == ([], []), f"seed {seed}"
    assert Watched.found > before


def test_a_crash_anywhere_and_a_doctor_after_it_double_nothing():
    app = Durable("app", steps_per_invocation=1)
    done: list[tuple[str, str]] = []

    @app.function("child")
    def child(ctx: Context) -> str:
        return ctx.step.run("work", lambda: "worked")

    @app.function("parent")
    def parent(ctx: Context) -> str:
        ctx.step.run("begin", done.append, (ctx.run_id, "begin"))
        ctx.step.sleep("rest", "20m")
        outcome = ctx.step.invoke("child", child, {})
        ctx.step.run("end", done.append, (ctx.run_id, "end"))
        return outcome

    def drive(rt, run):
        done.clear()
        for minutes in ("1m", "25m"):
            rt.advance(minutes)
            list(see_the_doctor(rt, VirtualClock(rt._simulation)))
        rt.drain()

    for crash in crash_everywhere(app, parent, {}, drive=drive):
        assert (crash.run.status, crash.run.output) == ("completed", "worked"), crash.point
        steps = [step for _, step in done]
        assert set(steps) == {"begin", "end"}
        assert len(steps) <= 2 + (crash.point is not None), (crash.point, steps)
