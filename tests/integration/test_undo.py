"""`undo=` and `undo_if_unknown=`: what a step did is taken back when its run fails or is cancelled."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

import pytest
from pydantic import BaseModel

from lambda_durable import (
    AsyncContext,
    ConfigurationError,
    Context,
    Durable,
    Event,
    NonRetriableError,
    Retry,
    StepError,
    Timeouts,
    current_step,
    on_event,
)
from lambda_durable.testing import LocalRuntime
from lambda_durable.testing.simulation import Crashed


class Room(BaseModel):
    number: int


class Hotel:
    """What was booked and taken back, in order."""

    def __init__(self):
        self.told = []

    def book(self, number: int) -> Room:
        self.told.append(f"+{number}")
        return Room(number=number)

    def cancel(self, room: Room | None) -> object:
        self.told.append(f"-{room.number if isinstance(room, Room) else room}")
        return object()  # whatever an undo returns is nobody's business

    async def cancel_later(self, room: Room | None) -> None:
        await asyncio.sleep(0)
        self.cancel(room)


def refuse():
    raise NonRetriableError("no")


@pytest.fixture
def hotel():
    return Hotel()


@pytest.fixture(params=[1, "all", "auto"])
def app(request):
    return Durable("app", steps_per_invocation=request.param, retry=Retry.fixed("10s", 3))


def a_sync(app, hotel):
    @app.function("f", on_event("go"))
    def f(ctx: Context) -> None:
        step = ctx.step.options(undo=hotel.cancel)
        step.run("one", hotel.book, 1)
        ctx.step.run("between", int)
        step.map("some", hotel.book, [2, 3])
        ctx.step.group("inner", lambda: step.run("four", hotel.book, 4))
        ctx.step.run("last", refuse)

    return f


def an_async(app, hotel):
    @app.function("f", on_event("go"))
    async def f(ctx: AsyncContext) -> None:
        step = ctx.step.options(undo=hotel.cancel_later)
        await step.run("one", hotel.book, 1)
        await ctx.step.run("between", int)
        await step.map("some", hotel.book, [2, 3], max_concurrency=1)

        async def inner() -> None:
            await step.run("four", hotel.book, 4)

        await ctx.step.group("inner", inner)
        await ctx.step.run("last", refuse)

    return f


@pytest.mark.parametrize("make", [a_sync, an_async])
def test_a_failed_run_is_undone_in_reverse_order_with_its_results(durable, app, hotel, make):
    run = durable(app).run(make(app, hotel))

    assert (run.status, run.error.message, run.error.step_id) == ("failed", "no", "last")
    assert hotel.told == ["+1", "+2", "+3", "+4", "-4", "-3", "-2", "-1"]
    undone = {name: step for name, step in run.steps.items() if name.startswith("undo/")}
    assert list(undone) == ["undo/inner/four", "undo/some[1]", "undo/some[0]", "undo/one"]
    assert {(step.kind, step.status, step.output) for step in undone.values()} == {
        ("undo", "completed", None)
    }


@pytest.mark.parametrize("make", [a_sync, an_async])
def test_a_completed_run_is_not(durable, app, hotel, make):
    rt = durable(app)
    f = make(app, hotel)
    rt.stub("last", int)
    run = rt.run(f)
    assert run.status == "completed"
    assert hotel.told == ["+1", "+2", "+3", "+4"]
    assert not [name for name in run.steps if name.startswith("undo/")]


def test_it_is_compensating_meanwhile_and_on_failure_comes_after_and_not_after_a_cancel(durable, app, hotel):
    seen = []

    @app.function("f")
    def f(ctx: Context) -> None:
        ctx.step.options(undo=hotel.cancel).run("book", hotel.book, 1)
        ctx.step.sleep("nap", "1h")
        ctx.step.run("last", refuse)

    @f.on_failure
    def told(ctx: Context) -> None:
        ctx.step.run("tell", lambda: seen.append((list(hotel.told), ctx.event.data.error.message)))

    rt = durable(app)
    rt.stub("undo/book", takes="30s")
    failed = rt.start(f)
    rt.advance("1h")
    rt.advance("10s")
    meanwhile = rt.get(failed.run_id)
    assert (meanwhile.status, meanwhile.error.message, meanwhile.ended_at) == ("compensating", "no", None)
    assert [run.status for run in rt.runs(status="compensating")] == ["compensating"]
    assert rt.client.cancel(failed.run_id) is False
    assert seen == []
    rt.drain()
    assert rt.get(failed.run_id).status == "failed"
    assert seen == [(["+1", "-1"], "no")]

    cancelled = rt.start(f)
    rt.advance("1m")
    assert rt.client.cancel(cancelled.run_id) is True
    assert rt.client.cancel(cancelled.run_id) is False
    rt.drain()
    assert rt.get(cancelled.run_id).status == "cancelled"
    assert hotel.told == ["+1", "-1", "+1", "-1"]
    assert len(seen) == 1


def test_an_undo_is_retried_by_the_step_s_policy_and_one_that_fails_for_good_is_shown(
    durable, app, hotel, caplog
):
    caplog.set_level(logging.ERROR, logger="lambda_durable.failed_runs")

    def fails(room):
        hotel.told.append(current_step().attempt)
        raise OSError("the line is dead")

    @app.function("f")
    def f(ctx: Context) -> None:
        ctx.step.options(undo=hotel.cancel).run("first", hotel.book, 1)
        ctx.step.options(undo=fails, retry=Retry.fixed("1m", 2)).run("second", hotel.book, 2)
        ctx.step.options(undo=hotel.cancel).run("third", hotel.book, 3)
        ctx.step.run("last", refuse)

    run = durable(app).run(f)
    assert hotel.told == ["+1", "+2", "+3", "-3", 1, 2, "-1"]
    assert (run.status, run.error.message) == ("failed", "no")
    failed = run.steps["undo/second"]
    assert (failed.status, failed.attempts, failed.error.message) == ("failed", 2, "the line is dead")
    assert failed.ended_at - failed.started_at >= timedelta(minutes=1)
    assert [line for line in caplog.messages if "'undo/second' failed for good" in line]


def test_a_step_that_failed_and_told_has_nothing_to_undo(durable, app, hotel):
    @app.function("f")
    def f(ctx: Context) -> None:
        step = ctx.step.options(undo=hotel.cancel, undo_if_unknown=True)
        try:
            step.run("refused", refuse)
        except StepError:
            step.run("instead", hotel.book, 2)
        ctx.step.run("last", refuse)

    run = durable(app).run(f)
    assert hotel.told == ["+2", "-2"]
    assert "undo/refused" not in run.steps


def test_a_step_is_told_what_it_is_by_its_shown_name(durable, app):
    seen = []

    def undo(_):
        info = current_step()
        seen.append((info.step_id, info.attempt, info.idempotency_key))

    @app.function("f")
    def f(ctx: Context) -> None:
        ctx.step.group("g", lambda: ctx.step.options(undo=undo).run("a/b", int))
        ctx.step.run("last", refuse)

    run = durable(app).run(f)
    ((name, attempt, key),) = seen
    assert (name, attempt) == ("undo/g/a%2Fb", 1)
    assert name in run.steps
    assert key.startswith(f"{run.run_id}/:undo/")


def test_a_group_of_the_user_s_own_that_is_called_undo_is_another_thing(durable, app, hotel):
    @app.function("f")
    def f(ctx: Context) -> None:
        step = ctx.step.options(undo=hotel.cancel)
        step.run("a", hotel.book, 1)
        ctx.step.group("undo", lambda: step.run("a", hotel.book, 2))
        ctx.step.run("last", refuse)

    run = durable(app).run(f)
    assert hotel.told == ["+1", "+2", "-2", "-1"]
    assert run.steps["undo/a"].output == {"number": 2}
    assert {":undo/a", "undo/undo/a"} <= run.steps.keys()


# attempts of which nobody knows


def killed(rt, *steps, times=99):
    """Let invocations die that come to the end of a step's function, the first `times` of each."""
    left = dict.fromkeys(steps, times)

    def watch(process, place):
        for step in steps:
            if place.startswith(f"in step {step!r}") and place.endswith("after its function") and left[step]:
                left[step] -= 1
                process.crash(place)

    rt._traffic.watch = watch


@pytest.mark.parametrize("if_unknown", [False, True])
def test_a_step_that_kills_its_lambda_is_undone_if_its_undo_is_for_that(durable, app, hotel, if_unknown):
    @app.function("f")
    def f(ctx: Context) -> None:
        ctx.step.options(undo=hotel.cancel, undo_if_unknown=if_unknown).run("bad", hotel.book, 1)

    rt = durable(app)
    killed(rt, "bad")
    run = rt.run(f)
    assert run.status == "failed"
    assert run.error.type == "lambda_durable.errors.StepInterruptedError"
    assert set(hotel.told) == ({"+1", "-None"} if if_unknown else {"+1"})
    assert ("undo/bad" in run.steps) is if_unknown


def test_so_is_an_at_most_once_step_and_one_whose_first_attempt_died_and_whose_last_one_told(
    durable, app, hotel
):
    @app.function("f")
    def f(ctx: Context) -> None:
        step = ctx.step.options(undo=hotel.cancel, undo_if_unknown=True)
        try:
            step.options(semantics="at_most_once").run("once", hotel.book, 1)
        except StepError:
            pass

        def fails() -> Room:
            hotel.told.append("try")
            if hotel.told.count("try") > 1:
                raise NonRetriableError("no")
            return Room(number=2)

        step.run("twice", fails)

    rt = durable(app)
    killed(rt, "once", "twice", times=1)
    run = rt.run(f)
    assert (run.status, run.error.step_id) == ("failed", "twice")
    assert hotel.told == ["+1", "try", "try", "-None", "-None"]
    assert run.steps["undo/once"].status == "completed"


def test_so_is_one_that_took_too_long(durable, app, hotel):
    @app.function("f")
    def f(ctx: Context) -> None:
        step = ctx.step.options(undo=hotel.cancel, undo_if_unknown=True, timeout="5s", retry=Retry.never())
        step.run("slow", hotel.book, 1)

    rt = durable(app)
    rt.stub("slow", takes="6s")
    assert rt.run(f).status == "failed"
    assert hotel.told == ["+1", "-None"]


# in flight when the run ends


@pytest.mark.parametrize("takes", ["10s", "40s"])
def test_a_step_that_is_at_work_when_its_run_is_cancelled_is_undone_with_its_result(
    durable, app, hotel, takes
):
    @app.function("f")
    def f(ctx: Context) -> None:
        step = ctx.step.options(undo=hotel.cancel)
        step.run("first", hotel.book, 1)
        step.run("slow", hotel.book, 2)
        step.run("never", hotel.book, 3)

    rt = durable(app, lambda_timeout="60s")
    rt.stub("slow", takes=takes)
    run = rt.start(f)
    rt.advance("5s")
    assert rt.client.cancel(run.run_id)
    rt.advance("1s")
    assert rt.get(run.run_id).status == "compensating"
    assert hotel.told == ["+1", "+2"]
    rt.drain()
    ended = rt.get(run.run_id)
    assert (ended.status, hotel.told) == ("cancelled", ["+1", "+2", "-2", "-1"])
    assert ended.ended_at - ended.started_at == timedelta(
        seconds=int(takes[:-1])
    )  # not the time-out of a Lambda


@pytest.mark.parametrize("if_unknown", [False, True])
def test_one_that_dies_meanwhile_is_not_waited_for_beyond_its_lambda(durable, app, hotel, if_unknown):
    @app.function("f")
    def f(ctx: Context) -> None:
        ctx.step.options(undo=hotel.cancel, undo_if_unknown=if_unknown).run("slow", hotel.book, 1)

    rt = durable(app, lambda_timeout="60s")
    rt.stub("slow", takes="2m")
    run = rt.start(f)
    rt.advance("5s")
    rt.client.cancel(run.run_id)
    rt.drain()
    ended = rt.get(run.run_id)
    assert ended.status == "cancelled"
    assert ended.steps["slow"].status in ("cancelled", "retrying")
    assert hotel.told == (["+1", "-None"] if if_unknown else ["+1"])
    assert ended.ended_at - ended.started_at < timedelta(seconds=90)


def test_a_step_that_lost_a_race_is_undone_if_the_run_fails_and_not_if_it_completes(durable, app, hotel):
    @app.function("f")
    async def f(ctx: AsyncContext[dict]) -> None:
        step = ctx.step.options(undo=hotel.cancel)
        slow = asyncio.create_task(step.run("slow", hotel.book, 1))
        quick = asyncio.create_task(ctx.step.run("quick", int))
        await asyncio.wait({slow, quick}, return_when=asyncio.FIRST_COMPLETED)
        if ctx.event.data["cancels"]:
            slow.cancel()
        await ctx.step.sleep("nap", "1m")
        if ctx.event.data["fails"]:
            await ctx.step.run("last", refuse)

    for cancels in (True, False):
        for fails, told in ((True, ["+1", "-1"]), (False, ["+1"])):
            hotel.told.clear()
            rt = durable(app)
            rt.stub("slow", takes="30s")
            run = rt.run(f, {"fails": fails, "cancels": cancels})
            assert (run.status, hotel.told) == ("failed" if fails else "completed", told)


def test_a_run_that_takes_too_long_is_undone(durable, app, hotel):
    @app.function("f", timeouts=Timeouts(finish="1h"))
    def f(ctx: Context) -> None:
        ctx.step.options(undo=hotel.cancel).run("book", hotel.book, 1)
        ctx.step.sleep("nap", "2h")

    run = durable(app).run(f)
    assert (run.status, run.error.type) == ("failed", "lambda_durable.errors.RunTimeoutError")
    assert hotel.told == ["+1", "-1"]


# cancel in any state


STATES = {
    "sleeping": lambda ctx: ctx.step.sleep("s", "1h"),
    "for an event": lambda ctx: ctx.step.wait_for_event("s", "paid", timeout="1h"),
    "for a signal": lambda ctx: ctx.step.wait_for_signal("s", "go", timeout="1h"),
    "for a run": lambda ctx: ctx.step.invoke("s", "child", {}),
    "for a retry": lambda ctx: ctx.step.options(retry=Retry.fixed("1h", 2)).run("s", lambda: 1 / 0),
    "for a poll": lambda ctx: ctx.step.poll("s", int, until=bool, every="1h", timeout="3h"),
    "for the handler's retry": lambda ctx: 1 / 0,
    "in a group": lambda ctx: ctx.step.group("g", lambda: ctx.step.sleep("s", "1h")),
    "in lanes": lambda ctx: ctx.step.map_group("m", lambda n: ctx.step.sleep("s", "1h"), [1, 2, 3]),
    "beside it": lambda ctx: (ctx.step.submit("t", int), ctx.step.sleep("s", "1h")),
}


@pytest.mark.parametrize("state", STATES)
def test_a_run_is_cancelled_and_undone_at_once_whatever_it_waits_for(durable, app, hotel, state):
    @app.function("child")
    def child(ctx: Context) -> None:
        ctx.step.sleep("s", "1h")

    @app.function("f", retry=Retry.fixed("1h", 3))
    def f(ctx: Context) -> None:
        ctx.step.options(undo=hotel.cancel).run("book", hotel.book, 1)
        STATES[state](ctx)
        hotel.told.append("too far")

    rt = durable(app)
    run = rt.start(f)
    rt.advance("1m")
    assert rt.client.cancel(run.run_id) is True
    rt.advance("0s")
    assert rt.get(run.run_id).status == "cancelled"
    assert {other.status for other in rt.runs("child")} <= {"cancelled"}
    assert rt.client.send_signal("go") is False
    rt.drain()
    assert hotel.told == ["+1", "-1"]
    assert rt.client.cancel(run.run_id) is False


def test_a_run_that_has_not_begun_is_cancelled(durable, app, hotel):
    f = a_sync(app, hotel)
    rt = durable(app)
    rt.send(Event("go", time=rt.now() + timedelta(hours=1)))
    rt.advance("1m")
    (queued,) = rt.runs(f)
    assert queued.status == "queued"
    assert rt.client.cancel(queued.run_id) is True
    rt.drain()
    assert rt.get(queued.run_id).status == "cancelled"
    assert hotel.told == []


# every kind of step


def test_every_kind_of_step_that_does_something_has_it(durable, app, hotel):
    seen = []

    @app.step(undo=lambda result: seen.append(("own", result)))
    def own() -> int:
        return 1

    @app.function("child")
    def child(ctx: Context) -> str:
        return "done"

    @app.function("f")
    def f(ctx: Context) -> None:
        def step(name):
            return ctx.step.options(undo=lambda result: seen.append((name, result)))

        own()
        ctx.step.run("handed in", own)
        step("poll").poll("poll", lambda: 7, until=bool, every="1s", timeout="1m")
        step("invoke").invoke("invoke", child, {})
        step("transact").transact("transact")
        step("send_event").send_event("send_event", Event("x", id="e-1"))
        step("send_signal").send_signal("send_signal", "nobody")
        future = step("submit").submit("submit", str)
        future.result()
        ctx.step.run("last", refuse)

    durable(app).run(f)
    assert seen == [
        ("submit", ""),
        ("send_signal", False),
        ("send_event", ["e-1"]),
        ("transact", None),
        ("invoke", "done"),
        ("poll", 7),
        ("own", 1),
        ("own", 1),
    ]


def test_a_result_that_is_kept_in_s3_comes_back(durable, app):
    seen = []

    @app.function("f")
    def f(ctx: Context) -> None:
        ctx.step.options(undo=lambda text: seen.append(len(text))).run("large", lambda: "x" * 200_000)
        ctx.step.run("last", refuse)

    durable(app).run(f)
    assert seen == [200_000]


def test_a_run_that_was_invoked_is_undone_by_itself_when_its_parent_is_cancelled(durable, app, hotel):
    @app.function("child")
    def child(ctx: Context) -> None:
        ctx.step.options(undo=hotel.cancel).run("leg", hotel.book, 2)
        ctx.step.sleep("s", "1h")

    @app.function("f")
    def f(ctx: Context) -> None:
        step = ctx.step.options(undo=hotel.cancel)
        step.run("book", hotel.book, 1)
        step.invoke("child", child, {})

    rt = durable(app)
    run = rt.start(f)
    rt.advance("1m")
    rt.client.cancel(run.run_id)
    rt.advance("2m")
    assert {run.status for run in rt.runs()} == {"cancelled"}
    assert hotel.told == ["+1", "+2", "-2", "-1"]


# deploys


def test_an_undo_whose_code_is_gone_is_seen_and_the_others_still_run(durable, app, hotel):
    f = a_sync(app, hotel)
    rt = durable(app)
    rt.stub("last", lambda: 1 / 0)
    run = rt.start(f)
    rt.advance("1s")

    after = Durable("app", retry=app.retry)

    @after.function("f", on_event("go"))
    def newer(ctx: Context) -> None:
        ctx.step.run("one", hotel.book, 1)  # has no undo any more
        ctx.step.group("inner", lambda: ctx.step.options(undo=hotel.cancel).run("four", hotel.book, 4))
        ctx.step.run("last", refuse)

    rt.deploy(after)
    rt.drain()
    ended = rt.get(run.run_id)
    assert ended.status == "failed"
    assert hotel.told == ["+1", "+2", "+3", "+4", "-4"]
    assert ended.steps["undo/inner/four"].status == "completed"
    for gone in ("undo/one", "undo/some[0]", "undo/some[1]"):
        assert ended.steps[gone].status == "failed"
        assert "no longer calls it, or gives it no undo=" in ended.steps[gone].error.message


def test_code_that_no_longer_fits_the_journal_says_why_nothing_behind_that_is_undone(durable, app, hotel):
    f = a_sync(app, hotel)
    rt = durable(app)
    rt.stub("last", lambda: 1 / 0)
    run = rt.start(f)
    rt.advance("1s")

    after = Durable("app", retry=app.retry)

    @after.function("f", on_event("go"))
    def newer(ctx: Context) -> None:
        ctx.step.options(undo=hotel.cancel).run("one", hotel.book, 1)
        ctx.step.sleep("between", "1s")
        ctx.step.group("inner", lambda: ctx.step.options(undo=hotel.cancel).run("four", hotel.book, 4))

    rt.deploy(after)
    rt.drain()
    ended = rt.get(run.run_id)
    assert ended.error.type == "lambda_durable.errors.DeterminismError"
    assert ended.steps["undo/one"].status == "completed"
    message = ended.steps["undo/inner/four"].error.message
    assert (
        "the code fails before it comes to the step, with DeterminismError: step 'between' is a sleep"
        in message
    )


def test_a_function_that_is_gone_is_seen(durable, app, hotel):
    rt = durable(app)
    f = a_sync(app, hotel)
    rt.stub("last", lambda: 1 / 0)
    run = rt.start(f)
    rt.advance("1s")
    rt.deploy(Durable("app"))
    rt.client.cancel(run.run_id)
    rt.drain()
    ended = rt.get(run.run_id)
    assert (ended.status, len(hotel.told)) == ("cancelled", 4)
    assert "this app has no function 'f'" in ended.steps["undo/one"].error.message


def test_a_handler_that_fails_before_it_comes_to_the_step_says_so(durable, app, hotel):
    rt = durable(app)
    f = a_sync(app, hotel)
    rt.stub("last", lambda: 1 / 0)
    run = rt.start(f)
    rt.advance("1s")

    after = Durable("app")

    @after.function("f")
    def newer(ctx: Context) -> None:
        ctx.step.sleep("one", "1s")

    rt.deploy(after)
    rt.client.cancel(run.run_id)
    rt.drain()
    error = rt.get(run.run_id).steps["undo/one"].error
    assert "fails before it comes to the step, with DeterminismError" in error.message


def test_a_handler_that_breaks_for_a_while_is_tried_again(durable, app, hotel):
    broken = []

    @app.function("f")
    def f(ctx: Context) -> None:
        if broken and broken.pop():
            raise OSError("no settings")
        ctx.step.options(undo=hotel.cancel).run("book", hotel.book, 1)
        ctx.step.sleep("nap", "1h")

    rt = durable(app)
    run = rt.start(f)
    rt.advance("1m")
    broken += [True, True, True]
    rt.client.cancel(run.run_id)
    rt.drain()
    assert (rt.get(run.run_id).status, hotel.told) == ("cancelled", ["+1", "-1"])


def test_a_group_whose_code_has_a_new_step_is_left_with_its_outcome(durable, app, hotel):
    def make(app, new):
        @app.function("f")
        def f(ctx: Context) -> None:
            step = ctx.step.options(undo=hotel.cancel)

            def inner() -> None:
                step.run("a", hotel.book, 1)
                if new:
                    ctx.step.run("new", int)
                    raise AssertionError("nothing new begins")

            ctx.step.group("g", inner)
            ctx.step.parallel("p", inner, inner)
            step.run("b", hotel.book, 2)
            ctx.step.sleep("nap", "1h")

        return f

    rt = durable(app)
    run = rt.start(make(app, False))
    rt.advance("1m")
    after = Durable("app")
    make(after, True)
    rt.deploy(after)
    rt.client.cancel(run.run_id)
    rt.drain()
    ended = rt.get(run.run_id)
    assert {step.status for step in ended.steps.values() if step.kind == "undo"} == {"completed"}
    assert hotel.told == ["+1", "+1", "+1", "+2", "-2", "-1", "-1", "-1"]


# what nobody drives


def test_a_compensation_that_kills_every_invocation_ends_and_says_so(durable, app, hotel):
    @app.function("f")
    def f(ctx: Context) -> None:
        ctx.step.options(undo=hotel.cancel).run("first", hotel.book, 1)
        ctx.step.options(undo=hotel.cancel).run("book", hotel.book, 2)
        ctx.step.run("last", refuse)

    rt = durable(app)
    calls = []

    def dies(_):
        calls.append(1)
        raise Crashed("killed")

    rt.stub("undo/book", dies)
    run = rt.run(f)
    assert run.status == "failed"
    assert run.steps["undo/book"].status == "failed"
    assert "never heard of again" in run.steps["undo/book"].error.message
    assert hotel.told == ["+1", "+2", "-1"]
    assert len(calls) == 4  # the first kill is free


def test_the_reconciler_brings_back_a_compensation_whose_message_was_lost(durable, app, hotel):
    @app.function("f")
    def f(ctx: Context) -> None:
        ctx.step.options(undo=hotel.cancel).run("book", hotel.book, 1)
        ctx.step.sleep("nap", "1h")

    rt = durable(app)
    run = rt.start(f)
    rt.advance("1m")
    rt.client._world.store.begin_cancel(run.run_id)  # and the message never comes
    rt.stub("undo/book", takes="30s")
    rt.advance("30m")
    rt.reconcile()
    rt.advance("10s")
    assert rt.get(run.run_id).status == "compensating"
    rt.drain()
    assert (rt.get(run.run_id).status, hotel.told) == ("cancelled", ["+1", "-1"])


# what it costs


@pytest.mark.parametrize("mode", [1, "all"])
def test_who_does_not_use_it_pays_nothing_and_who_does_a_claim_and_a_look(durable, mode):
    def cost(steps, undo, fails):
        app = Durable("app", steps_per_invocation=mode, retry=Retry.never())

        @app.function("f")
        def f(ctx: Context) -> None:
            for _ in range(steps):
                ctx.step.options(undo=undo).run("a", int)
            if fails:
                ctx.step.run("last", refuse)

        rt = durable(app)
        rt.run(f)
        return rt.calls

    plain = cost(1, None, True) - cost(1, None, False)
    assert plain["dynamodb:PutItem"] == 1  # the step that fails
    assert plain["dynamodb:UpdateItem"] == 0  # the end is one write, whatever it is

    one, three = cost(1, int, False), cost(3, int, False)
    more = three - one
    assert (more["dynamodb:PutItem"], more["dynamodb:GetItem"], more["dynamodb:UpdateItem"]) == (4, 2, 0)
    assert one["dynamodb:UpdateItem"] - cost(1, None, False)["dynamodb:UpdateItem"] == 1  # the header's mark


# bad input


@pytest.mark.parametrize(
    "options",
    [{"undo": "cancel"}, {"undo_if_unknown": True}, {"undo": print, "undo_if_unknown": 1}],
)
def test_bad_options_are_errors_at_once(durable, app, options):
    @app.function("f")
    def f(ctx: Context) -> None:
        with pytest.raises(ConfigurationError, match="undo"):
            ctx.step.options(**options)

    assert durable(app).run(f).status == "completed"
    with pytest.raises(ConfigurationError, match="undo"):
        app.step(**options)


def test_an_async_undo_in_a_sync_handler_is_an_error(durable, app, hotel):
    @app.function("f")
    def f(ctx: Context) -> None:
        ctx.step.options(undo=hotel.cancel_later).run("book", hotel.book, 1)

    run = durable(app).run(f)
    assert "undo= of step 'book' is an async function in a sync handler" in run.error.message
    assert hotel.told == []


@pytest.mark.parametrize(
    "name", ["sleep", "wait_for_event", "wait_for_signal", "group", "parallel", "map_group"]
)
def test_what_does_nothing_takes_none(durable, app, name):
    calls = {
        "sleep": lambda step: step.sleep("s", "1s"),
        "wait_for_event": lambda step: step.wait_for_event("s", "x", timeout="1s"),
        "wait_for_signal": lambda step: step.wait_for_signal("s", "x", timeout="1s"),
        "group": lambda step: step.group("s", int),
        "parallel": lambda step: step.parallel("s", int),
        "map_group": lambda step: step.map_group("s", int, [1]),
    }

    @app.function("f")
    def f(ctx: Context) -> None:
        calls[name](ctx.step.options(undo=print))

    assert f"step.{name}('s') does nothing that could be undone" in durable(app).run(f).error.message


def test_a_step_inside_an_undo_is_nested(durable, app):
    @app.function("f")
    def f(ctx: Context) -> None:
        ctx.step.options(undo=lambda _: ctx.step.run("inside", int)).run("a", int)
        ctx.step.run("last", refuse)

    error = durable(app).run(f).steps["undo/a"].error
    assert error.type == "lambda_durable.errors.NestedStepError"


def test_one_app_undoes_many_branches_in_invocations_of_their_own(hotel):
    app = Durable("app", steps_per_invocation=1)

    @app.function("f")
    def f(ctx: Context) -> None:
        ctx.step.map_group(
            "m", lambda n: ctx.step.options(undo=hotel.cancel).run("book", hotel.book, n), range(60)
        )
        ctx.step.run("last", refuse)

    rt = LocalRuntime(app, steps_per_invocation=1)
    assert rt.run(f).status == "failed"
    booked = [int(entry[1:]) for entry in hotel.told if entry[0] == "+"]
    undone = [int(entry[1:]) for entry in hotel.told if entry[0] == "-"]
    assert sorted(booked) == sorted(undone) == list(range(60))
