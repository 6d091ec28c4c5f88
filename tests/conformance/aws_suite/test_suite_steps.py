"""AWS's scenarios of steps and waits, as behaviours of ours: see table.py."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lambda_durable import Retry, StepError, current_step
from lambda_durable.testing import crash_everywhere

never = Retry.never()


class TransientError(Exception):
    pass


def fails_until(attempt, error=ValueError):
    """A function for steps that succeeds at its nth attempt, and says which that was."""

    def fn():
        if current_step().attempt < attempt:
            raise error("not yet")
        return current_step().attempt

    return fn


def elapsed(run):
    return (run.ended_at - run.created_at).total_seconds()


def test_a_steps_result_comes_back(play):
    def body(ctx):
        return (yield ctx.step.run("greet somebody", "Hello, {}!".format, ctx.event.data))

    run = play(body, "World")
    assert (run.status, run.output) == ("completed", "Hello, World!")
    assert [(step.status, step.attempts) for step in run.steps.values()] == [("completed", 1)]
    assert [step.id for step in run.steps.values()] == ["greet somebody"]


def test_a_step_may_be_named_by_its_function(durable, app, flavour):
    @app.step
    def greet(name):
        return f"Hello, {name}!"

    @app.step
    async def greet_async(name):
        return f"Hello, {name}!"

    named = greet if flavour.name == "sync" else greet_async

    def body(ctx):
        return (yield named(ctx.event.data))

    run = durable(app).run(flavour.function(app, body), "World")
    assert (run.output, list(run.steps)) == ("Hello, World!", [named.__name__])


def test_a_step_uses_what_the_one_before_it_returned(play):
    def body(ctx):
        first = yield ctx.step.run("one", lambda: "first")
        return (yield ctx.step.run("two", "{}_second".format, first))

    assert play(body).output == "first_second"


@pytest.mark.parametrize("value", [{"user": {"name": "Alice", "tags": ["a", "b"]}, "count": 2}, None])
def test_a_result_may_be_nested_or_nothing(play, value):
    def body(ctx):
        result = yield ctx.step.run("x", lambda: value)
        yield ctx.step.sleep("nap", "1s")
        return result

    run = play(body)
    assert (run.status, run.output) == ("completed", value)


def test_a_steps_lines_are_logged_once(play, lines):
    def body(ctx):
        def greet(name):
            ctx.logger.info("greeting begins")
            return f"Hello, {name}!"

        result = yield ctx.step.run("greet", greet, ctx.event.data)
        ctx.logger.info("greeted")
        yield ctx.step.sleep("nap", "1s")
        return result

    run = play(body, "World")
    assert run.output == "Hello, World!"
    written = [(line["message"], line["run_id"], line["level"]) for line in lines.all]
    assert written == [("greeting begins", run.run_id, "INFO"), ("greeted", run.run_id, "INFO")]


def test_a_step_that_has_succeeded_is_not_run_again(play, calls):
    def body(ctx):
        result = yield ctx.step.run("compute", lambda: calls.append(1) or "computed")
        yield ctx.step.sleep("nap", "1m")
        return result

    run = play(body)
    assert (run.output, calls) == ("computed", [1])
    assert elapsed(run) == 60


def test_a_step_that_has_failed_raises_again_without_being_run(play, calls, fail):
    def body(ctx):
        try:
            yield ctx.step.options(retry=never).run("broken", fail)
        except StepError as error:
            yield ctx.step.sleep("nap", "1m")
            return [error.step_id, error.error_type, error.message]

    assert play(body).output == ["broken", "ValueError", "it is broken"]
    assert calls == ["failed"]


def test_a_step_is_retried_after_its_delay(play):
    def body(ctx):
        return (yield ctx.step.options(retry=Retry.fixed("1s", 3)).run("flaky", fails_until(2)))

    run = play(body)
    assert (run.output, run.steps["flaky"].attempts, elapsed(run)) == (2, 2, 1)


def test_attempts_come_to_an_end(play, calls, fail):
    def body(ctx):
        return (yield ctx.step.options(retry=Retry.fixed("1s", 4)).run("broken", fail))

    run = play(body)
    assert (run.status, run.error.type, run.error.step_id) == ("failed", "ValueError", "broken")
    assert (run.steps["broken"].attempts, len(calls), elapsed(run)) == (4, 4, 3)


def test_by_default_a_step_is_retried_with_growing_delays_and_jitter(play):
    def body(ctx):
        return (yield ctx.step.run("flaky", fails_until(3)))

    run = play(body)
    assert run.output == 3
    assert 0 < elapsed(run) < 5 + 10
    assert elapsed(run) not in (5, 10, 15)


def test_delays_grow_as_the_policy_says(play):
    policy = Retry(max_attempts=5, initial_delay="2s", multiplier=3, jitter=False)

    def body(ctx):
        return (yield ctx.step.options(retry=policy).run("flaky", fails_until(3)))

    run = play(body)
    assert (run.output, elapsed(run)) == (3, 2 + 6)


@pytest.mark.parametrize(
    ("policy", "status"),
    [({"retry_on": (TransientError,)}, "completed"), ({"give_up_on": (TransientError,)}, "failed")],
)
def test_the_kind_of_error_decides_whether_it_is_retried(play, policy, status):
    def body(ctx):
        flaky = fails_until(2, TransientError)
        return (yield ctx.step.options(retry=Retry(initial_delay="1s", **policy)).run("flaky", flaky))

    run = play(body)
    assert run.status == status
    assert run.steps["flaky"].attempts == (2 if status == "completed" else 1)


def test_at_most_once_is_never_begun_again(app, flavour, mode, calls):
    def body(ctx):
        return (yield ctx.step.options(semantics="at_most_once").run("pay", calls.append, 1))

    interrupted = []
    for crash in crash_everywhere(app, flavour.function(app, body)):
        assert len(calls) <= 1, crash.point
        if crash.run.status != "completed":
            assert crash.run.error.type == "lambda_durable.errors.StepInterruptedError", crash.point
            interrupted.append(crash.point)
        calls.clear()
    assert "in step 'pay' #1, after its function" in interrupted


def test_at_most_once_per_attempt_is_retried_as_a_new_attempt(app, flavour, calls):
    options = {"semantics": "at_most_once", "retry": Retry.fixed("1s", 3)}

    def body(ctx):
        return (yield ctx.step.options(**options).run("pay", lambda: calls.append(current_step().attempt)))

    attempts = {}
    for crash in crash_everywhere(app, flavour.function(app, body)):
        assert crash.run.status == "completed", crash.point
        assert len(calls) == len(set(calls)), crash.point
        attempts[crash.point] = list(calls)
        calls.clear()
    assert attempts["in step 'pay' #1, after its function"] == [1, 2]


def test_an_error_that_is_not_retried_fails_the_run(play, calls, fail):
    def body(ctx):
        return (yield ctx.step.options(retry=never).run("broken", fail))

    run = play(body)
    assert (run.status, run.steps["broken"].status, calls) == ("failed", "failed", ["failed"])


def test_a_caught_error_lets_the_run_go_on(play, fail):
    def body(ctx):
        try:
            yield ctx.step.options(retry=never).run("broken", fail)
        except StepError:
            value = "fallback"
        return (yield ctx.step.run("then", "{}_result".format, value))

    run = play(body)
    assert (run.status, run.output) == ("completed", "fallback_result")
    assert [step.status for step in run.steps.values()] == ["failed", "completed"]


@pytest.mark.parametrize("duration", ["1s", "1m", "1h", timedelta(minutes=20)], ids=str)
def test_a_sleep_takes_as_long_as_it_says(play, duration):
    def body(ctx):
        yield ctx.step.sleep("my nap", duration)

    run = play(body)
    (step,) = run.steps.values()
    seconds = {"1s": 1, "1m": 60, "1h": 3600}.get(duration, 1200)
    assert (run.status, elapsed(run), step.id, step.kind) == ("completed", seconds, "my nap", "sleep")


def test_sleeps_follow_one_another(durable, app, flavour):
    def body(ctx):
        yield ctx.step.sleep("one", "2s")
        yield ctx.step.sleep("two", "2s")
        return 2

    rt = durable(app)
    started = rt.start(flavour.function(app, body))
    rt.advance("3s")
    assert {id: step.status for id, step in rt.get(started.run_id).steps.items()} == {
        "one": "completed",
        "two": "waiting",
    }
    rt.drain()
    run = rt.get(started.run_id)
    assert (run.output, elapsed(run)) == (2, 4)
