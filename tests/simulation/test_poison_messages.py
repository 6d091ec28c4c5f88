"""Messages that nothing can be made of: set aside at once with the reason, and whatever else there is goes on."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel, field_validator

from lambda_durable import Context, Durable, Event, on_event
from lambda_durable.event_json import dump_event
from lambda_durable.ports import Outgoing

TOO_DEEP = "[" * 400 + "]" * 400
NO_CHARACTER = '"\\ud800"'


def event(detail: str = "{}", **fields: Any) -> str:
    """As EventBridge sends it; `detail` is JSON."""
    envelope = {
        "version": "0",
        "id": "1",
        "detail-type": "order",
        "source": "shop",
        "account": "1",
        "time": "2025-01-01T00:00:00Z",
        "region": "r",
        "resources": [],
        **fields,
    }
    return f'{json.dumps(envelope)[:-1]}, "detail": {detail}}}'


def start(data: str = "{}", **fields: Any) -> str:
    """As a client sends it; `data` is JSON."""
    invoked = dump_event(Event("lambda_durable/invoked", {}, id="1", time=datetime(2025, 1, 1, tzinfo=UTC)))
    message = {
        "kind": "start",
        "function": "f",
        "run": "r1",
        "event": invoked.replace("{}", data, 1),
        **fields,
    }
    return json.dumps(message)


POISON = {
    "an event that is too deep": (event(f'{{"x": {TOO_DEEP}}}'), "Maximum serialization depth exceeded"),
    "an event that is too large": (event(json.dumps({"x": "y" * 3000})), "can't be kept"),
    "an event that is no Unicode": (event(f'{{"x": {NO_CHARACTER}}}'), "surrogates not allowed"),
    "an event with a huge number": (event(f'{{"x": {"9" * 5000}}}'), "the message is no JSON"),
    "an event with a long id": (event(id="x" * 5000), "id: has 1 to 256 characters"),
    "an event whose id is no Unicode": (event(id="\ud800"), "id: holds a lone surrogate"),
    "an event without an id": (event(id=""), "id: has 1 to 256 characters"),
    "an event whose detail is a list": (event("[1]"), "detail: expected a JSON object, got list"),
    "an event whose detail is null": (event("null"), "detail: expected a JSON object"),
    "an event whose name is a list": (event(**{"detail-type": []}), "detail-type: expected a string"),
    "an event at no time": (event(time="yesterday"), "time: is no ISO 8601 time"),
    "an event before all time": (event(time="0001-01-01T00:00:00+14:00"), "time: is no ISO 8601 time"),
    "an event after all time": (event(time="9999-12-31T23:59:59-14:00"), "time: is no ISO 8601 time"),
    "a start that is too deep": (start(f'{{"x": {TOO_DEEP}}}'), "Maximum serialization depth exceeded"),
    "a start that can't even be read": (start(TOO_DEEP * 20), "what is no event"),
    "a start that is no Unicode": (start(f'{{"x": {NO_CHARACTER}}}'), "surrogates not allowed"),
    "a start of a run whose id is no Unicode": (start(run="\ud800"), "lone surrogate"),
    "a start without an event": (start(event=None), "has no event"),
    "a start whose event is gone": (start(event=None, key="inbox/" + "0" * 64), "0000 is gone"),
    "a start whose event is a list": (start(event="[]"), "what is no event"),
    "a message for no run": ('{"kind": "continue", "run": "nope"}', "there is no run 'nope'"),
    "a message before the first": ('{"kind": "continue", "run": "r1", "generation": -1}', "generation"),
    "a message of no kind": ('{"kind": []}', "none of ours: kind"),
}


@pytest.mark.parametrize("poison", POISON)
def test_poison_is_put_aside_at_once_with_its_reason_and_others_go_on(durable, poison):
    app = Durable("app", max_output=2000)

    @app.function("f", on_event("order"))
    def f(ctx: Context) -> str:
        ctx.step.sleep("s", "1h")
        return "done"

    rt = durable(app)
    run = rt.start(f)
    body, reason = POISON[poison]
    rt._queue.send([Outgoing(body)])
    rt.drain()

    (letter,) = rt.dead_letters
    assert (letter.body, letter.receive_count) == (body, 1)
    assert reason in letter.reason
    assert [(each.run_id, each.status) for each in rt.runs()] == [(run.run_id, "completed")]


class Broken(BaseModel):
    a: int

    @field_validator("a")
    @classmethod
    def check(cls, value: int) -> int:
        return {}[value]


def test_a_model_whose_validator_has_a_bug_fails_the_run(durable):
    app = Durable("app")

    @app.function("f")
    def f(ctx: Context[Broken]) -> str:
        return "done"

    rt = durable(app)
    run = rt.client.start("f", {"a": 1})
    rt.drain()
    run = rt.get(run.run_id)

    assert run.status == "failed"
    assert run.error.type == "lambda_durable.errors.EventDataError"
    assert "KeyError: 1" in run.error.message
    assert (rt.dead_letters, rt.invocations < 5) == ([], True)
