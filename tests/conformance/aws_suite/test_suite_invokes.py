"""AWS's scenarios of invoking another function, as behaviours of `step.invoke`: see table.py."""

from __future__ import annotations

import pytest

from lambda_durable import Context, InvokeError, NonRetriableError


@pytest.fixture
def echo(app, flavour, calls):
    """A function that returns what it is given; it fails on "fail"."""

    def body(ctx):
        calls.append("echo")
        if ctx.event.data == "fail":
            raise NonRetriableError("the target is broken")
        return ctx.event.data
        yield

    return flavour.function(app, body, id="echo")


NESTED = {"nested": {"key": "value", "items": [1, 2, 3]}, "source": "test"}


@pytest.mark.parametrize("data", ["hello", NESTED], ids=["text", "nested"])
def test_what_a_function_returns_comes_back(play, echo, data):
    def body(ctx):
        return (yield ctx.step.invoke("my call", echo, ctx.event.data))

    run = play(body, data)
    assert (run.status, run.output) == ("completed", data)
    assert [(step.id, step.kind) for step in run.steps.values()] == [("my call", "invoke")]


def test_a_function_may_be_given_nothing_and_return_it(play, app, calls):
    @app.function("silent")
    def silent(ctx: Context[None]) -> None:
        calls.append(ctx.event.data)
        return ctx.event.data

    def body(ctx):
        return (yield ctx.step.invoke("call", silent, None))

    run = play(body)
    assert (run.status, run.output, run.steps["call"].status) == ("completed", None, "completed")
    assert calls == [None]


def test_a_function_that_fails_fails_its_caller(play, echo):
    def body(ctx):
        yield ctx.step.invoke("call", echo, "fail")

    run = play(body)
    assert (run.status, run.error.step_id, run.steps["call"].status) == ("failed", "call", "failed")
    assert "the target is broken" in run.error.message


def test_a_failure_can_be_caught_and_is_the_same_on_every_replay(play, echo, calls):
    def body(ctx):
        try:
            yield ctx.step.invoke("call", echo, "fail")
        except InvokeError as error:
            yield ctx.step.sleep("nap", "1h")
            return f"fallback for {error.step_id}"

    run = play(body)
    assert (run.status, run.output, calls) == ("completed", "fallback for call", ["echo"])


def test_large_data_goes_there_and_back(play, echo):
    def body(ctx):
        result = yield ctx.step.invoke("call", echo, "x" * 1_000_000)
        return [len(result), set(result) == {"x"}]

    assert play(body).output == [1_000_000, True]


def test_a_function_that_has_returned_is_not_invoked_again(play, echo, calls):
    def body(ctx):
        result = yield ctx.step.invoke("call", echo, "hello")
        yield ctx.step.sleep("nap", "1h")
        return result

    assert play(body).output == "hello"
    assert calls == ["echo"]


def test_steps_and_invokes_follow_one_another(durable, app, flavour, echo):
    def body(ctx):
        before = yield ctx.step.run("before", lambda: "a")
        first = yield ctx.step.invoke("one", echo, before)
        second = yield ctx.step.invoke("two", echo, first + "b")
        return (yield ctx.step.run("after", "{}c".format, second))

    rt = durable(app)
    run = rt.run(flavour.function(app, body))
    outputs = {path: step.output for path, step in run.steps.items()}
    assert (run.output, outputs) == ("abc", {"before": "a", "one": "a", "two": "ab", "after": "abc"})
    assert len(list(rt.runs("echo"))) == 2


def test_a_function_is_invoked_in_a_group(play, flavour, echo):
    def body(ctx):
        def inner():
            return (yield ctx.step.invoke("call", echo, "hello"))

        return (yield ctx.step.group("g", flavour.code(inner)))

    run = play(body)
    assert (run.output, run.steps["g/call"].kind) == ("hello", "invoke")
