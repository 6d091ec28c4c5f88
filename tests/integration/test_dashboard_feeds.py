"""What the dashboard's server sends of a run that is followed: server-sent events, of a few runs at once."""

from __future__ import annotations

import http.client
import json
from contextlib import contextmanager
from threading import Event

import pytest

from lambda_durable import Context, Durable
from lambda_durable.dashboard import Dashboard, server
from lambda_durable.dashboard.feeds import AT_ONCE, PAGE
from tests.http_api import api_of

HOSTILE = "\n\nevent: ended\ndata: {}\n\n\r<script>"


class Published:
    """An API that has the messages of one run, as `GET /v1/runs/{run_id}/messages` gives them."""

    def __init__(self, *messages, ended=False):
        self.messages = list(messages)
        self.ended = ended
        self.status = 200
        self.asked = []
        self.idle = Event()

    def __call__(self, event, context):
        self.asked.append((event["rawPath"], event.get("queryStringParameters", {}).get("after")))
        if self.status != 200 or not event["rawPath"].endswith("/messages"):
            body = {"error": {"type": "RunNotFoundError", "message": "there is no run"}}
            return {"statusCode": self.status, "headers": {}, "body": json.dumps(body)}
        after = int(event["queryStringParameters"]["after"] or -1) + 1
        page = self.messages[after : after + PAGE]
        if not page:
            self.idle.set()
        body = {
            "messages": [
                {"topic": "t", "data": data, "cursor": str(after + n)} for n, data in enumerate(page)
            ],
            "cursor": str(after + len(page) - 1) if after + len(page) else "",
            "ended": self.ended and after + len(page) == len(self.messages),
        }
        return {"statusCode": 200, "headers": {"Content-Type": "application/json"}, "body": json.dumps(body)}


@contextmanager
def served(api):
    with Dashboard(lambda: api, every=0.001) as dashboard:
        yield dashboard


@contextmanager
def asked(dashboard, path="/v1/runs/r/follow", method="GET", **headers):
    """The answer, as far as it has come."""
    connection = http.client.HTTPConnection("127.0.0.1", dashboard.port, timeout=10)
    given = {
        "Authorization": f"Bearer {dashboard.token}",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    try:
        connection.request(method, path, headers=given)
        with connection.getresponse() as answer:
            yield answer
    finally:
        connection.close()


def events(text):
    """Each event's fields, without the comments."""
    blocks = text.decode().split("\n\n")
    assert blocks.pop() == ""
    return [dict(line.split(": ", 1) for line in block.split("\n")) for block in blocks if block != ":"]


def told(dashboard, path="/v1/runs/r/follow", **headers):
    with asked(dashboard, path, **headers) as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert answer.headers["Cache-Control"] == "no-store"
        return events(answer.read())


def data_of(event):
    return json.loads(event["data"])["data"]


def test_what_a_run_publishes_comes_as_events_until_it_has_ended(durable):
    app = Durable("a")

    @app.function("f")
    def f(ctx: Context[dict]) -> None:
        ctx.publish("<b>progress</b>", {"done": HOSTILE})
        ctx.publish("progress", None)

    rt = durable(app)
    run_id = rt.start(f, run_id="a b%é").run_id
    rt.drain()
    with served(api_of(rt).api) as dashboard:
        first, second, last = told(dashboard, "/v1/runs/a%20b%25%C3%A9/follow")

    assert run_id == "a b%é"
    assert (first["event"], first["id"], second["id"]) == ("message", "0", "1")
    assert json.loads(first["data"])["topic"] == "<b>progress</b>"
    assert [data_of(first), data_of(second)] == [{"done": HOSTILE}, None]
    assert last == {"event": "ended", "data": "{}"}


def test_a_feed_goes_on_behind_a_cursor_and_is_told_what_comes_later():
    api = Published(*range(PAGE + 3))
    with served(api) as dashboard, asked(dashboard, "/v1/runs/r/follow?after=1") as answer:
        assert api.idle.wait(10)  # all was told, and it is looked at again and again
        api.messages.append("later")
        api.ended = True
        came = events(answer.read())

    assert [data_of(event) for event in came[:-1]] == [*range(2, PAGE + 3), "later"]
    assert came[-1]["event"] == "ended"


def test_a_browser_that_comes_again_says_how_far_it_was():
    with served(Published("a", "b", "c", ended=True)) as dashboard:
        came = told(dashboard, "/v1/runs/r/follow?after=0", Last_Event_ID="1")
        with asked(dashboard, Last_Event_ID="2") as answer:
            assert (answer.status, answer.read()) == (204, b"")  # with which it comes no more

    assert [data_of(event) for event in came[:-1]] == ["c"]


def test_what_the_api_says_instead_is_the_answer():
    api = Published()
    api.status = 404
    with served(api) as dashboard, asked(dashboard) as answer:
        assert (answer.status, json.loads(answer.read())["error"]["type"]) == (404, "RunNotFoundError")


def test_a_feed_needs_the_token_and_is_only_asked_for():
    api = Published("secret")
    with served(api) as dashboard:
        with asked(dashboard, Authorization="Bearer another") as answer:
            assert answer.status == 401
        with asked(dashboard, Origin="https://evil.example") as answer:
            assert answer.status == 403
        assert api.asked == []
        with asked(dashboard, method="POST") as answer:
            answer.read()
    assert [path for path, _ in api.asked] == [
        "/v1/runs/r/follow"
    ]  # the API's business, which has no such route


def test_runs_that_are_followed_leave_room_for_answers_and_one_that_is_left_makes_room():
    api = Published("a")
    with served(api) as dashboard:
        with asked(dashboard), asked(dashboard), asked(dashboard):
            assert AT_ONCE == 3
            with asked(dashboard) as answer:
                error = json.loads(answer.read())["error"]
                assert (answer.status, error["type"]) == (429, "TooManyFeeds")
                assert "/v1/runs/r/messages" in error["message"]
            with asked(dashboard, "/v1/runs/r/messages?after=") as answer:
                assert answer.status == 200
        for _ in range(AT_ONCE):
            free_again(dashboard)


def free_again(dashboard):
    """A server finds out that a reader is gone when it writes to it: soon, but not at once."""
    for _ in range(1000):
        with asked(dashboard) as answer:
            if answer.status == 200:
                return
    pytest.fail("nobody is there, and there is no place")


def test_a_reader_that_takes_nothing_is_let_go(monkeypatch):
    monkeypatch.setattr(server._Handler, "timeout", 0.02)
    api = Published(*(["x" * 100_000] * PAGE * 9))  # more than the machine keeps for a connection
    with served(api) as dashboard, asked(dashboard), asked(dashboard), asked(dashboard):
        free_again(dashboard)


def test_a_feed_ends_when_the_api_fails_in_its_middle():
    api = Published("a")
    with served(api) as dashboard:
        for _ in range(AT_ONCE + 1):  # each gives back its place
            api.status = 200
            with asked(dashboard) as answer:
                api.status = 429
                assert [data_of(event) for event in events(answer.read())] == ["a"]


def test_feeds_end_with_the_server():
    with served(Published("a")) as dashboard, asked(dashboard) as answer:
        dashboard.close()
        assert [data_of(event) for event in events(answer.read())] == ["a"]
