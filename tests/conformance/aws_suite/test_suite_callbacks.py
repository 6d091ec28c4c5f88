"""AWS's scenarios of callbacks, as behaviours of `step.wait_for_callback`: see table.py."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import BaseModel

from lambda_durable import CallbackError, Retry, StepTimeoutError


class Rejected(Exception):
    pass


class Answer(BaseModel):
    message: str
    timestamp: datetime


class Asked:
    """A run that has come to its callbacks, and the outside world, which answers them."""

    def __init__(self, rt, function):
        self.rt, self.client = rt, rt.client
        self.run_id = rt.start(function).run_id
        rt.advance("0s")

    def token(self, path):
        return self.rt.get(self.run_id).steps[path].waiting_for.token

    def complete(self, path, result=None):
        assert self.client.complete_callback(self.token(path), result)
        self.rt.advance("0s")

    def fail(self, path):
        assert self.client.fail_callback(self.token(path), Rejected("not approved"))
        self.rt.advance("0s")

    def heartbeat(self, path):
        assert self.client.heartbeat_callback(self.token(path))

    def end(self):
        self.rt.drain()
        run = self.rt.get(self.run_id)
        return run, (run.ended_at - run.created_at).total_seconds()


@pytest.fixture
def ask(durable, app, flavour):
    def ask(body):
        return Asked(durable(app), flavour.function(app, body))

    return ask


@pytest.mark.parametrize("result", ["approved by Ann", None])
@pytest.mark.parametrize("told", [True, False], ids=["with submit", "without"])
def test_what_the_outside_world_hands_back_is_the_result(ask, calls, result, told):
    def body(ctx):
        def submit(callback):
            calls.append(callback.token)

        return (yield ctx.step.wait_for_callback("my approval", submit if told else None, timeout="1d"))

    asked = ask(body)
    token = asked.token("my approval")
    assert calls == ([token] if told else [])
    asked.complete("my approval", result)
    run, _ = asked.end()
    assert (run.status, run.output, run.steps["my approval"].kind) == (
        "completed",
        result,
        "wait_for_callback",
    )
    assert ("my approval/submit" in run.steps) == told


@pytest.mark.parametrize("caught", [False, True])
@pytest.mark.parametrize("limit", [{"timeout": "5s"}, {"timeout": "1h", "heartbeat": "5s"}], ids=str)
def test_a_callback_that_does_not_come_is_a_time_out(ask, caught, limit):
    def body(ctx):
        try:
            yield ctx.step.wait_for_callback("wait", lambda callback: None, **limit)
        except StepTimeoutError:
            if not caught:
                raise
            yield ctx.step.sleep("nap", "2s")
            return "timed out, handled"

    run, seconds = ask(body).end()
    assert (run.status, run.output) == (("completed", "timed out, handled") if caught else ("failed", None))
    assert seconds == (7 if caught else 5)
    if not caught:
        assert (run.error.type, run.error.step_id) == ("lambda_durable.errors.StepTimeoutError", "wait")


def test_heartbeats_keep_a_callback_alive(ask):
    def body(ctx):
        return (yield ctx.step.wait_for_callback("wait", timeout="1h", heartbeat="10s"))

    asked = ask(body)
    for _ in range(3):
        asked.rt.advance("8s")
        asked.heartbeat("wait")
    asked.rt.advance("8s")
    asked.complete("wait", "at last")
    run, seconds = asked.end()
    assert (run.output, seconds) == ("at last", 32)


def test_a_failure_from_outside_fails_the_run(ask):
    def body(ctx):
        yield ctx.step.wait_for_callback("wait", lambda callback: None, timeout="1d")

    asked = ask(body)
    asked.fail("wait")
    run, _ = asked.end()
    assert (run.status, run.error.step_id, run.steps["wait"].status) == ("failed", "wait", "failed")
    assert "not approved" in run.error.message
    assert run.error.type.endswith("Rejected")


def test_a_failure_from_outside_can_be_caught_and_is_the_same_on_every_replay(ask):
    def body(ctx):
        try:
            yield ctx.step.wait_for_callback("wait", timeout="1d")
        except CallbackError as error:
            yield ctx.step.sleep("nap", "2s")
            return f"recovered: {error.message}"

    asked = ask(body)
    asked.fail("wait")
    run, seconds = asked.end()
    assert (run.status, run.output, seconds) == ("completed", "recovered: not approved", 2)


@pytest.mark.parametrize("ending", ["result", "failure", "timeout"])
@pytest.mark.parametrize("beside", ["step", "sleep"])
def test_a_callback_pends_beside_other_steps(ask, flavour, calls, ending, beside):
    def body(ctx):
        def callback():
            return (yield ctx.step.wait_for_callback("wait", timeout="3s"))

        def other():
            if beside == "step":
                yield ctx.step.run("x", calls.append, "x")
            else:
                yield ctx.step.sleep("nap", "6s")
                calls.append("awake")

        return (yield flavour.parallel(ctx, "p", callback, other))[0]

    asked = ask(body)
    asked.rt.advance("1s")
    if ending == "result":
        asked.complete("p[0]/wait", "yes")
    elif ending == "failure":
        asked.fail("p[0]/wait")
    run, seconds = asked.end()

    assert (run.status, run.output) == (("completed", "yes") if ending == "result" else ("failed", None))
    assert run.steps["p[1]"].status == "completed"
    assert "x" in calls or "awake" in calls
    assert seconds == (6 if beside == "sleep" else 3 if ending == "timeout" else 1)
    if ending != "result":
        assert run.error.type.endswith("Rejected" if ending == "failure" else "StepTimeoutError")


def test_a_callback_that_has_come_is_not_waited_for_again(ask, calls):
    def body(ctx):
        result = yield ctx.step.wait_for_callback("wait", lambda callback: calls.append(1), timeout="1d")
        yield ctx.step.sleep("nap", "2s")
        return result

    asked = ask(body)
    token = asked.token("wait")
    asked.complete("wait", "yes")
    assert asked.client.complete_callback(token, "again") is False
    run, seconds = asked.end()
    assert (run.output, calls, seconds) == ("yes", [1], 2)


def test_a_model_says_what_comes_back(ask):
    def body(ctx):
        answer = yield ctx.step.wait_for_callback("answer", timeout="1d", model=Answer)
        number = yield ctx.step.wait_for_callback("number", timeout="1d", model=int)
        plain = yield ctx.step.wait_for_callback("plain", timeout="1d")
        return [answer.message, answer.timestamp, number * 2, plain["status"]]

    asked = ask(body)
    asked.complete("answer", {"message": "hello", "timestamp": "2026-01-01T00:00:00.000Z"})
    asked.complete("number", 42)
    asked.complete("plain", {"status": "approved"})
    run, _ = asked.end()
    assert run.output == ["hello", datetime(2026, 1, 1, tzinfo=UTC), 84, "approved"]


def test_callbacks_follow_one_another(ask):
    def body(ctx):
        first = yield ctx.step.wait_for_callback("first", lambda callback: None, timeout="1d")
        second = yield ctx.step.wait_for_callback("second", lambda callback: None, timeout="1d")
        return [first, second]

    asked = ask(body)
    assert "second" not in asked.rt.get(asked.run_id).steps
    asked.complete("first", "a")
    asked.complete("second", "b")
    run, _ = asked.end()
    assert run.output == ["a", "b"]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_callbacks_pend_together_and_come_in_any_order(ask, flavour, order):
    def body(ctx):
        def branch(name):
            def code():
                return (yield ctx.step.wait_for_callback(name, timeout="1d"))

            return code

        return (yield flavour.parallel(ctx, "p", branch("a"), branch("b")))

    asked = ask(body)
    for number in order:
        assert asked.rt.get(asked.run_id).status == "running"
        asked.complete(f"p[{number}]/{'ab'[number]}", "ab"[number])
    run, _ = asked.end()
    assert run.output == ["a", "b"]


def test_a_submit_that_fails_for_good_fails_the_callback(ask, calls, fail):
    def body(ctx):
        yield ctx.step.options(retry=Retry.fixed("1s", 2)).wait_for_callback("wait", fail, timeout="1d")

    run, seconds = ask(body).end()
    assert (run.status, run.error.type, run.error.message) == ("failed", "ValueError", "it is broken")
    assert (run.steps["wait/submit"].attempts, len(calls), seconds) == (2, 2, 1)


def test_a_callback_in_a_group(ask, flavour):
    def body(ctx):
        def inner():
            return (yield ctx.step.wait_for_callback("wait", lambda callback: None, timeout="1d"))

        return (yield ctx.step.group("g", flavour.code(inner)))

    asked = ask(body)
    asked.complete("g/wait", "yes")
    run, _ = asked.end()
    assert (run.output, run.steps["g"].status) == ("yes", "completed")
    assert run.steps.keys() == {"g", "g/wait", "g/wait/submit"}


def test_a_callback_after_a_sleep_and_a_step(ask, calls):
    def body(ctx):
        yield ctx.step.sleep("nap", "1s")
        yield ctx.step.run("x", calls.append, "x")
        return (yield ctx.step.wait_for_callback("wait", lambda callback: calls.append("told"), timeout="1d"))

    asked = ask(body)
    asked.rt.advance("1s")
    assert calls == ["x", "told"]
    asked.complete("wait", "yes")
    run, _ = asked.end()
    assert (run.output, calls) == ("yes", ["x", "told"])
