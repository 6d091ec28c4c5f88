"""One durable function that runs another."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from pydantic import BaseModel

from lambda_durable import (
    AsyncContext,
    ConfigurationError,
    Context,
    Durable,
    InvokeError,
    NonRetriableError,
    Retry,
    StepTimeoutError,
)
from lambda_durable.testing import Faults, LocalRuntime, crash_everywhere


class Question(BaseModel):
    text: str


class Answer(BaseModel):
    length: int


class Shop:
    """Functions that invoke one another, and what they did."""

    def __init__(self, mode):
        self.app = app = Durable("app", steps_per_invocation=mode)
        self.effects = effects = []

        @app.function("child")
        def child(ctx: Context[Question]) -> Answer:
            ctx.step.sleep("think", "1h")
            ctx.step.run("count", effects.append, "counted")
            if ctx.event.data.text == "fail":
                raise NonRetriableError("it is unanswerable")
            return Answer(length=len(ctx.event.data.text))

        @app.function("parent")
        def parent(ctx: Context[Question]) -> object:
            try:
                answer = ctx.step.invoke("ask", child, ctx.event.data)
            except InvokeError as error:
                return [type(error).__name__, error.error_type, error.message]
            ctx.step.run("after", effects.append, "after")
            return answer.length

        @app.function("hurried")
        async def hurried(ctx: AsyncContext[Question]) -> object:
            try:
                return await ctx.step.invoke("ask", "child", ctx.event.data, timeout="10m")
            except StepTimeoutError as error:
                return error.message

        @app.function("careless")
        def careless(ctx: Context) -> None:
            ctx.step.invoke("ask", child, Question(text="x"), on_parent_end="leave", timeout="10m")

        @app.function("unknown")
        def unknown(ctx: Context) -> object:
            return ctx.step.invoke("ask", "nobody", {})

        @app.function("endless")
        def endless(ctx: Context[int]) -> int:
            return 1 + ctx.step.invoke("again", "endless", 0)

        @app.function("nested")
        async def nested(ctx: AsyncContext) -> list[int]:
            async def one(text: str) -> int:
                return (await ctx.step.invoke("ask", child, Question(text=text))).length

            return await ctx.step.map_group("m", one, ["a", "bb", "ccc"])


@pytest.fixture(params=[1, "all", "auto"])
def shop(request):
    return Shop(request.param)


def test_the_output_comes_back_as_it_is(durable, shop):
    rt = durable(shop.app)
    run = rt.start(shop.app.functions["parent"], Question(text="why"))
    rt.advance("1m")
    step = rt.get(run.run_id).steps["ask"]
    assert (step.kind, step.status, step.waiting_for.kind) == ("invoke", "waiting", "run")
    (child,) = step.waiting_for.names
    assert rt.get(child).function_id == "child"
    rt.drain()

    assert (rt.get(run.run_id).output, shop.effects) == (3, ["counted", "after"])


def test_a_failure_is_an_invoke_error(durable, shop):
    run = durable(shop.app).run(shop.app.functions["parent"], Question(text="fail"))
    name, type_, message = run.output
    assert (name, type_) == ("InvokeError", "lambda_durable.errors.NonRetriableError")
    assert "it is unanswerable" in message
    assert "'child'" in message


def test_one_that_takes_too_long_is_cancelled(durable, shop):
    rt = durable(shop.app)
    run = rt.run(shop.app.functions["hurried"], Question(text="x"))
    assert "'child' did not end in time" in run.output
    assert [found.status for found in rt.runs("child")] == ["cancelled"]
    assert shop.effects == []


def test_one_that_is_left_goes_on(durable, shop):
    rt = durable(shop.app)
    run = rt.run(shop.app.functions["careless"])
    assert (run.status, shop.effects) == ("failed", ["counted"])
    assert run.error.type == "lambda_durable.errors.StepTimeoutError"
    assert [found.status for found in rt.runs("child")] == ["completed"]


def test_a_cancelled_child_is_an_invoke_error(durable, shop):
    rt = durable(shop.app)
    run = rt.start(shop.app.functions["parent"], Question(text="x"))
    rt.advance("1m")
    rt.client.cancel(next(rt.runs("child")).run_id)
    rt.drain()
    assert "was cancelled" in rt.get(run.run_id).output[2]


@pytest.mark.parametrize("name", ["parent", "nested"])
def test_cancelling_a_run_cancels_what_it_has_invoked(durable, shop, name):
    rt = durable(shop.app)
    run = rt.start(shop.app.functions[name], Question(text="x"))
    rt.advance("1m")
    rt.client.cancel(run.run_id)
    rt.drain()

    assert {found.status for found in rt.runs("child")} == {"cancelled"}
    assert shop.effects == []


def test_a_function_that_is_not_there(durable, shop):
    run = durable(shop.app).run(shop.app.functions["unknown"])
    assert run.status == "failed"
    assert "no function 'nobody'" in run.error.message


def test_a_function_that_invokes_itself_for_ever_comes_to_an_end(durable, shop):
    rt = durable(shop.app)
    run = rt.run(shop.app.functions["endless"], 0)
    assert run.status == "failed"
    assert "invoked one another in a row" in run.error.message
    assert run.error.message.count(" failed: ") == 2  # the run that it invoked, and the one that says why
    assert len(list(rt.runs("endless"))) == 51


def test_many_at_once(durable, shop):
    assert durable(shop.app).run(shop.app.functions["nested"]).output == [1, 2, 3]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda step: step.invoke("i", len, {}), "takes a durable function or its id"),
        (lambda step: step.invoke("i", "f", {}, timeout=3), "says nothing of its unit"),
        (lambda step: step.invoke("i", "f", {}, on_parent_end="?"), "on_parent_end="),
    ],
)
def test_bad_input_is_an_error_at_the_call(durable, call, message):
    app = Durable("app")

    @app.function("f")
    def f(ctx: Context) -> None:
        with pytest.raises(ConfigurationError, match=message):
            call(ctx.step)

    assert durable(app).run(f).status == "completed"


@pytest.mark.parametrize("mode", [1, "all"])
def test_a_crash_anywhere_loses_and_repeats_nothing(mode):
    shop = Shop(mode)
    for crash in crash_everywhere(shop.app, shop.app.functions["parent"], Question(text="why")):
        assert (crash.run.status, crash.run.output) == ("completed", 3), crash.point
        assert set(shop.effects) == {"counted", "after"}, crash.point
        assert len(shop.effects) <= (2 if crash.point is None else 3), crash.point
        shop.effects.clear()


@pytest.mark.parametrize("seed", range(60))
def test_whatever_happens_a_child_runs_once(seed):
    shop = Shop([1, 2, "all", "auto"][seed % 4])
    faults = [Faults(), Faults(lose=0.2), Faults(duplicate=0.3, late=0.3, interleave=True)][seed % 3]
    rt = LocalRuntime(shop.app, faults=faults, seed=seed)
    one = rt.start(shop.app.functions["nested"])
    other = rt.start(shop.app.functions["hurried"], Question(text="x"))
    rt.drain()

    assert rt.get(one.run_id).output == [1, 2, 3]
    assert rt.get(other.run_id).status == "completed"
    children = list(rt.runs("child"))  # that of `hurried` may have been given up before it began
    assert len({child.run_id for child in children}) == len(children) in (3, 4)
    assert shop.effects.count("counted") >= 3
    # Where its time-out was lost, that of `hurried` may have been found too late.
    assert sum(child.status == "completed" for child in children) in ((3, 4) if faults.lose else (3,))
    assert rt.dead_letters == []
    assert rt.now() - one.created_at < timedelta(days=2)


def test_the_retry_of_a_function_is_its_own(durable):
    app = Durable("app", retry=Retry.never())

    @app.function("child", retry=Retry.fixed("1s", 3))
    def child(ctx: Context) -> int:
        return ctx.attempt if ctx.attempt == 3 else 1 // 0

    @app.function("parent")
    def parent(ctx: Context) -> int:
        return ctx.step.invoke("i", child, None)

    assert durable(app).run(parent).output == 3


@pytest.mark.parametrize("mode", [1, "all"])
def test_a_step_that_comes_to_it_while_its_run_is_cancelled_starts_nothing(durable, mode):
    shop = Shop(mode)

    @shop.app.function("late")
    def late(ctx: Context) -> None:
        ctx.step.run("before", int)
        ctx.step.invoke("ask", "child", Question(text="x"))

    rt = durable(shop.app)
    rt.stub("before", takes="800ms")
    run = rt.start(late)
    rt.advance("300ms")
    rt.client.cancel(run.run_id)
    rt.drain()

    assert rt.get(run.run_id).status == "cancelled"
    assert shop.effects == []


@pytest.mark.parametrize("mode", [1, "all"])
def test_one_that_is_left_begins_although_its_parent_has_ended(durable, mode):
    shop = Shop(mode)

    @shop.app.function("forgetful")
    async def forgetful(ctx: AsyncContext) -> None:
        ask = asyncio.create_task(ctx.step.invoke("ask", "child", Question(text="x"), on_parent_end="leave"))
        nap = asyncio.create_task(ctx.step.sleep("nap", "1s"))
        await asyncio.wait({ask, nap}, return_when=asyncio.FIRST_COMPLETED)

    rt = durable(shop.app)
    assert rt.run(shop.app.functions["forgetful"]).status == "completed"
    rt.drain()
    assert shop.effects == ["counted"]


def test_one_that_cannot_begin_is_an_invoke_error(durable):
    app = Durable("app", max_output=1_000)

    @app.function("child")
    def child(ctx: Context[str]) -> None: ...

    @app.function("parent")
    def parent(ctx: Context) -> str:
        with pytest.raises(InvokeError, match="1,000 are allowed") as raised:
            ctx.step.invoke("ask", child, "x" * 2_000)
        return raised.value.error_type

    assert durable(app).run(parent).output == "lambda_durable.errors.PayloadTooLargeError"


def test_one_whose_first_message_is_given_up_is_an_invoke_error(durable):
    app = Durable("app")

    @app.function("child")
    def child(ctx: Context) -> None: ...

    @app.function("parent")
    def parent(ctx: Context) -> str:
        with pytest.raises(InvokeError) as raised:
            ctx.step.invoke("ask", child, None)
        return raised.value.message

    rt = durable(app)
    take = rt._queue._deliver

    def deliver(delivery, done):
        if '"kind":"start"' in delivery.body and '"invoker"' in delivery.body:
            done("failed")
        else:
            take(delivery, done)

    rt._queue._deliver = deliver
    assert "every invocation that took this message failed" in rt.run(parent).output
    assert [run.status for run in rt.runs("child")] == ["failed"]
    assert len(rt.dead_letters) == 1
