"""AWS's scenarios of child contexts, as behaviours of `step.group`: see table.py."""

from __future__ import annotations

import pytest

from lambda_durable import Retry, StepError
from lambda_durable.testing import crash_everywhere

never = Retry.never()


def test_a_groups_steps_lie_in_it(play, flavour):
    def body(ctx):
        def inner(value):
            return (yield ctx.step.run("x", str.title, value))

        return (yield ctx.step.group("set up", flavour.code(inner), ctx.event.data))

    run = play(body, "hello")
    assert run.output == "Hello"
    assert {path: step.kind for path, step in run.steps.items()} == {"set up": "group", "set up/x": "run"}
    assert {step.status for step in run.steps.values()} == {"completed"}


def test_a_groups_steps_follow_one_another(play, flavour):
    def body(ctx):
        def inner():
            first = yield ctx.step.run("one", lambda: "a")
            return (yield ctx.step.run("two", "{}b".format, first))

        return (yield ctx.step.group("g", flavour.code(inner)))

    run = play(body)
    assert (run.output, run.steps["g/one"].output, run.steps["g/two"].output) == ("ab", "a", "ab")


@pytest.mark.parametrize("where", ["in a step", "beside its steps"])
def test_what_fails_in_a_group_fails_the_run(play, flavour, fail, where):
    def body(ctx):
        def inner():
            if where == "in a step":
                yield ctx.step.options(retry=never).run("x", fail)
            else:
                raise ValueError("it is broken")

        yield ctx.step.options(retry=never).group("g", flavour.code(inner))

    run = play(body)
    assert (run.status, run.error.type, run.error.message) == ("failed", "ValueError", "it is broken")
    assert run.steps["g"].status == "failed"
    assert ("g/x" in run.steps) == (where == "in a step")


def test_what_fails_in_a_group_can_be_caught_outside(play, flavour, fail):
    def body(ctx):
        def inner():
            yield ctx.step.options(retry=never).run("x", fail)

        try:
            yield ctx.step.group("g", flavour.code(inner))
        except StepError as error:
            return (yield ctx.step.run("recover", "recovered from {}".format, error.step_id))

    run = play(body)
    assert (run.status, run.output) == ("completed", "recovered from g/x")


def test_groups_nest(play, flavour):
    def body(ctx):
        def inner():
            return (yield ctx.step.run("x", lambda: 1))

        def outer():
            own = yield ctx.step.run("x", lambda: 2)
            return [own, (yield ctx.step.group("inner", flavour.code(inner)))]

        return (yield ctx.step.group("outer", flavour.code(outer)))

    run = play(body)
    assert run.output == [2, 1]
    assert run.steps.keys() == {"outer", "outer/x", "outer/inner", "outer/inner/x"}


@pytest.mark.parametrize("succeeds", [True, False])
def test_a_groups_step_is_retried(play, flavour, calls, succeeds):
    def flaky():
        calls.append(1)
        if len(calls) == 1 or not succeeds:
            raise ValueError("not yet")
        return "done"

    def body(ctx):
        def inner():
            return (yield ctx.step.options(retry=Retry.fixed("1s", 2)).run("x", flaky))

        return (yield ctx.step.group("g", flavour.code(inner)))

    run = play(body)
    assert (run.steps["g/x"].attempts, len(calls)) == (2, 2)
    assert (run.status, run.steps["g"].status) == (("completed",) * 2 if succeeds else ("failed",) * 2)
    assert (run.ended_at - run.created_at).total_seconds() == 1


@pytest.mark.parametrize("steps", [True, False], ids=["with a step", "without"])
def test_a_group_that_is_done_is_not_entered_again(play, flavour, calls, steps):
    def body(ctx):
        def inner():
            if steps:
                yield ctx.step.run("x", lambda: None)
            calls.append("through")
            return "result"

        result = yield ctx.step.group("g", flavour.code(inner))
        yield ctx.step.sleep("nap", "1h")
        return result

    assert play(body).output == "result"
    assert calls == ["through"]


def test_sleeps_in_and_after_a_group(play, flavour, calls):
    def body(ctx):
        def inner():
            yield ctx.step.run("x", calls.append, "in")
            yield ctx.step.sleep("nap", "2s")
            return "inner"

        def only_a_sleep():
            yield ctx.step.sleep("nap", "1s")

        yield ctx.step.group("sleepy", flavour.code(only_a_sleep))
        result = yield ctx.step.group("g", flavour.code(inner))
        yield ctx.step.run("x", calls.append, "after")
        yield ctx.step.sleep("nap", "3s")
        return result

    run = play(body)
    assert (run.output, calls) == ("inner", ["in", "after"])
    assert (run.ended_at - run.created_at).total_seconds() == 6
    assert run.steps.keys() == {"sleepy", "sleepy/nap", "g", "g/x", "g/nap", "x", "nap"}


def test_a_large_result_comes_back_and_is_not_made_again(play, flavour, calls):
    def body(ctx):
        def inner():
            letter = yield ctx.step.run("x", lambda: "x")
            calls.append("made")
            return letter * 600_000

        result = yield ctx.step.group("g", flavour.code(inner))
        yield ctx.step.sleep("nap", "1h")
        return [len(result), set(result) == {"x"}]

    assert play(body).output == [600_000, True]
    assert calls == ["made"]


def test_a_crash_in_a_group_loses_nothing(app, flavour, calls):
    def body(ctx):
        def inner():
            return (yield ctx.step.run("x", lambda: calls.append(1) or "done"))

        return (yield ctx.step.group("g", flavour.code(inner)))

    doubled = set()
    for crash in crash_everywhere(app, flavour.function(app, body)):
        assert (crash.run.status, crash.run.output) == ("completed", "done"), crash.point
        if len(calls) == 2:
            doubled.add(crash.point)
        assert 1 <= len(calls) <= 2, crash.point
        calls.clear()
    assert "in step 'g/x' #1, after its function" in doubled


def test_a_group_may_return_nothing(play, flavour):
    def body(ctx):
        def inner():
            return None
            yield

        return (yield ctx.step.group("g", flavour.code(inner)))

    run = play(body)
    assert (run.status, run.output, list(run.steps)) == ("completed", None, ["g"])
