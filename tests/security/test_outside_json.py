"""JSON from outside that is too deep, too large, or means different things to different readers, at every entrance."""

from __future__ import annotations

import json
import time

import pytest

from lambda_durable import (
    CallbackError,
    Context,
    Durable,
    PayloadTooLargeError,
    Retry,
    SerializationError,
    on_event,
)
from lambda_durable.ports import Outgoing

DEEP = "[" * 100_000 + "]" * 100_000
MANY = json.dumps(dict.fromkeys(map(str, range(60_000)), 0))
LONG = json.dumps("x" * 1_000_000)
DIGITS = "9" * 10_000
TEXTS = {"deep": DEEP, "many keys": MANY, "long": LONG, "digits": DIGITS, "nan": "NaN", "infinite": "1e999"}


def make():
    app = Durable("app", retry=Retry.never())

    @app.function("f", on_event("go"))
    def f(ctx: Context) -> int:
        return ctx.step.run("n", lambda: len(str(ctx.event.data)))

    return app, f


def start(data):
    event = f'{{"name":"x","data":{data},"id":"1","time":"2025-01-01T00:00:00+00:00","source":"s"}}'
    return f'{{"kind":"start","function":"f","run":"evil","event":{json.dumps(event)}}}'


def event(data):
    return (
        '{"id":"1","detail-type":"go","source":"s","time":"2025-01-01T00:00:00Z",'
        f'"detail":{{"lambda_durable":{{"data":{data}}}}}}}'
    )


@pytest.mark.parametrize("entrance", [event, start, lambda data: data, lambda data: f'{{"kind":{data}}}'])
@pytest.mark.parametrize("what", TEXTS)
def test_a_message_is_worked_on_or_put_aside_at_once_and_others_go_on(durable, entrance, what):
    app, f = make()
    rt = durable(app)
    rt.start(f, {}, run_id="good")
    began = time.perf_counter()
    rt._queue.send([Outgoing(entrance(TEXTS[what]))])
    rt.drain()
    assert time.perf_counter() - began < 10
    ended = {run.run_id: run.status for run in rt.runs()}
    assert ended.pop("good") == "completed"
    assert len(ended) + len(rt.dead_letters) == 1
    assert [letter.receive_count for letter in rt.dead_letters] in ([], [1])
    assert set(ended.values()) <= {"completed"}


@pytest.mark.parametrize("twice", ['{"n": 1, "n": 2}', '{"a": {"n": 1}, "a": {"n": 2}}'])
def test_of_a_key_that_is_there_twice_the_last_counts_for_all(durable, twice):
    app = Durable("app")
    seen = []

    @app.function("f", on_event("go", if_exp="event.data != {'n': 1}"))
    def f(ctx: Context) -> object:
        seen.append(ctx.event.data)
        return ctx.event.data

    rt = durable(app)
    rt._queue.send([Outgoing(event(twice))])
    rt.drain()
    (run,) = rt.runs()
    assert rt.get(run.run_id).output == seen[0] == json.loads(twice)


def nested(levels):
    value = []
    for _ in range(levels):
        value = [value]
    return value


TOO_MUCH = {
    "deep": (nested(10_000), SerializationError),
    "large": ("x" * 6_000_000, PayloadTooLargeError),
    "digits": (10**5000, SerializationError),
    "a surrogate": ("\ud800", SerializationError),
}


@pytest.mark.parametrize("what", TOO_MUCH)
def test_a_client_refuses_it_before_anything_is_written(durable, what):
    app = Durable("app", retry=Retry.never())

    @app.function("f")
    def f(ctx: Context) -> object:
        try:
            return ctx.step.wait_for_callback("ask", timeout="1h")
        except CallbackError:
            return "failed"

    value, error = TOO_MUCH[what]
    rt = durable(app)
    run = rt.start(f)
    rt.advance("1s")
    token = rt.get(run.run_id).steps["ask"].waiting_for.token
    before = rt.calls.copy()
    for call in (
        lambda: rt.client.start(f, value),
        lambda: rt.client.send_signal("s", value),
        lambda: rt.client.complete_callback(token, value),
    ):
        with pytest.raises(error):
            call()
    assert rt.calls == before
    assert rt.client.complete_callback(token, 1)


@pytest.mark.parametrize("what", TOO_MUCH)
def test_a_step_that_returns_it_fails_at_once(durable, what):
    app = Durable("app")
    value, error = TOO_MUCH[what]

    @app.function("f")
    def f(ctx: Context) -> object:
        return ctx.step.run("n", lambda: value)

    run = durable(app).run(f)
    assert (run.status, run.error.type) == ("failed", f"lambda_durable.errors.{error.__name__}")
    assert run.steps["n"].attempts == 1


@pytest.mark.parametrize(
    "token", ["cb1-" + "A" * 10_000_000, "cb1-W1tb", "cb1-" + "W" * 15_000, "", None, "é"]
)
def test_a_token_of_any_shape_is_refused_in_no_time(durable, token):
    from lambda_durable import CallbackTokenError

    began = time.perf_counter()
    with pytest.raises(CallbackTokenError):
        durable(make()[0]).client.complete_callback(token, 1)
    assert time.perf_counter() - began < 5
