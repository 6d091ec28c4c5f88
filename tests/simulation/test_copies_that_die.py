"""A copy of a message that was done with comes late, and dies anywhere: nobody brings it back.

SQS delivers twice, also what was just deleted. What such a copy wrote is not to be left to it: a run would be lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from lambda_durable import Context, Durable, NonRetriableError, StepError, StepTimeoutError
from lambda_durable.engine.journal import Author, Payload
from lambda_durable.ports import Delivery
from lambda_durable.runtime.executor import NoExecutor
from lambda_durable.runtime.messages import Continuation, Due
from lambda_durable.testing import LocalRuntime
from lambda_durable.testing.fakes import SentMessage, VirtualClock
from tests.simulation.mutants import MUTANTS


@dataclass
class Copy:
    """Of the message that came `first`, just before what comes as number `before`; it dies at its point `dies_at`."""

    first: int
    before: int
    dies_at: int
    died: bool = False
    deliveries: list[Delivery] = field(default_factory=list)

    def disturb(self, rt: LocalRuntime) -> None:
        deliver = rt._queue._deliver

        def disturbed(delivery: Delivery, done: Callable[[str | None], None]) -> None:
            if len(self.deliveries) == self.before:
                self._come(rt)
            self.deliveries.append(delivery)
            deliver(delivery, done)

        rt._queue._deliver = disturbed

    def _come(self, rt: LocalRuntime) -> None:
        points = 0

        def watch(process: Any, place: str) -> None:
            nonlocal points
            points += 1
            if points > self.dies_at:
                self.died = True
                process.crash(place)

        copy = replace(self.deliveries[self.first], receive_count=2)
        rt._traffic.watch = watch
        rt._invoke(copy, lambda _: None, rt._handle)
        rt._traffic.watch = None


def copies(make: Callable[[], Durable], drive: Callable[[LocalRuntime], Any]) -> Iterator[tuple[Copy, Any]]:
    """What becomes of a function's run whichever message is copied, whenever the copy comes and dies."""
    undisturbed = Copy(0, 10**6, 0)
    rt = LocalRuntime(make(), lambda_timeout="60s")
    undisturbed.disturb(rt)
    yield undisturbed, drive(rt)
    for before in range(1, len(undisturbed.deliveries)):
        for first in range(before):
            copy = Copy(first, before, -1, died=True)
            while copy.died:
                copy = Copy(first, before, copy.dies_at + 1)
                rt = LocalRuntime(make(), lambda_timeout="60s")
                copy.disturb(rt)
                yield copy, drive(rt)
                rt.close()


def drain(rt):
    run = rt.start(rt._app.functions["f"], {})
    rt.drain()
    return rt, rt.get(run.run_id)


def renewing(mode):
    app = Durable("app", steps_per_invocation=mode)

    @app.function("f")
    def f(ctx: Context[Any]) -> int:
        ctx.step.sleep("nap", "10s")
        if ctx.event.data.get("n", 0) < 2:
            ctx.continue_as_new({"n": ctx.event.data.get("n", 0) + 1})
        return ctx.event.data["n"]

    return app


@pytest.mark.parametrize("mode", [1, "all"])
def test_a_run_that_continues_as_new(mode):
    for copy, (_, run) in copies(lambda: renewing(mode), drain):
        assert (run.status, run.output) == ("completed", 2), copy


def undoing(mode, undone):
    app = Durable("app", steps_per_invocation=mode)

    @app.function("child")
    def child(ctx: Context[Any]) -> None:
        for n in range(2):
            ctx.step.options(undo=undone.append).run(f"book {n}", str, n)
        raise NonRetriableError("no")

    @app.function("f")
    def f(ctx: Context[Any]) -> str:
        try:
            ctx.step.invoke("child", child, {})
        except StepError:
            return "told"
        return "never"

    return app


@pytest.mark.parametrize("mode", [1, "all"])
def test_a_run_that_undoes(mode):
    undone: list[str] = []
    for copy, (_, run) in copies(lambda: undoing(mode, undone), drain):
        assert (run.status, run.output) == ("completed", "told"), copy
        assert set(undone) == {"0", "1"}
        undone.clear()


def calling_back(mode):
    app = Durable("app", steps_per_invocation=mode)

    @app.function("f")
    def f(ctx: Context[Any]) -> str:
        try:
            ctx.step.wait_for_callback("answer", timeout="10s")
        except StepTimeoutError:
            return "late"
        return "never"

    return app


@pytest.mark.parametrize("mode", [1, "all"])
def test_a_callback_that_nobody_completes(mode):
    for copy, (_, run) in copies(lambda: calling_back(mode), drain):
        assert (run.status, run.output) == ("completed", "late"), copy


def taking_over():
    app = Durable("app", steps_per_invocation=1)

    @app.function("first")
    def first(ctx: Context[Any]) -> None:
        with suppress(StepError):
            ctx.step.wait_for_signal("wait", "go", timeout="30d")

    @app.function("f")
    def f(ctx: Context[Any]) -> None:
        ctx.step.sleep("nap", "10s")
        ctx.step.wait_for_signal("wait", "go", timeout="20s", on_conflict="replace")

    return app


def test_a_run_that_takes_a_signal_over():
    def drive(rt):
        ids = [rt.start(rt._app.functions[name], {}).run_id for name in ("first", "f")]
        rt.drain()
        return {rt.get(id).status for id in ids}

    for copy, statuses in copies(taking_over, drive):
        assert statuses == {"completed"}, copy


@pytest.mark.parametrize(("received", "status"), [(1, "running"), (2, "completed")])
def test_a_wake_that_may_have_gone_on_before_does_not_leave_its_run_to_who_ended_the_wait(received, status):
    app = Durable("app", steps_per_invocation=1)

    @app.function("f")
    def function(ctx: Context) -> str:
        ctx.step.wait_for_event("w", "paid", timeout="10m")
        return ctx.step.run("after", str, "done")

    rt = LocalRuntime(app)
    run = rt.start(function)
    rt.advance("1m")
    rt._simulation._events.clear()
    world = rt._world(VirtualClock(rt._simulation), NoExecutor())
    record = world.store.get_record(run.run_id, "w")
    other = Author(2, "other")  # it has been overtaken, and sees to nothing any more
    world.store.resolve(
        run.run_id, "w", author=other, ended=record.wake_at, output=Payload(text="null"), due=record.wake_at
    )
    rt.advance("11m")
    wake = Continuation(run=run.run_id, generation=3, due=Due(path="w", at=record.wake_at))
    rt._queue.copy(SentMessage(wake.body(), "wake", received - 1, record.began))
    rt.drain()
    assert rt.get(run.run_id).status == status


def test_the_case_before_finds_the_bug_that_hardly_any_seed_does():
    (mutant,) = (each for each in MUTANTS if each.kept == "test_copies_that_die.py")
    case = test_a_wake_that_may_have_gone_on_before_does_not_leave_its_run_to_who_ended_the_wait
    with mutant.planted(), pytest.raises(AssertionError):
        case(2, "completed")
