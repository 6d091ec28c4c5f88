"""The HTTP API: waits that are ended, many runs at once, and what waits, is late or was given up."""

from __future__ import annotations

import logging
from contextlib import contextmanager

import pytest

from lambda_durable import Concurrency, Context, Durable, Event, NonRetriableError, on_event
from lambda_durable.aws.dead_letters import Letter
from lambda_durable.runtime.messages import Continuation
from tests.http_api import Caller, api_of


@pytest.fixture
def app():
    return Durable("shop")


class Letters:
    """A dead-letter queue."""

    def __init__(self, *letters: Letter) -> None:
        self.letters = [*letters]

    @contextmanager
    def taken(self):
        yield [*self.letters]

    def remove(self, letter):
        self.letters.remove(letter)


# -- signals and callbacks


def test_a_signal_ends_the_wait_for_it(durable, app):
    @app.function("f")
    def f(ctx: Context[dict]) -> object:
        return ctx.step.wait_for_signal("go", "go", timeout="1d").data

    rt = durable(app)
    id = rt.start(f).run_id
    rt.advance("0s")
    call = api_of(rt)
    assert call.get(f"/v1/runs/{id}")["steps"][0]["waiting_for"]["names"] == ["go"]
    assert call.post("/v1/signals", {"name": "gone"}) == {"done": False}
    assert call.post("/v1/signals", {"name": "go", "data": [1]}) == {"done": True}
    assert call.post("/v1/signals", {"name": "go", "data": [2]}) == {"done": False}
    rt.drain()
    assert call.get(f"/v1/runs/{id}")["output"] == [1]


@pytest.fixture
def asked(durable, app):
    """A run that waits for an answer: its runtime, its id and the token."""

    @app.function("ask")
    def ask(ctx: Context[dict]) -> object:
        return ctx.step.wait_for_callback("ask", timeout="1h", heartbeat="10m")

    rt = durable(app)
    id = rt.start(ask).run_id
    rt.advance("0s")
    token = rt.get(id).steps["ask"].waiting_for.token
    return rt, id, token


@pytest.mark.parametrize("scope", ["all", "callbacks"])
def test_a_callback_is_answered_once_by_who_has_its_token(asked, scope):
    rt, id, token = asked
    call = api_of(rt, scope=scope)
    assert call.post(f"/v1/callbacks/{token}/heartbeat") == {"done": True}
    assert call.post(f"/v1/callbacks/{token}/complete", {"result": {"yes": 1}}) == {"done": True}
    assert call.post(f"/v1/callbacks/{token}/complete", {"result": {"yes": 2}}) == {"done": False}
    assert call.post(f"/v1/callbacks/{token}/fail", {"error": "no"}) == {"done": False}
    rt.drain()
    assert rt.get(id).output == {"yes": 1}


def test_a_callback_is_failed_with_a_message(asked):
    rt, id, token = asked
    call = api_of(rt, scope="callbacks")
    assert call("POST", f"/v1/callbacks/{token}/fail", {"error": ""}).status == 422
    assert call.post(f"/v1/callbacks/{token}/fail", {"error": "it is off"}) == {"done": True}
    rt.drain()
    run = rt.get(id)
    assert (run.status, run.error.message) == ("failed", "it is off")


@pytest.mark.parametrize("what", ["complete", "heartbeat", "fail"])
@pytest.mark.parametrize(
    "forge", [lambda t: t[:-2] + "AA", lambda t: "x", lambda t: t + "%00", lambda t: t * 99]
)
def test_a_forged_token_is_refused(asked, what, forge):
    rt, id, token = asked
    body = {"error": "no"} if what == "fail" else {}
    answer = api_of(rt, scope="callbacks")("POST", f"/v1/callbacks/{forge(token)}/{what}", body)
    assert (answer.status, answer.body["error"]["type"]) == (403, "CallbackTokenError")
    assert rt.get(id).status == "running"


def test_where_callbacks_alone_are_exposed_there_is_nothing_else(asked):
    rt, id, _ = asked
    call = api_of(rt, scope="callbacks")
    assert sorted(call.get("/openapi.json")["paths"]) == [
        f"/v1/callbacks/{{token}}/{what}" for what in ("complete", "fail", "heartbeat")
    ]
    others = [
        ("GET", "/v1/runs"),
        ("GET", f"/v1/runs/{id}"),
        ("POST", "/v1/events"),
        ("GET", "/v1/functions"),
    ]
    assert {call(method, path).status for method, path in others} == {404}


def test_no_token_is_logged(asked, caplog):
    rt, _, token = asked
    caplog.set_level(logging.DEBUG)
    call = api_of(rt)
    call.post(f"/v1/callbacks/{token}/complete", {"result": "secret answer"})
    call("POST", f"/v1/callbacks/{token[:-2]}AA/complete", {"result": "secret answer"})
    call.raw("POST", f"/v1/callbacks/{token}/complete", "{secret answer")
    ours = [each for each in caplog.records if each.name.startswith(("lambda_durable", "aws_lambda"))]
    told = "\n".join(map(logging.Formatter().format, ours))
    assert token[:-2] not in told
    assert "secret answer" not in told


# -- many at once


def sleepers(app):
    @app.function("f", on_event("e"))
    def f(ctx: Context[dict]) -> None:
        ctx.step.sleep("nap", "1d")

    return f


def portions(call: Caller, path: str, body: dict) -> list[dict]:
    found, cursor = [], {}
    while True:
        found.append(call.post(path, {**body, **cursor}))
        if found[-1]["cursor"] is None:
            return found
        cursor = {"cursor": found[-1]["cursor"]}


def test_many_runs_are_cancelled_portion_by_portion(durable, app):
    sleepers(app)
    rt = durable(app)
    rt.send(*(Event("e", {"n": n}) for n in range(45)))
    rt.advance("0s")
    call = api_of(rt)
    some = {"function": "f", "if_exp": "event.data.n < 30", "look_at": 20}
    found = portions(call, "/v1/cancellations", some)
    assert [each["looked_at"] for each in found] == [20, 20, 5]
    assert len({run for each in found for run in each["runs"]}) == 30
    rt.advance("0s")
    assert portions(call, "/v1/cancellations", some)[0]["runs"] == []
    assert len(call.get("/v1/runs", status="running", limit=100)["runs"]) == 15
    rest = portions(call, "/v1/cancellations", {"function": "f"})
    assert sum(len(each["runs"]) for each in rest) == 15


def test_many_runs_are_done_again_portion_by_portion_at_one_pace(durable, app):
    @app.function("f", on_event("e"))
    def f(ctx: Context[dict]) -> None:
        if ctx.now().hour == 0:
            raise NonRetriableError("not yet")

    rt = durable(app)
    rt.send(*(Event("e", {"n": n}) for n in range(45)))
    rt.advance("1h")
    call = api_of(rt)
    found = portions(call, "/v1/replays", {"function": "f", "per_second": 1, "look_at": 20})
    new = {run for each in found for run in each["runs"]}
    assert len(new) == 45
    rt.drain()
    began = sorted(rt.get(run).started_at for run in new)
    assert (began[-1] - began[0]).total_seconds() == pytest.approx(44, abs=2)
    assert {rt.get(run).status for run in new} == {"completed"}
    again = portions(call, "/v1/replays", {"function": "f"})
    assert [each["runs"] for each in again] == [[]] * len(again)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/cancellations", {}, 422),
        ("/v1/cancellations", {"function": "nope"}, 400),
        ("/v1/cancellations", {"function": "f", "if_exp": "event."}, 400),
        ("/v1/cancellations", {"function": "f", "cursor": "x"}, 400),
        ("/v1/cancellations", {"function": "f", "look_at": 1001}, 422),
        ("/v1/replays", {"function": "f", "status": "running"}, 422),
        ("/v1/replays", {"function": "f", "per_second": 0}, 422),
        ("/v1/replays", {"function": "f", "cursor": "1/2/3"}, 400),
        ("/v1/replays", {"function": "f", "cursor": "x/2/3/r"}, 400),
        ("/v1/replays", {"function": "f", "id": "#1"}, 400),
    ],
)
def test_what_nobody_can_do_to_many_runs_is_refused(durable, app, path, body, status):
    sleepers(app)
    assert api_of(durable(app))("POST", path, body).status == status


# -- trouble


def test_what_waits_is_told(durable, app):
    @app.function("f", on_event("e"), concurrency=Concurrency(1, counts="runs"))
    def f(ctx: Context[dict]) -> None:
        ctx.step.sleep("nap", "1h")

    rt = durable(app)
    rt.send(*(Event("e") for _ in range(3)))
    rt.advance("0s")
    queues = api_of(rt).get("/v1/queues", function="f")["queues"]
    assert [(each["kind"], each["waiting"], each["limit"]) for each in queues if each["limit"]] == [
        ("concurrency", 2, 1)
    ]


def test_a_dead_letter_is_told_of_without_its_payload_and_sent_again(durable, app):
    sleepers(app)
    rt = durable(app)
    (event_id,) = rt.send(Event("e", {"secret": "s3cret"}))
    rt.advance("0s")
    (run,) = rt.runs()
    mine = Letter(
        body=Continuation(run=run.run_id).body(), message_id="m1", attributes={"reason": "it was odd"}
    )
    started = Letter(
        body='{"start": 1}', message_id="m2", sent=1, attributes={"reason": "nobody knows", "x": "s3cret"}
    )
    letters = Letters(mine, started)
    call = api_of(rt, letters=letters)
    told = call("GET", "/v1/dead-letters").body
    assert told["more"] is False
    first, second = told["letters"]
    assert (first["id"], first["run_id"], first["body"]) == ("m1", run.run_id, None)
    assert first["reason"] == "the worker put it aside: it was odd"
    assert first["will"] == "sends a check that brings it on"
    assert (second["run_id"], second["will"]) == (None, None)
    assert second["way_out"]
    assert "s3cret" not in str(told)
    assert call.get("/v1/dead-letters", bodies="true")["letters"][0]["body"] == mine.body
    assert len(call.get("/v1/dead-letters", limit=1)["letters"]) == 1
    done = call.post("/v1/dead-letters/redrive", {"ids": ["m1", "m2", "m3"]})
    assert done == {"done": {"m1": "sent a check that brings it on"}}
    assert letters.letters == [started]


def test_runs_that_nothing_brings_on_are_told_of(durable, app):
    f = sleepers(app)
    rt = durable(app)
    ids = {rt.start(f).run_id for _ in range(3)}
    rt.advance("0s")
    call = api_of(rt)
    assert call.get("/v1/overdue") == {"overdue": [], "more": False}
    rt._simulation._events.clear()
    rt._scheduler._schedules.clear()  # what was to bring them back
    rt.advance("2d")
    before = rt.calls["sqs:GetQueueAttributes"]
    told = call.get("/v1/overdue")
    assert rt.calls["sqs:GetQueueAttributes"] == before + 1  # and not for each run
    assert {run["run_id"] for run in told["overdue"]} == ids
    assert {run["level"] for run in told["overdue"]} == {"stuck"}
    assert "nothing has brought it on" in told["overdue"][0]["why"]
    assert call.get("/v1/overdue", limit=1)["more"] is True
