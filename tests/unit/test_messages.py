"""Messages are read as what anybody may have sent."""

import json
from datetime import UTC, datetime

import pytest

from lambda_durable.errors import ErrorInfo
from lambda_durable.parsing import Misfit, read, read_json, written
from lambda_durable.runtime.messages import (
    Arrival,
    Continuation,
    Due,
    Gather,
    Held,
    Invoker,
    Level,
    Paused,
    PoisonError,
    Postponed,
    Rerun,
    Resume,
    Scheduled,
    Start,
    parse,
)

MESSAGES = [
    Continuation(run="a"),
    Continuation(run="é", chain=(Level(scope="s", lane=0), Level(scope="")), due=Due(path="p", at=5), idle=2),
    Start(function="f", run="r", event="{}"),
    Start(
        function="f",
        run="r",
        key=f"inbox/{'0' * 64}",
        invoker=Invoker(run="r", path="p", resume="{}", depth=1),
    ),
    Start(function="f", run="r", rerun=Rerun(run="o", step="s", in_bulk=True), at=7, pin="3"),
    Scheduled(function="f", schedule="0 9 * * *", jitter=1.5, time=datetime(2026, 1, 1, tzinfo=UTC)),
    Arrival(event="e", path="data.id", after=("r", "p")),
    Postponed(function="f", event="e", at=1),
    Gather(function="f", collector="c", opened=1, at=2),
    Paused(function="f", number=1, until=3, again=True),
    Resume(number=1, run="r"),
]


@pytest.mark.parametrize("message", MESSAGES, ids=repr)
def test_a_message_is_read_as_it_was_sent(message):
    assert parse(message.body()) == message


def test_a_held_start_is_read_as_it_was_kept():
    held = Held(**vars(Start(function="f", run="r", event="{}")), starts=1, seen=2)
    assert read_json(Held, held.body()) == held


def test_what_a_release_to_come_adds_is_passed_over():
    assert parse('{"kind": "continue", "run": "a", "news": {"b": 1}}') == Continuation(run="a")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ({}, "kind: there is no such kind"),
        ({"kind": ["continue"]}, "kind: there is no such kind"),
        ({"kind": "continue"}, "run: it is missing"),
        ({"kind": "continue", "run": 7}, "run: expected a string, not a whole number"),
        ({"kind": "continue", "run": ""}, "run: it has 0 characters, and 1 to 512 are allowed"),
        ({"kind": "continue", "run": "a", "idle": -1}, "idle: it is less than 0"),
        ({"kind": "continue", "run": "a", "idle": True}, "idle: expected a whole number, not true or false"),
        ({"kind": "continue", "run": "a", "chain": [{"lane": 1}]}, "chain.0.scope: it is missing"),
        ({"kind": "continue", "run": "a", "chain": {}}, "chain: expected a list, not an object"),
        ({"kind": "continue", "run": "a", "due": "soon"}, "due: expected an object, not a string"),
        ({"kind": "start", "function": "f", "run": "a#b"}, "run: it does not match [^#]*"),
        ({"kind": "arrival", "event": "e", "after": ["a"]}, "after: expected a list of 2, not a list"),
        (
            {"kind": "scheduled", "function": "f", "schedule": "s", "time": "2026-01-01T00:00"},
            "time: the time has no time zone",
        ),
        (
            {"kind": "scheduled", "function": "f", "schedule": "s", "time": "<aws.scheduler.scheduled-time>"},
            "time: expected a time, not a string",
        ),
        (
            {
                "kind": "scheduled",
                "function": "f",
                "schedule": "s",
                "jitter": float("nan"),
                "time": "2026-01-01",
            },
            "jitter: it is less than 0",
        ),
    ],
)
def test_what_is_no_message_is_refused_by_its_field(content, why):
    with pytest.raises(PoisonError) as refused:
        parse(json.dumps(content))
    assert str(refused.value) == f"the message is none of ours: {why}"


def test_an_error_is_kept_without_what_it_does_not_say():
    error = ErrorInfo(type="ValueError", message="no \ud800 at all", attempts=2, reasons=[{"Code": "None"}])
    text = written(error)
    assert json.loads(text).keys() == {"type", "message", "attempts", "reasons"}
    assert read_json(ErrorInfo, text) == error


def test_a_damaged_error_is_refused():
    with pytest.raises(Misfit, match="reasons: expected"):
        read(ErrorInfo, {"type": "a", "message": "b", "reasons": [1]})
