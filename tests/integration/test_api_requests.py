"""The HTTP API: whatever is sent, the answer is JSON, of a size that Lambda takes, and tells nothing to the log."""

from __future__ import annotations

import json
import logging
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lambda_durable import Context, Durable, Event, on_event
from lambda_durable.api import serving
from tests.http_api import api_of, encoded

PAGE = Path(__file__).parents[2] / "docs/http-api.md"

HOSTILE = [
    "a/b", "../../x", "a#b", "a?b=c", "100%", "%2F", "%00", "\x00", "\x1b[2J", "<script>alert(1)</script>", "'; --",
    "\u202e", "\ufffe", "\U0001f600", "é" * 300, "x" * 1024, "$default", "{}", "[0]", "a\nb", " ", "+", "__proto__",
]  # fmt: skip


@pytest.fixture
def app():
    app = Durable("shop")

    @app.function("f", on_event("e"), labels=lambda event: [event.data.get("label", "")])
    def f(ctx: Context[dict]) -> object:
        return ctx.event.data

    return app


@pytest.fixture
def rt(durable, app):
    return durable(app)


@pytest.fixture
def call(rt):
    return api_of(rt)


# -- bodies


@pytest.mark.parametrize(
    "body",
    [
        "{", "", "null", "[]", '"x"', "NaN", '{"function": NaN}', '{"function": "f", "data": Infinity}', "1" * 5000,
        "[" * 100_000, '{"a":' * 100_000, '{"function": "\\ud800"}', '{"function": "f", "data": {"\\udfff": 1}}',
        b"\xff\xfe", b"{\"function\": \"\xff\"}", '{"function": "f"} x',
    ],
    ids=lambda body: ascii(body[:20]),
)  # fmt: skip
def test_a_body_that_is_none_is_refused(call, rt, body):
    answer = call.raw("POST", "/v1/runs", body)
    assert answer.status in (400, 422)
    assert answer.body["error"]["message"]
    assert rt.calls["sqs:SendMessage"] == 0


def test_a_body_that_is_not_json_is_refused_whatever_it_calls_itself(call):
    form = {"content-type": "application/x-www-form-urlencoded"}
    for headers in (
        form,
        {"content-type": "text/plain"},
        {"content-type": "multipart/form-data; boundary=x"},
        {},
    ):
        answer = call.raw("POST", "/v1/runs", "function=f", headers={"content-type": "", **headers})
        assert (answer.status, answer.body["error"]["type"]) == (415, "RequestError")
    utf8 = {"content-type": "Application/JSON; charset=utf-8"}
    assert call.raw("POST", "/v1/runs", '{"function": "f"}', headers=utf8).status == 202
    assert call.raw("POST", "/v1/runs", b'{"function": "f"}').status == 202


def test_a_body_that_is_too_large_is_refused_before_it_is_read(call):
    assert call.raw("POST", "/v1/runs", "x" * (serving.LARGEST_REQUEST + 1)).status == 413
    assert call.raw("POST", "/v1/runs", b"x" * (serving.LARGEST_REQUEST + 1)).status == 413
    large = call("POST", "/v1/runs", {"function": "f", "data": "x" * (5 * 1024 * 1024)})
    assert (large.status, large.body["error"]["type"]) == (413, "PayloadTooLargeError")


def test_a_body_that_nobody_could_decode_is_refused(rt):
    event = {
        "rawPath": "/v1/runs",
        "headers": {"content-type": "application/json"},
        "requestContext": {"http": {"method": "POST", "path": "/v1/runs"}, "stage": "$default"},
        "body": "not base64!",
        "isBase64Encoded": True,
    }
    assert api_of(rt).api(event)["statusCode"] == 400


# -- paths and queries


@pytest.mark.parametrize("id", HOSTILE, ids=ascii)
def test_any_id_finds_what_it_names_or_nothing(call, rt, id):
    for path in (
        f"/v1/runs/{encoded(id)}", f"/v1/runs/{encoded(id)}/steps/{encoded(id)}", f"/v1/events/{encoded(id)}",
        f"/v1/runs/{encoded(id)}/output",
    ):  # fmt: skip
        answer = call("GET", path)
        assert answer.status in (404, 422), path
    for path in (f"/v1/functions/{encoded(id)}/pause", f"/v1/runs/{encoded(id)}/cancel"):
        assert call("POST", path).status in (400, 404, 422), path
    assert call("POST", f"/v1/callbacks/{encoded(id)}/complete", {}).status == 403
    for name in ("function", "label", "cursor", "where", "status", "since"):
        assert call("GET", "/v1/runs", **{name: id}).status in (200, 400, 422)
    assert call("GET", "/v1/events", name=id).status in (200, 422)
    assert call("POST", "/v1/signals", {"name": id}).status in (200, 400, 422)


@pytest.mark.parametrize("id", [id for id in HOSTILE if len(id) <= 256], ids=ascii)
def test_hostile_text_goes_in_and_comes_out_as_it_is(call, rt, id):
    data = {"label": id[:9], id: [id]}
    sent = call("POST", "/v1/events", {"events": [{"name": "e", "data": data, "id": id}]})
    assert sent.status == 200
    rt.drain()
    event = call.get(f"/v1/events/{encoded(id)}")
    assert (event["id"], event["data"]) == (id, data)
    run = call.get(f"/v1/runs/{event['runs']['f']}")
    assert (run["output"], run["labels"]) == (data, [id[:9]])
    listed = call.get("/v1/runs", label=id[:9])["runs"]
    assert [each["run_id"] for each in listed] == [run["run_id"]]


def test_a_label_with_a_comma_is_one(call, rt):
    rt.send(Event("e", {"label": "a,b"}))
    rt.drain()
    assert len(call.get("/v1/runs", label="a,b")["runs"]) == 1


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/", "/v1/run", "/v1/runs/", "/v2/runs", "//v1/runs", "/v1/runs/a/b", ""]
)
def test_there_is_no_such_path(call, path):
    answer = call("GET", path)
    assert (answer.status, answer.body["error"]["type"]) == (404, "NoSuchRoute")


@pytest.mark.parametrize("method", ["DELETE", "PUT", "PATCH", "HEAD", "OPTIONS", "TRACE", "get", "X"])
def test_a_path_says_what_it_takes(call, method):
    answer = call(method, "/v1/runs")
    if method.upper() == "GET":
        assert answer.status == 200
        return
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, POST")


EDGES = [
    "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59Z",
    "9999-12-31T23:59:59-23:59",
]  # fmt: skip


@pytest.mark.parametrize("time", EDGES)
def test_times_at_the_edge_are_compared_or_refused(call, time):
    for name in ("since", "until"):
        for path, query in (("runs", {}), ("events", {"name": "e"}), ("functions/f/metrics", {})):
            assert call("GET", f"/v1/{path}", **query, **{name: time}).status in (200, 400), (path, name)
        for path in ("cancellations", "replays"):
            answer = call("POST", f"/v1/{path}", {"function": "f", name: time})
            assert answer.status in (200, 202, 400), (path, name)
    assert call("POST", "/v1/events", {"events": [{"name": "e", "time": time}]}).status in (200, 400)


FORGED = [
    "x", "/", "///", "0/x", "-1/x", "\u0663/x", "0/0/0/x", "0/0/9999999999999/x", "9999999999999/0/9999999999999/x",
    "9999999999999/9999999999999/9999999999999/x", "0/99999999999/9999999999999/x", "99999999999999/0/9999999999999/x",
    "0/\x00", "0/#", "0/" + "x" * 2000, "1" * 2048,
]  # fmt: skip


@pytest.mark.parametrize("cursor", FORGED, ids=lambda cursor: ascii(cursor[:20]))
def test_a_forged_cursor_is_a_place_in_the_list_or_refused(call, rt, app, cursor):
    rt.start(app.functions["f"], {})
    rt.drain()
    for path, query in (("runs", {}), ("runs", {"function": "f"}), ("events", {"name": "e"})):
        answer = call("GET", f"/v1/{path}", cursor=cursor, **query)
        assert answer.status in (200, 400), path
    assert call("POST", "/v1/cancellations", {"function": "f", "cursor": cursor}).status in (200, 400)
    begun = call("POST", "/v1/replays", {"function": "f", "status": "completed", "cursor": cursor})
    assert begun.status in (202, 400)
    rt.drain()  # whatever it began can begin
    assert not rt.dead_letters


def test_a_replay_has_a_pace_at_which_it_ends(call, rt, app):
    for _ in range(3):
        rt.start(app.functions["f"], {})
    rt.drain()
    for pace in (0, -1, 5e-324, 1e-300, 0.000009, 1e308):
        asked = {"function": "f", "status": "completed", "per_second": pace}
        assert call("POST", "/v1/replays", asked).status == 422, pace
    begun = call("POST", "/v1/replays", {"function": "f", "status": "completed", "per_second": 0.00001})
    assert (begun.status, len(begun.body["runs"])) == (202, 3)
    rt.drain()
    assert {run.status for run in rt.runs("f")} == {"completed"}


# -- answers


def test_no_answer_is_guessed_at_or_kept_by_others(call, rt):
    id = rt.run(rt.app.functions["f"], {}).run_id
    asked = [("GET", "/v1/runs"), ("GET", "/nope"), ("GET", "/openapi.json"), ("POST", "/v1/runs")]
    for answer in (call(*each) for each in asked):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Content-Type"] == "application/json"
    assert call("GET", f"/v1/runs/{id}").headers["Cache-Control"] == "private, no-cache"


def test_an_answer_that_lambda_would_refuse_is_an_error_that_says_so(call, rt):
    id = rt.run(rt.app.functions["f"], {"x": '"' * 2_400_000}).run_id  # in JSON in JSON, four characters each
    answer = call("GET", f"/v1/runs/{id}/output")
    assert answer.status == 413
    assert "ask for less" in answer.body["error"]["message"]
    assert call("GET", f"/v1/runs/{id}").body["output_truncated"] is True


def test_numbers_that_json_does_not_have_are_answered_as_null_or_text(call, rt, app):
    @app.function("odd")
    def odd(ctx: Context[dict]) -> object:
        return [float("nan"), float("inf"), 2**70]

    id = rt.run(odd).run_id
    answer = call("GET", f"/v1/runs/{id}")
    assert answer.status == 200
    assert json.loads(answer.text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_what_nobody_expects_is_told_without_what_it_says(call, rt, monkeypatch, caplog):
    secret = "s3cret"

    def fail(*_, **__):
        raise RuntimeError(secret)

    monkeypatch.setattr(type(call.api._backend.client), "overview", fail)
    answer = call("GET", "/v1/runs/r")
    assert answer.status == 500
    assert answer.body["error"]["type"] == "InternalError"
    assert "s3cret" not in answer.text
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    told = logging.Formatter().format(record)
    assert "s3cret" not in told
    assert "RuntimeError" in told
    assert "in fail" in told


def test_requests_of_several_threads_do_not_meet(durable, app):
    call = api_of(durable(app))  # and the runtime is for one thread: these are answered without it

    def ask(n):
        return {
            call("GET", f"/v1/runs/r{n}/messages", after=f"x{n}").body["error"]["message"][-5:]
            for _ in range(50)
        }

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(8))) == [{f" 'x{n}'"} for n in range(8)]


def test_the_documentation_has_the_routes_that_there_are(durable, app):
    described = api_of(durable(app)).get("/openapi.json")["paths"]
    there = {f"{method.upper()} {path}" for path, methods in described.items() for method in methods}
    told = re.findall(r"^\| `([A-Z]+ /v1/\S+)` \|", PAGE.read_text(), re.MULTILINE)
    assert sorted(told) == sorted(there)
