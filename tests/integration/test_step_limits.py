"""`Concurrency` of steps: how many functions of steps run at once, and who is next."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from lambda_durable import (
    AsyncContext,
    Concurrency,
    Context,
    Durable,
    Event,
    Priority,
    Retry,
    Timeouts,
    on_event,
)
from lambda_durable.aws.dynamodb import DynamoStore
from lambda_durable.testing import Faults, LocalRuntime

TEN = timedelta(seconds=10)


@pytest.fixture(params=[1, "all", "auto"])
def app(request):
    return Durable("shop", steps_per_invocation=request.param)


class Calls:
    """When steps' functions were called, and for whom. Each takes 10 seconds."""

    def __init__(self, rt, *steps):
        self.rt, self.log = rt, []
        for step in steps:
            rt.stub(step, self.called, takes="10s")

    def called(self, who=""):
        self.log.append((self.rt.now(), who))
        return who

    def at_once(self, of=None):
        times = [at for at, who in self.log if of is None or who == of]
        return max(sum(at <= other < at + TEN for other in times) for at in times)

    @property
    def order(self):
        return [who for _, who in self.log]

    @property
    def took(self):
        """Seconds from the first call to the end of the last."""
        return (self.log[-1][0] + TEN - self.log[0][0]).total_seconds()


def jobs(rt, *data):
    rt.send(*(Event("job", each) for each in data))


def work(who):
    raise AssertionError("it is stubbed")


def completed(rt, count):
    assert [run.status for run in rt.runs()] == ["completed"] * count


def test_as_many_steps_at_once_as_the_limit(durable, app):
    @app.function("f", on_event("job"), concurrency=Concurrency(2))
    def f(ctx: Context[int]) -> None:
        ctx.step.run("work", work, ctx.event.data)

    rt = durable(app)
    calls = Calls(rt, "work")
    jobs(rt, *range(6))
    rt.drain()
    completed(rt, 6)
    assert calls.at_once() == 2
    assert calls.took == 30


def test_what_sleeps_and_waits_is_free(durable, app):
    @app.function("f", on_event("job"), concurrency=Concurrency(1))
    def f(ctx: Context[int]) -> None:
        ctx.step.run("work", work, ctx.event.data)
        ctx.step.sleep("nap", "1h")
        ctx.step.wait_for_event("go", "go", timeout="1h")

    rt = durable(app)
    calls = Calls(rt, "work")
    jobs(rt, *range(4))
    rt.drain()
    completed(rt, 4)
    assert calls.took == 40


def test_a_slot_is_free_while_its_run_waits_for_a_retry(durable, app):
    @app.function("f", on_event("job"), concurrency=Concurrency(1), retry=Retry.fixed("10m", 2))
    def f(ctx: Context[int]) -> None:
        ctx.step.run("work", work, ctx.event.data)

    rt = durable(app)
    log = []

    def fails_first(who):
        log.append(who)
        if log.count(who) == 1:
            raise OSError("not yet")

    rt.stub("work", fails_first, takes="10s")
    jobs(rt, *range(3))
    rt.drain()
    completed(rt, 3)
    assert sorted(log[:3]) == [0, 1, 2]


def test_who_waits_is_served_in_the_order_of_its_run(durable, app):
    @app.function("f", on_event("job"), concurrency=Concurrency(1))
    def f(ctx: Context[int]) -> None:
        ctx.step.run("work", work, ctx.event.data)

    rt = durable(app)
    calls = Calls(rt, "work")
    for n in range(5):
        jobs(rt, n)
        rt.advance("1s")
    rt.drain()
    assert calls.order == [0, 1, 2, 3, 4]


def test_priority_is_a_head_start(durable, app):
    @app.function(
        "f", on_event("job"), concurrency=Concurrency(1), priority=Priority("event.data.paid ? 120 : 0")
    )
    def f(ctx: Context[dict]) -> None:
        ctx.step.run("work", work, ctx.event.data["n"])

    rt = durable(app)
    calls = Calls(rt, "work")
    for n in range(4):
        jobs(rt, {"n": n, "paid": n == 3})
        rt.advance("1s")
    rt.drain()
    assert calls.order == [0, 3, 1, 2]


def test_each_value_of_a_key_has_its_own_slots(durable, app):
    @app.function("f", on_event("job"), concurrency=Concurrency(1, key="data.who"))
    def f(ctx: Context[dict]) -> None:
        ctx.step.run("work", work, ctx.event.data["who"])

    rt = durable(app)
    calls = Calls(rt, "work")
    jobs(rt, *({"who": who} for who in "aaabb"))
    rt.drain()
    completed(rt, 5)
    assert (calls.at_once("a"), calls.at_once("b"), calls.at_once()) == (1, 1, 2)
    assert calls.took == 30


def test_two_limits_hold_together_and_a_hot_key_starves_no_other(durable, app):
    @app.function("f", on_event("job"), concurrency=[Concurrency(3), Concurrency(2, key="data.who")])
    def f(ctx: Context[dict]) -> None:
        ctx.step.run("work", work, ctx.event.data["who"])

    rt = durable(app)
    calls = Calls(rt, "work")
    jobs(rt, *({"who": "hot"} for _ in range(10)))
    rt.advance("1s")
    jobs(rt, {"who": "cold"})
    rt.drain()
    completed(rt, 11)
    assert (calls.at_once("hot"), calls.at_once()) == (2, 3)
    assert calls.order.index("cold") == 2


def test_functions_of_an_app_share_a_limit(durable, app):
    shared = Concurrency(2, scope="app")
    for id in ("f", "g"):

        @app.function(id, on_event("job"), concurrency=shared)
        def handler(ctx: Context[int]) -> None:
            ctx.step.run("work", work, ctx.function_id)

    rt = durable(app)
    calls = Calls(rt, "work")
    jobs(rt, *range(3))
    rt.drain()
    completed(rt, 6)
    assert calls.at_once() == 2
    assert Counter(calls.order) == {"f": 3, "g": 3}


def test_the_parallel_steps_of_one_run_count_each(durable, app):
    @app.function("f", on_event("job"), concurrency=Concurrency(2))
    def f(ctx: Context[int]) -> None:
        futures = [ctx.step.submit(f"work-{n}", work, n) for n in range(4)]
        ctx.step.wait(futures)
        ctx.step.map("each", work, range(3))

    rt = durable(app)
    calls = Calls(rt, *(f"work-{n}" for n in range(4)), "each")
    jobs(rt, 0)
    rt.drain()
    completed(rt, 1)
    assert calls.at_once() == 2
    assert len(calls.log) == 7


def test_an_async_handler_s_tasks_count_each(durable, app):
    @app.function("f", on_event("job"), concurrency=Concurrency(2))
    async def f(ctx: AsyncContext[int]) -> list[int]:
        return await asyncio.gather(*(ctx.step.run(f"work-{n}", work, n) for n in range(5)))

    rt = durable(app)
    calls = Calls(rt, *(f"work-{n}" for n in range(5)))
    run = rt.run(f, 0)
    assert run.output == [0, 1, 2, 3, 4]
    assert calls.at_once() == 2


def test_a_step_against_a_sleep_may_lose_while_it_waits_for_a_slot(durable, app):
    @app.function("f", on_event("job"), concurrency=Concurrency(1))
    async def f(ctx: AsyncContext[int]) -> str:
        step = asyncio.create_task(ctx.step.run("work", work, ctx.event.data))
        nap = asyncio.create_task(ctx.step.sleep("nap", "15s"))
        done, _ = await asyncio.wait([step, nap], return_when=asyncio.FIRST_COMPLETED)
        return "step" if step in done else "nap"

    rt = durable(app)
    Calls(rt, "work")
    jobs(rt, *range(3))
    rt.drain()
    completed(rt, 3)
    assert Counter(rt.get(run.run_id).output for run in rt.runs()) == {"step": 1, "nap": 2}


def test_undoing_counts_too(durable, app):
    @app.function("f", on_event("job"), concurrency=Concurrency(1))
    def f(ctx: Context[int]) -> None:
        ctx.step.options(undo=work).run("work", work, ctx.event.data)
        ctx.step.options(retry=Retry.never()).run("fails", work, ctx.event.data)

    rt = durable(app)
    calls = Calls(rt, "work", "undo/work")

    def fails(who):
        calls.called(who)
        raise OSError("no")

    rt.stub("fails", fails, takes="10s")
    jobs(rt, *range(3))
    rt.drain()
    assert [run.status for run in rt.runs()] == ["failed"] * 3
    assert calls.at_once() == 1
    assert len(calls.log) == 9


def test_who_waits_in_a_line_can_be_cancelled_and_the_next_is_served(durable, app):
    @app.function("f", on_event("job"), concurrency=Concurrency(1))
    def f(ctx: Context[int]) -> None:
        ctx.step.run("work", work, ctx.event.data)

    rt = durable(app)
    calls = Calls(rt, "work")
    for n in range(4):
        jobs(rt, n)
        rt.advance("1s")
    newest, *_ = runs = list(rt.runs())
    assert rt.client.cancel(runs[-2].run_id)
    rt.drain()
    assert Counter(run.status for run in rt.runs()) == {"completed": 3, "cancelled": 1}
    assert calls.order == [0, 2, 3]
    assert rt.get(newest.run_id).status == "completed"


def test_a_run_that_waits_for_a_slot_times_out_like_any_other(durable, app):
    @app.function("f", on_event("job"), concurrency=Concurrency(1), timeouts=Timeouts(finish="25s"))
    def f(ctx: Context[int]) -> None:
        ctx.step.run("work", work, ctx.event.data)

    rt = durable(app)
    calls = Calls(rt, "work")
    jobs(rt, *range(5))
    rt.drain()
    assert Counter(run.status for run in rt.runs()) == {"completed": 2, "failed": 3}
    assert len(calls.log) <= 3


def test_the_slot_of_a_lambda_that_was_killed_is_free_once_it_is_surely_gone():
    app = Durable("shop")

    @app.function("f", on_event("job"), concurrency=Concurrency(1))
    def f(ctx: Context[int]) -> None:
        ctx.step.run("work", work, ctx.event.data)

    for seed in range(20):
        rt = LocalRuntime(app, faults=Faults(crash=0.3, interleave=False), seed=seed, lambda_timeout="60s")
        calls = Calls(rt, "work")
        jobs(rt, *range(3))
        rt.drain()
        completed(rt, 3)
        assert calls.at_once() == 1
        assert calls.took < 30 * 60


def test_who_waits_behind_a_slot_that_is_not_given_back_relies_on_no_wake_that_has_come():
    """A step that can't be stopped has its slot until its Lambda is surely gone; its message is done with before."""
    app = Durable("shop", steps_per_invocation="all")

    @app.function("f", on_event("job"), concurrency=Concurrency(1), retry=Retry.never())
    def f(ctx: Context[str]) -> None:
        ctx.step.run(ctx.event.data, work, ctx.event.data)

    rt = LocalRuntime(app, lambda_timeout="60s")
    for step, takes in (("short", "10s"), ("long", "90s")):
        rt.stub(step, str, takes=takes)
    jobs(rt, "short")
    rt.advance("1s")
    jobs(rt, "short")  # waits, so somebody is to look after the line when the first lease ends: at 65 s
    rt.advance("49s")
    jobs(rt, "long")
    rt.advance("30s")  # who looked has found that nobody waits
    jobs(rt, "short")
    rt.drain()
    assert Counter(run.status for run in rt.runs()) == {"completed": 3, "failed": 1}


def test_who_gets_its_place_late_looks_whether_the_line_was_looked_after_meanwhile(monkeypatch):
    app = Durable("shop", steps_per_invocation="all")

    @app.function("f", on_event("job"), concurrency=Concurrency(1), retry=Retry.never())
    def f(ctx: Context[str]) -> None:
        ctx.step.run(ctx.event.data, work, ctx.event.data)

    rt = LocalRuntime(app, lambda_timeout="60s")
    for step, takes in (("short", "10s"), ("long", "90s")):
        rt.stub(step, str, takes=takes)
    waits = DynamoStore.wait_in_line

    def stands_still(store, join, *, leaving):
        process = rt._simulation.current()
        if rt.now() > began + timedelta(seconds=45):
            process.sleep_until(rt.now() + timedelta(seconds=30))
        return waits(store, join, leaving=leaving)

    monkeypatch.setattr(DynamoStore, "wait_in_line", stands_still)
    began = rt.now()
    jobs(rt, "short")
    rt.advance("1s")
    jobs(rt, "short")
    rt.advance("24s")
    jobs(rt, "long")
    rt.advance("25s")
    jobs(rt, "short")
    rt.drain()
    assert Counter(run.status for run in rt.runs()) == {"completed": 3, "failed": 1}


def limited_to(limit):
    app = Durable("shop")

    @app.function("f", on_event("job"), concurrency=Concurrency(limit))
    def f(ctx: Context[int]) -> None:
        ctx.step.run("work", work, ctx.event.data)

    return app


def test_a_deploy_that_changes_a_limit_holds_for_who_comes_and_who_waits(durable):
    rt = durable(limited_to(1))
    calls = Calls(rt, "work")
    jobs(rt, *range(7))
    rt.advance("5s")
    rt.deploy(limited_to(3))
    calls.log.clear()
    rt.drain()
    completed(rt, 7)
    assert calls.at_once() == 3
    assert calls.took == 20


def test_a_deploy_that_takes_the_limit_away_leaves_nobody_waiting(durable):
    def app_of(**limits):
        app = Durable("shop")

        @app.function("f", on_event("job"), **limits)
        def f(ctx: Context[int]) -> None:
            ctx.step.run("work", work, ctx.event.data)

        return app

    rt = durable(app_of(concurrency=Concurrency(1)))
    Calls(rt, "work")
    jobs(rt, *range(5))
    rt.advance("5s")
    rt.deploy(app_of())
    rt.drain()
    completed(rt, 5)


def test_the_reconciler_looks_ever_more_seldom_after_who_waits_for_a_slot(durable):
    app = Durable("shop")

    @app.function("f", on_event("job"), concurrency=Concurrency(1))
    def f(ctx: Context[int]) -> None:
        ctx.step.run("work", work, ctx.event.data)

    rt = durable(app)
    rt.stub("work", int, takes="14m")
    jobs(rt, *range(20))
    for _ in range(20):
        rt.advance("15m")
        rt.reconcile()
    completed(rt, 20)
    assert rt.invocations < 20 * 8  # two messages each, and some 5 to look after it and the line


@pytest.mark.parametrize("seed", range(4))
def test_two_who_wait_each_in_a_line_do_not_wait_for_each_other(seed):
    app = Durable("shop", steps_per_invocation=1)
    limits = [Concurrency(1, scope="app"), Concurrency(1, key="data.who")]
    for id in ("f", "g"):

        @app.function(id, on_event("job"), concurrency=limits)
        def handler(ctx: Context[dict]) -> None:
            for n in range(3):
                ctx.step.run(f"work-{n}", work, ctx.event.data["who"])

    rt = LocalRuntime(app, faults=Faults(duplicate=0.1, interleave=True), seed=seed, lambda_timeout="60s")
    calls = Calls(rt, *(f"work-{n}" for n in range(3)))
    rt.send(*(Event("job", {"who": who}, id=f"e{n}") for n, who in enumerate("aabb")))
    rt.drain()
    completed(rt, 8)
    assert calls.at_once() == 1
    assert rt.invocations < 24 * 12


def test_who_waits_for_a_limit_that_a_deploy_has_lowered_does_not_wake_itself_for_ever(durable):
    rt = durable(limited_to(5))
    rt.stub("work", int, takes="50s")
    for n in range(8):
        jobs(rt, n)
        rt.advance("3s")
    rt.deploy(limited_to(2))
    for _ in range(60):
        rt.advance("1s")
        assert rt.invocations < 60
    rt.drain()
    completed(rt, 8)
