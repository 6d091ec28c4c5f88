"""Undo while everything crashes, comes twice, late or never: at the end of a run that failed or was cancelled,
whatever happened is undone."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest

from lambda_durable import (
    AsyncContext,
    Context,
    Durable,
    NonRetriableError,
    Retry,
    RunNotFoundError,
    current_step,
)
from lambda_durable.testing import Faults, LocalRuntime, crash_everywhere

MODES = [1, "all", "auto"]


class Trip:
    """Functions that book things in every way there is, and a ledger of what was booked and taken back."""

    def __init__(self, mode):
        self.app = app = Durable("app", steps_per_invocation=mode, retry=Retry.fixed("1s", 4))
        self.ledger = ledger = []

        def book(name, *, fails=0):
            if current_step().attempt <= fails:
                raise OSError("try again")
            ledger.append(("+", current_step().step_id))
            return name

        def cancel(name):
            ledger.append(("-", current_step().step_id.removeprefix("undo/"), name))

        async def cancel_later(name):
            await asyncio.sleep(0)
            cancel(name)

        def end(ctx):
            if ctx.event.data.get("fails"):
                raise NonRetriableError("no trip")

        surely = {"undo": cancel, "undo_if_unknown": True}
        surely_later = {"undo": cancel_later, "undo_if_unknown": True}

        @app.function("sequence")
        def sequence(ctx: Context[dict]) -> None:
            step = ctx.step.options(**surely)
            step.run("hotel", book, "hotel")
            step.run("flight", book, "flight", fails=1)
            ctx.step.run("mail", int)
            ctx.step.sleep("think", "20s")
            step.options(semantics="at_most_once").run("car", book, "car")
            end(ctx)

        @app.function("gather")
        async def gather(ctx: AsyncContext[dict]) -> None:
            step = ctx.step.options(**surely_later)
            await asyncio.gather(
                *(step.run(name, book, name) for name in ("hotel", "flight")), ctx.step.sleep("s", "9s")
            )
            await step.run("car", book, "car")
            end(ctx)

        @app.function("groups")
        def groups(ctx: Context[dict]) -> None:
            step = ctx.step.options(**surely)

            def inner() -> None:
                step.run("flight", book, "flight")

            def outer() -> None:
                step.run("hotel", book, "hotel")
                ctx.step.group("inner", inner)
                ctx.step.sleep("s", "5s")

            ctx.step.group("outer", outer)
            step.map("cars", book, ["a", "b"], max_concurrency=1)
            end(ctx)

        @app.function("branches")
        async def branches(ctx: AsyncContext[dict]) -> None:
            step = ctx.step.options(**surely_later)

            async def branch(name: str) -> None:
                await step.run("book", book, name)
                if name == "a":
                    await ctx.step.sleep("s", "5s")
                    await step.run("pay", book, "pay")

            await ctx.step.map_group("legs", branch, ["a", "b"], key=str)
            end(ctx)

        @app.function("race")
        async def race(ctx: AsyncContext[dict]) -> None:
            step = ctx.step.options(**surely)

            async def slowly() -> None:
                await step.run("hotel", book, "hotel")
                await step.run("flight", book, "flight")
                await ctx.step.sleep("s", "1h")

            slow = asyncio.create_task(ctx.step.group("slow", slowly))
            quick = asyncio.create_task(ctx.step.sleep("quick", "10s"))
            await asyncio.wait({slow, quick}, return_when=asyncio.FIRST_COMPLETED)
            slow.cancel()
            await step.run("car", book, "car")
            end(ctx)

        @app.function("parent")
        def parent(ctx: Context[dict]) -> None:
            step = ctx.step.options(undo=cancel)
            step.invoke("child", child, {})
            ctx.step.options(**surely).run("hotel", book, "hotel")
            end(ctx)

        @app.function("child")
        def child(ctx: Context[dict]) -> str:
            ctx.step.options(**surely).run("leg", book, "leg")
            return "booked"


NAMES = ["sequence", "gather", "groups", "branches", "race", "parent"]


def check(trip, run, case):
    """What the rules say of the ledger once a run has ended."""
    undos = {name.removeprefix("undo/"): step for name, step in run.steps.items() if name.startswith("undo/")}
    booked = {path for mark, path, *_ in trip.ledger if mark == "+"}
    if run.status == "completed":
        assert not undos, case
        assert not [entry for entry in trip.ledger if entry[0] == "-"], case
        return
    assert run.status in ("failed", "cancelled"), case
    for path, step in run.steps.items():
        own = step.kind in ("run", "invoke") and path != "mail"
        assert (own and step.status == "completed") <= (path in undos), (case, path)
    mine = [entry for entry in trip.ledger if entry[1] != "leg"]
    for path in {path for path in booked if path != "leg"}:
        assert undos[path].status == "completed", (case, path)
        marks = "".join(mark for mark, other, *_ in mine if other == path)
        assert marks.rstrip("-").count("-") == 0, (case, path, marks)  # nothing happens after it is undone
        assert marks.endswith("-"), (case, path, marks)
    done = [path for path, step in undos.items() if step.status == "completed"]
    assert len(done) == len(undos), case
    first = [
        path
        for index, (mark, path, *_) in enumerate(mine)
        if mark == "-" and path not in [e[1] for e in mine[:index] if e[0] == "-"]
    ]
    ended = [run.steps[path].ended_at for path in first]
    assert ended == sorted(ended, reverse=True), case


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", [1, "all"])
def test_a_failed_run_is_undone_whole_wherever_it_crashes(name, mode):
    trip = Trip(mode)
    for crash in crash_everywhere(trip.app, trip.app.functions[name], {"fails": True}):
        assert crash.run.status == "failed", crash.point
        check(trip, crash.run, crash.point)
        assert crash.runtime.dead_letters == []
        trip.ledger.clear()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", MODES)
def test_a_completed_run_is_not(name, mode):
    trip = Trip(mode)
    run = LocalRuntime(trip.app).run(trip.app.functions[name], {})
    assert run.status == "completed"
    check(trip, run, name)


def cancel_at(rt, run, point):
    """Cancel the run from outside when its invocations come to a point; whether they did."""
    passed = 0

    def watch(process, place):
        nonlocal passed
        passed += 1
        if passed == point:
            with ThreadPoolExecutor(1) as outside, contextlib.suppress(RunNotFoundError):
                outside.submit(rt.client.cancel, run.run_id).result()

    rt._traffic.watch = watch
    rt.drain()
    return passed >= point


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", [1, "all"])
def test_a_run_is_undone_whenever_it_is_cancelled(name, mode):
    trip, statuses = Trip(mode), Counter()
    for point in itertools.count(1):
        rt = LocalRuntime(trip.app, lambda_timeout="60s")
        run = rt.start(trip.app.functions[name], {})
        reached = cancel_at(rt, run, point)
        ended = rt.get(run.run_id)
        check(trip, ended, point)
        statuses[ended.status] += 1
        trip.ledger.clear()
        if not reached:
            break
    assert statuses["cancelled"] > 20


def cancel_after(rt, run, events):
    for _ in range(events):
        if rt._simulation._events:
            rt._simulation._step()
    with contextlib.suppress(RunNotFoundError):
        rt.client.cancel(run.run_id)
    rt.drain()


@pytest.mark.parametrize("name", NAMES)
def test_a_run_that_is_cancelled_midway_is_undone_wherever_it_crashes(name):
    trip = Trip("all" if len(name) % 2 else 1)
    for crash in crash_everywhere(
        trip.app, trip.app.functions[name], {}, drive=lambda rt, run: cancel_after(rt, run, 3)
    ):
        check(trip, crash.run, crash.point)
        trip.ledger.clear()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(25))
def test_whatever_happens_nothing_is_left(name, seed):
    fire(name, seed)


def fire(name, seed):
    random = Random(f"{name}{seed}")
    trip = Trip(random.choice([1, 2, "all", "auto"]))
    faults = [Faults(), Faults(duplicate=0.3, late=0.2, interleave=True), Faults(lose=0.2), Faults(crash=0.2)]
    rt = LocalRuntime(trip.app, faults=random.choice(faults), seed=seed, lambda_timeout="60s")
    fails = random.random() < 0.5
    for stub in random.sample(
        ["hotel", "flight", "car", "slow/flight", "legs[a]/book", "undo/hotel", "cars"], 2
    ):
        rt.stub(stub, takes=f"{random.randrange(1, 40)}s")
    run = rt.start(trip.app.functions[name], {"fails": fails})
    if not fails:
        rt.advance(f"{random.randrange(90)}s")
        try:
            rt.client.cancel(run.run_id)
        except RunNotFoundError:
            pass
    rt.drain()
    ended = rt.get(run.run_id)
    assert fails or ended.status in ("cancelled", "completed")
    check(trip, ended, seed)
    assert rt.dead_letters == []
