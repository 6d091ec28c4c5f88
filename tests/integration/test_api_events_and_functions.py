"""The HTTP API: events, sent and found again; functions, known, measured and held back."""

from __future__ import annotations

import pytest

from lambda_durable import Context, Durable, Event, NonRetriableError, on_event
from tests.http_api import api_of, encoded


@pytest.fixture
def app():
    return Durable("shop")


def test_an_event_is_found_with_the_runs_that_it_started(durable, app):
    @app.function("f", on_event("store/*"))
    def f(ctx: Context[dict]) -> None: ...

    @app.function("g", on_event("store/sold"))
    def g(ctx: Context[dict]) -> None: ...

    rt = durable(app)
    call = api_of(rt)
    sent = {"name": "store/sold", "data": {"n": 1}, "id": "order/1 #?%", "time": "2025-01-01T01:00:00+01:00"}
    assert call.post("/v1/events", {"events": [sent]}) == {"ids": ["order/1 #?%"]}
    rt.drain()
    for path in (encoded("order/1 #?%"), "order/1%20%23%3F%25"):
        event = call.get(f"/v1/events/{path}")
        assert (event["name"], event["data"], event["time"]) == (
            "store/sold",
            {"n": 1},
            "2025-01-01T00:00:00Z",
        )
        assert [*event["runs"]] == ["f", "g"]
        assert call.get(f"/v1/runs/{event['runs']['f']}")["status"] == "completed"
    assert call.get("/v1/event-names") == {"names": ["store/*", "store/sold"]}
    assert call("GET", "/v1/events/nope").status == 404


def test_an_event_of_the_future_starts_its_runs_then(durable, app):
    @app.function("f", on_event("e"))
    def f(ctx: Context[dict]) -> None: ...

    rt = durable(app)
    call = api_of(rt)
    call.post("/v1/events", {"events": [{"name": "e", "time": "2025-01-01T02:00:00Z"}]})
    rt.advance("1h")
    assert [run["status"] for run in call.get("/v1/runs")["runs"]] == ["queued"]
    rt.drain()
    assert [run["status"] for run in call.get("/v1/runs")["runs"]] == ["completed"]


@pytest.mark.parametrize("together", [1, 10])
def test_events_come_in_pages_also_those_of_one_moment(durable, app, together):
    @app.function("f", on_event("e"))
    def f(ctx: Context[dict]) -> None: ...

    rt = durable(app)
    call = api_of(rt)
    for first in range(0, 10, together):
        rt.send(*(Event("e", {"n": n}) for n in range(first, first + together)))
        rt.advance("1s")
    found, cursor = [], {}
    while True:
        page = call.get("/v1/events", name="e", limit=3, **cursor)
        found += [event["data"]["n"] for event in page["events"]]
        if page["cursor"] is None:
            break
        cursor = {"cursor": page["cursor"]}
    assert sorted(found) == [*range(10)]
    assert together > 1 or found == [*range(9, -1, -1)]
    assert len(call.get("/v1/events", name="e", until="2025-01-01T00:00:00Z")["events"]) == together
    assert call.get("/v1/events", name="other") == {"events": [], "cursor": None}


@pytest.mark.parametrize(
    ("events", "told"),
    [
        ([], "body.events"),
        ([{"name": "e"}] * 101, "body.events"),
        ([{"name": ""}], "body.events.0.name"),
        ([{"name": "e", "time": "2025-01-01T00:00:00"}], "body.events.0.time"),
        ([{"name": "e", "dta": 1}], "body.events.0.dta"),
    ],
)
def test_an_event_that_is_none_is_refused(durable, app, events, told):
    rt = durable(app)
    answer = api_of(rt)("POST", "/v1/events", {"events": events})
    assert answer.status == 422
    assert told in answer.body["error"]["message"]
    assert rt.calls["events:PutEvents"] == 0


def test_a_function_is_known_and_held_back(durable, app):
    @app.function("f", on_event("e"))
    def f(ctx: Context[dict]) -> None: ...

    @f.on_failure
    def sorry(ctx) -> None: ...

    rt = durable(app)
    call = api_of(rt)
    assert [
        (each["id"], each["triggers"], each["paused"]) for each in call.get("/v1/functions")["functions"]
    ] == [
        ("f", ["e"], False),
        ("f/on_failure", [], False),
    ]
    assert call.post("/v1/functions/f/pause") == {"done": True}
    assert call.post("/v1/functions/f/pause", {"events": "hold", "runs": "hold"}) == {"done": False}
    assert call.get("/v1/functions")["functions"][0]["paused"] is True
    rt.send(Event("e"))
    rt.advance("1m")
    assert call.get("/v1/runs")["runs"] == []
    assert call.post("/v1/functions/f/resume") == {"done": True}
    rt.drain()
    assert len(call.get("/v1/runs")["runs"]) == 1
    assert call.post("/v1/functions/f%2Fon_failure/pause") == {"done": True}
    assert call.post("/v1/functions/f/on_failure/resume") == {"done": True}
    assert call("POST", "/v1/functions/f/pause", {"events": "drop"}).status == 422
    assert "has 'f'" in call("POST", "/v1/functions/g/pause").body["error"]["message"]


def test_how_a_function_does_is_measured_on_its_newest_runs(durable, app):
    @app.function("f", on_event("e"))
    def f(ctx: Context[dict]) -> None:
        n = ctx.event.data["n"]
        ctx.step.run("work", lambda: None)
        if n == 0:
            raise NonRetriableError("no")
        ctx.step.sleep("nap", f"{n}s")

    rt = durable(app)
    call = api_of(rt)
    for n in range(4):
        rt.send(Event("e", {"n": n}))
        rt.drain()
        rt.advance("10m")
    told = call.get("/v1/functions/f/metrics")
    assert told["counts"] == {"completed": 3, "failed": 1}
    assert (told["failure_rate"], told["looked_at"], told["looked_back_to"]) == (0.25, 4, None)
    assert told["latency"] == {"p50": 2.0, "p95": 3.0, "longest": 3.0}
    assert sum(bucket["began"] for bucket in told["buckets"]) == 4
    assert sum(bucket["failed"] for bucket in told["buckets"]) == 1
    assert len(told["buckets"]) <= 61
    last = call.get("/v1/functions/f/metrics", look_at=2, since="2025-01-01T00:00:00Z")
    assert (last["looked_at"], last["looked_back_to"]) == (2, "2025-01-01T00:20:01Z")
    assert sum(bucket["began"] for bucket in last["buckets"]) == 2
    none = call.get("/v1/functions/f/metrics", until="2024-01-01T00:00:00Z")
    assert (none["looked_at"], none["failure_rate"], none["latency"]) == (0, None, None)
    odd = call("GET", "/v1/functions/f/metrics", since="2025-06-01T00:00:00Z", until="2025-01-01T00:00:00Z")
    assert (odd.status, odd.body["looked_at"]) == (200, 0)
