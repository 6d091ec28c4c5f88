"""Runs that continue as new while everything crashes, comes twice, late or never."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from dataclasses import fields, replace
from random import Random

import pytest

from lambda_durable import AsyncContext, CancelOn, Context, Durable, Event
from lambda_durable.aws.dynamodb import DynamoStore
from lambda_durable.ports import Delivery
from lambda_durable.runtime import ingress
from lambda_durable.runtime.executor import NoExecutor
from lambda_durable.testing import Faults, LocalRuntime, crash_everywhere
from lambda_durable.testing.fakes import VirtualClock
from tests.simulation.simulate import Setup, simulate
from tests.simulation.workflows import Life, Workflow

ROUNDS = 3


def make(mode):
    app, effects = Durable("app", steps_per_invocation=mode), []

    @app.function("child")
    def child(ctx: Context[int]) -> None:
        ctx.step.sleep("think", "20h")
        ctx.step.run("thought", effects.append, "child")

    @app.function("plain", cancel_on=CancelOn("stop", match="data.n"))
    def plain(ctx: Context[dict]) -> int:
        n = ctx.event.data["n"]
        ctx.step.run("work", effects.append, n)
        ctx.step.sleep("pause", "1h")
        if n < ROUNDS:
            ctx.continue_as_new({"n": n + 1})
        return n

    @app.function("hasty")
    def hasty(ctx: Context[dict]) -> int:
        n = ctx.event.data["n"]
        ctx.step.run("work", effects.append, n)
        ctx.step.run("more work", effects.append, n)
        if n < ROUNDS:
            ctx.continue_as_new({"n": n + 1})
        return n

    @app.function("beside")
    async def beside(ctx: AsyncContext[dict]) -> int:
        n = ctx.event.data["n"]
        ask = asyncio.create_task(ctx.step.invoke("ask", child, n))
        paid = asyncio.create_task(ctx.step.wait_for_event("paid", "paid", timeout="9d"))
        nap = asyncio.create_task(ctx.step.sleep("nap", "9d"))
        async with asyncio.TaskGroup() as group:
            for part in (1, 2):
                group.create_task(ctx.step.run(f"work {part}", effects.append, n))
        await asyncio.wait({ask, paid, nap}, return_when=asyncio.FIRST_COMPLETED)
        if n < ctx.event.data.get("rounds", ROUNDS):
            ctx.continue_as_new({**ctx.event.data, "n": n + 1})
        return n

    @app.function("parent")
    def parent(ctx: Context[dict]) -> int:
        return ctx.step.invoke("loop", plain, ctx.event.data)

    return app, effects


NAMES = ["plain", "hasty", "beside", "parent"]
PER_ROUND = {"plain": 1, "hasty": 2, "beside": 2, "parent": 1}
"""Effects of a round."""


def drive(rt, run):
    for number in range(ROUNDS + 1):
        rt.advance("3h")
        rt.send(Event("paid", {"number": number}))
    rt.drain()


# Of the others no round has two steps one after another: the mode makes no difference.
@pytest.mark.parametrize(("name", "mode"), [*((name, "all") for name in NAMES), ("hasty", 1)])
def test_a_crash_anywhere_loses_and_repeats_nothing(name, mode):
    app, effects = make(mode)
    points = 0
    rounds = ROUNDS - 1 if name == "beside" else ROUNDS  # that one has hundreds of points in each
    for crash in crash_everywhere(app, app.functions[name], {"n": 1, "rounds": rounds}, drive=drive):
        points += 1
        assert (crash.run.status, crash.run.output) == ("completed", rounds), crash.point
        assert crash.run.continuations == (0 if name == "parent" else rounds - 1), crash.point
        done = Counter(effects)
        assert set(done) == set(range(1, rounds + 1)), crash.point
        # What was in flight is done again.
        assert all(count >= PER_ROUND[name] for count in done.values()), crash.point
        assert done.total() <= PER_ROUND[name] * (rounds + (crash.point is not None)), crash.point
        children = list(crash.runtime.runs("child"))
        assert {child.status for child in children} <= {"cancelled"}, crash.point
        assert len(children) == (rounds if name == "beside" else 0), crash.point
        effects.clear()
    assert points > 30


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(15))
def test_whatever_happens_it_goes_through_all_its_rounds_once(name, seed):
    random = Random(f"{name} {seed}")
    app, effects = make(random.choice([1, 3, "all", "auto"]))
    faults = [Faults(), Faults(duplicate=0.3, late=0.2, interleave=True), Faults(lose=0.2), Faults(crash=0.2)]
    rt = LocalRuntime(app, faults=random.choice(faults), seed=seed)
    run = rt.start(app.functions[name], {"n": 1})
    for _ in range(ROUNDS):
        rt.advance(f"{random.randrange(200)}m")
        rt.send(Event("paid"), Event("stop", {"n": 0}))
    rt.drain()

    ended = rt.get(run.run_id)
    assert (ended.status, ended.output) == ("completed", ROUNDS)
    assert ended.continuations == (0 if name == "parent" else ROUNDS - 1)
    assert set(effects) - {"child"} == set(range(1, ROUNDS + 1))
    assert {child.status for child in rt.runs("child")} <= {"cancelled", "completed"}
    assert rt.dead_letters == []


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_it_can_be_cancelled(seed):
    random = Random(seed)
    app, effects = make(random.choice([1, "all"]))
    rt = LocalRuntime(app, faults=random.choice([Faults(), Faults(lose=0.2)]), seed=seed)
    run = rt.start(app.functions["beside"], {"n": -1_000_000})
    for _ in range(5):
        rt.advance(f"{random.randrange(120)}m")
        rt.send(Event("paid"))
    rt.advance(f"{random.randrange(30)}s")
    rt.client.cancel(run.run_id)
    rt.drain()
    assert rt.get(run.run_id).status == "cancelled"
    assert {child.status for child in rt.runs("child")} <= {"cancelled", "completed"}


def test_an_event_that_comes_while_a_run_switches_leaves_it_one_that_can_be_cancelled(durable, monkeypatch):
    app, _ = make("all")
    rt = durable(app)
    switches = 0
    renew_run = DynamoStore.renew_run

    def interrupted(store, before, header):
        nonlocal switches
        switches += 1
        if switches == 2:  # who waits for the event of the third round is there, and the round is not
            world = rt._world(VirtualClock(rt._simulation), NoExecutor())
            record = {"id": "x", "detail-type": "stop", "source": "app", "detail": {"n": 3}}
            ingress.event(world, app, {**record, "time": rt.now().isoformat()}, Delivery("{}", "m"))
        return renew_run(store, before, header)

    monkeypatch.setattr(DynamoStore, "renew_run", interrupted)
    run = rt.start(app.functions["plain"], {"n": 1})
    rt.advance("125m")
    assert (rt.get(run.run_id).status, rt.get(run.run_id).event.data) == ("running", {"n": 3})
    rt.send(Event("stop", {"n": 3}))
    rt.advance("1m")
    assert rt.get(run.run_id).status == "cancelled"


IN_THE_FIRST = re.compile(r": (before|aside|nap)( \d)? has a record")
"""What is said of the first journal, of which the workflow knows nothing."""


class SecondJournal(Workflow):
    """A random workflow, run in the second journal of a run whose first was left in the middle of things."""

    def build(self, outside, version=0):
        app, function = super().build(outside, version)

        if self.is_async:

            @app.function("renewed")
            async def renewed(ctx: AsyncContext):
                if "second" not in ctx.event.data:
                    naps = [asyncio.create_task(ctx.step.sleep(f"nap {n}", "1h")) for n in range(3)]
                    await asyncio.gather(*(ctx.step.run(f"before {n}", int) for n in range(len(naps))))
                    ctx.continue_as_new({**ctx.event.data, "second": True})
                return await function.handler(ctx)
        else:

            @app.function("renewed")
            def renewed(ctx: Context):
                if "second" not in ctx.event.data:
                    for n in range(3):
                        ctx.step.submit(f"aside {n}", int)
                    ctx.step.run("before", int)
                    ctx.continue_as_new({**ctx.event.data, "second": True})
                return function.handler(ctx)

        return app, renewed


@pytest.mark.parametrize("first", range(0, 60, 5))
def test_a_second_journal_keeps_every_promise_of_a_first(first):
    for seed in range(first, first + 5):
        setup = Setup.of(seed, lose=seed % 3 == 0, opened=seed % 2 == 0)
        parts = {each.name: getattr(setup.workflow, each.name) for each in fields(Workflow)}
        workflow = SecondJournal(**parts | {"life": Life()})
        wrong = simulate(replace(setup, workflow=workflow))
        if wrong := [text for text in wrong if not IN_THE_FIRST.search(text)]:
            told = "\n".join(f"  - {text}" for text in wrong)
            pytest.fail(f"{setup.text()}\n{told}", pytrace=False)
