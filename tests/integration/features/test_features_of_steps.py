"""What Inngest has: what a handler does. See test_features.py."""

from __future__ import annotations

from datetime import UTC, datetime

from lambda_durable import (
    Durable,
    Event,
    InvokeError,
    NonRetriableError,
    Retry,
    RetryAfterError,
    StepError,
    current_step,
    on_event,
)
from lambda_durable.ai import Model
from lambda_durable.testing import Faults, ModelServer, Refusal
from tests.integration.features.helpers import START, flaky, give_back_event, outputs, seconds


def test_retries(durable, app, make):
    def body(ctx):
        growing = Retry(max_attempts=3, initial_delay="1m", multiplier=3, jitter=False)
        apps = yield ctx.step.run("as the app says", flaky)
        return [apps, (yield ctx.step.options(retry=growing).run("as the step says", flaky))]

    run = durable(app).run(make(body))
    assert (run.output, seconds(run)) == ([3, 3], 10 + 10 + 60 + 180)
    assert {step.attempts for step in run.steps.values()} == {3}


def test_retry_after_error_and_non_retriable_error(durable, app, make):
    def busy():
        if current_step().attempt == 1:
            raise RetryAfterError("429", after="2h")
        raise NonRetriableError("the account is closed")

    def body(ctx):
        try:
            yield ctx.step.run("busy", busy)
        except StepError as error:
            return [error.message, error.attempts]

    run = durable(app).run(make(body))
    assert (run.output, seconds(run)) == (["the account is closed", 2], 7200)


def test_step_error(durable, app, make):
    def body(ctx):
        try:
            yield ctx.step.run("charge", {}.__getitem__, "card")
        except StepError as error:
            instead = yield ctx.step.run("invoice", lambda: "sent")
            return [error.step_id, error.error_type, error.attempts, instead]

    assert durable(app).run(make(body)).output == ["charge", "KeyError", 3, "sent"]


def test_step_run_memoized_by_id(durable, app, make, mode, flavour):
    calls = []

    def body(ctx):
        for id in ("a", "b", "b"):
            yield ctx.step.run(id, calls.append, id)
        yield ctx.step.sleep("nap", "1d")

    def reordered(ctx):
        for id in ("b", "new", "a", "b"):
            yield ctx.step.run(id, calls.append, id)
        yield ctx.step.sleep("nap", "1d")

    rt = durable(app)
    run = rt.start(make(body))
    rt.advance("1h")
    assert calls == ["a", "b", "b"]
    after = Durable("shop", steps_per_invocation=mode)
    flavour.function(after, reordered)
    rt.deploy(after)
    rt.drain()
    run = rt.get(run.run_id)
    assert (run.status, calls) == ("completed", ["a", "b", "b", "new"])
    assert run.steps.keys() == {"a", "b", "b:1", "new", "nap"}


def test_step_sleep_and_sleep_until(durable, app, make):
    until = datetime(2025, 12, 24, 18, 30, 1, tzinfo=UTC)

    def body(ctx):
        yield ctx.step.sleep("short", "90s")
        yield ctx.step.sleep("long", "40d")
        yield ctx.step.sleep_until("until", until)
        yield ctx.step.sleep_until("past", START)

    rt = durable(app)
    run = rt.start(make(body))
    rt.advance("50d")
    invocations = rt.invocations
    rt.advance("200d")
    assert rt.invocations == invocations
    rt.drain()
    assert rt.get(run.run_id).ended_at == until


def test_step_wait_for_event(durable, app, make):
    def body(ctx):
        options = {"match": "data.order", "timeout": "3d"}
        found = yield ctx.step.wait_for_event("answer", ["paid", "refused"], **options)
        then = yield ctx.step.wait_for_event("then", "shipped", **options)
        return [found.name, then]

    make(body, on_event("ordered"))
    rt = durable(app)
    rt.send(Event("paid", {"order": 7}))  # before anybody waited
    rt.advance("1m")
    rt.send(Event("ordered", {"order": 7}))
    rt.advance("1d")
    rt.send(Event("paid", {"order": 8}))
    rt.advance("1d")
    rt.send(Event("refused", {"order": 7}))
    rt.drain()
    assert outputs(rt) == [["refused", None]]


def test_wait_for_signal_and_send_signal(durable, app, make):
    def waits(ctx):
        signal = yield ctx.step.wait_for_signal("wait", "approve-7", timeout="3d")
        return signal.data

    def sends(ctx):
        first = yield ctx.step.send_signal("one", "approve-7", "ann")
        return [first, (yield ctx.step.send_signal("two", "approve-7", "bob"))]

    rt = durable(app)
    waiting = rt.start(make(waits))
    rt.advance("1d")
    assert rt.run(make(sends, id="sends")).output == [True, False]
    assert rt.get(waiting.run_id).output == "ann"
    assert rt.client.send_signal("approve-7") is False


def test_step_invoke(durable, app, make):
    def child(ctx):
        yield ctx.step.sleep("think", "1h")
        if ctx.event.data < 0:
            raise NonRetriableError("negative")
        return ctx.event.data * 2

    doubled = make(child, id="child")

    def parent(ctx):
        result = yield ctx.step.invoke("good", doubled, 21)
        try:
            yield ctx.step.invoke("bad", doubled, -1)
        except InvokeError as error:
            return [result, error.step_id]

    run = durable(app).run(make(parent))
    assert (run.output, seconds(run)) == ([42, "bad"], 2 * 3600)


def test_step_send_event(durable, app, make):
    def body(ctx):
        return (yield ctx.step.send_event("tell", Event("paid", {"n": 1}), Event("paid", {"n": 2})))

    sender = make(body)
    make(give_back_event, on_event("paid"), id="listener")
    rt = durable(app, faults=Faults(crash=0.1, duplicate=0.3), seed=1)
    run = rt.run(sender)
    assert len(set(run.output)) == 2
    assert {output[1]["n"] for output in outputs(rt, "listener")} == {1, 2}
    assert len(outputs(rt, "listener")) == 2


def test_step_fetch_and_ai(durable, app, make):
    answers = [Refusal(429, "ThrottlingException", retry_after=30), "Dear Ada"]
    server = ModelServer(lambda request: answers.pop(0))

    def body(ctx):
        reply = yield ctx.step.run("ask", Model("a-model", endpoint_url=server.url), "Write a letter.")
        yield ctx.step.sleep("nap", "1h")
        return [reply.output, reply.model, reply.usage.total_tokens > 0]

    try:
        run = durable(app).run(make(body))
    finally:
        server.close()
    assert (run.output, answers) == (["Dear Ada", "a-model", True], [])
    assert (run.steps["ask"].attempts, seconds(run)) == (2, 3630)


def test_parallel_steps(durable, app, make, flavour):
    def body(ctx):
        def branch(n):
            yield ctx.step.sleep("nap", f"{4 - n}h")
            return (yield ctx.step.run("x", lambda: n))

        return (yield ctx.step.map_group("all", flavour.code(branch), [1, 2, 3]))

    run = durable(app).run(make(body))
    assert (run.output, seconds(run)) == ([1, 2, 3], 3 * 3600)
    assert run.steps["all[2]/x"].ended_at < run.steps["all[0]/x"].ended_at


def test_checkpointing(durable, app, make, mode):
    def body(ctx):
        numbers = []
        for n in range(6):
            numbers.append((yield ctx.step.run("x", lambda n=n: n)))
        return numbers

    rt = durable(app)
    run = rt.run(make(body))
    assert (run.output, len(run.steps)) == ([0, 1, 2, 3, 4, 5], 6)
    assert rt.invocations == {1: 6, "auto": 6, "all": 1}[mode]
