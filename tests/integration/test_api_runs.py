"""The HTTP API: runs, found, looked at, begun, stopped and done again."""

from __future__ import annotations

import pytest

from lambda_durable import Concurrency, Context, Durable, Event, NonRetriableError, on_event
from tests.http_api import api_of, encoded


@pytest.fixture
def app():
    return Durable("shop")


def test_a_run_is_answered_with_its_steps_in_the_order_of_their_start(durable, app):
    @app.function("checkout", on_event("order"), labels=lambda event: [event.data["who"]])
    def checkout(ctx: Context[dict]) -> dict:
        ctx.step.run("second", lambda: ctx.event.data["amount"] + 1)
        ctx.step.sleep("nap", "1h")
        ctx.step.group("all", lambda: ctx.step.run("a/b", lambda: [1]))
        return {"ok": True}

    rt = durable(app)
    call = api_of(rt)
    (event_id,) = call.post(
        "/v1/events", {"events": [{"name": "order", "data": {"who": "ann", "amount": 1}}]}
    )["ids"]
    rt.drain()
    (listed,) = call.get("/v1/runs")["runs"]
    run = call.get(f"/v1/runs/{listed['run_id']}")
    assert (run["status"], run["output"], run["labels"]) == ("completed", {"ok": True}, ["ann"])
    assert run["event"]["id"] == event_id
    assert run["event"]["data"] == {"who": "ann", "amount": 1}
    assert [(step["id"], step["kind"], step["output"]) for step in run["steps"]] == [
        ("second", "run", 2),
        ("nap", "sleep", None),
        ("all", "group", [1]),
        ("all/a%2Fb", "run", [1]),
    ]
    assert run["created_at"] == "2025-01-01T00:00:00Z"
    assert run["steps"][1]["ended_at"] == "2025-01-01T01:00:00Z"
    assert (run["steps_total"], run["steps_cursor"]) == (4, None)


def test_how_long_a_step_waited_for_its_turn_is_told(durable, app):
    @app.function("f", on_event("e"), concurrency=Concurrency(1))
    def f(ctx: Context[dict]) -> None:
        ctx.step.run("slow", lambda: None)

    rt = durable(app)
    rt.stub("slow", takes="30s")
    call = api_of(rt)
    rt.send(Event("e"), Event("e"))
    rt.drain()
    runs = [call.get(f"/v1/runs/{run['run_id']}") for run in call.get("/v1/runs")["runs"]]
    assert sorted(run["steps"][0]["queue_delay"] for run in runs) == [0.0, 30.0]


def test_steps_come_in_pages(durable, app):
    @app.function("f")
    def f(ctx: Context[dict]) -> None:
        for number in range(7):
            ctx.step.run(f"s{number}", lambda n=number: n)

    rt = durable(app, steps_per_invocation="all")
    run = rt.run(f)
    call = api_of(rt)
    path, found, cursor = f"/v1/runs/{run.run_id}", [], {}
    while True:
        page = call.get(path, steps=3, **cursor)
        assert page["steps_total"] == 7
        found += [step["output"] for step in page["steps"]]
        if page["steps_cursor"] is None:
            break
        cursor = {"cursor": page["steps_cursor"]}
    assert found == [*range(7)]


def test_a_large_output_is_left_out_and_lies_under_its_own_path(durable, app):
    @app.function("f")
    def f(ctx: Context[dict]) -> str:
        ctx.step.run("small", lambda: "s")
        ctx.step.run("in the table", lambda: "t" * 20_000)
        ctx.step.group("g/h", lambda: ctx.step.run("in S3", lambda: "u" * 200_000))
        return "o" * 300_000

    rt = durable(app)
    id = rt.run(f, {"in": "e" * 300_000}).run_id
    call = api_of(rt)
    before = rt.calls["s3:GetObject"]
    run = call.get(f"/v1/runs/{id}")
    assert rt.calls["s3:GetObject"] == before
    steps = {step["id"]: step for step in run["steps"]}
    assert {name for name, step in steps.items() if step["truncated"]} == {
        "in the table",
        "g%2Fh",
        "g%2Fh/in S3",
    }
    assert steps["in the table"]["output"] is steps["g%2Fh/in S3"]["output"] is None
    assert (run["output"], run["output_truncated"]) == (None, True)
    assert (run["event_truncated"], run["event"]) == (True, None)
    assert call.get(f"/v1/runs/{id}/steps/{encoded('in the table')}")["output"] == "t" * 20_000
    assert call.get(f"/v1/runs/{id}/steps/{encoded('g%2Fh/in S3')}")["output"] == "u" * 200_000
    assert call.get(f"/v1/runs/{id}/steps/g%252Fh/in%20S3")["output"] == "u" * 200_000
    assert call.get(f"/v1/runs/{id}/output")["output"] == "o" * 300_000
    assert call.get(f"/v1/runs/{id}/event")["events"][0]["data"] == {"in": "e" * 300_000}


def test_a_page_of_large_steps_fits_into_what_lambda_answers(durable, app):
    @app.function("f")
    def f(ctx: Context[dict]) -> None:
        ctx.step.map("m", lambda _: "x" * 8_000, [*range(600)])

    rt = durable(app, steps_per_invocation="all")
    call = api_of(rt)
    run = call("GET", f"/v1/runs/{rt.run(f).run_id}")
    assert run.status == 200
    whole = [step for step in run.body["steps"] if not step["truncated"]]
    assert 300 < len(whole) < len(run.body["steps"]) == 601


def test_a_run_that_has_ended_is_sent_once(durable, app):
    @app.function("f")
    def f(ctx: Context[dict]) -> None:
        ctx.step.sleep("nap", "1m")

    rt = durable(app)
    id = rt.start(f).run_id
    call = api_of(rt)
    rt.advance("0s")
    live = call("GET", f"/v1/runs/{id}")
    assert "ETag" not in live.headers
    assert live.headers["Cache-Control"] == "no-store"
    rt.drain()
    first = call("GET", f"/v1/runs/{id}")
    again = call("GET", f"/v1/runs/{id}", headers={"if-none-match": first.headers["ETag"]})
    assert (again.status, again.body, again.headers["ETag"]) == (304, "", first.headers["ETag"])
    rt.client.rerun(id)
    rt.drain()
    assert call("GET", f"/v1/runs/{id}", headers={"if-none-match": first.headers["ETag"]}).status == 200


def test_what_a_run_publishes_is_read_on_from_a_cursor(durable, app):
    @app.function("f")
    def f(ctx: Context[dict]) -> None:
        ctx.publish("progress", 1)
        ctx.step.sleep("nap", "1m")
        ctx.publish("progress", 2)

    rt = durable(app)
    id = rt.start(f).run_id
    rt.advance("1s")
    call = api_of(rt)
    first = call.get(f"/v1/runs/{id}/messages")
    assert [each["data"] for each in first["messages"]] == [1]
    assert first["ended"] is False
    assert call.get(f"/v1/runs/{id}/messages", after=first["cursor"])["messages"] == []
    rt.drain()
    rest = call.get(f"/v1/runs/{id}/messages", after=first["cursor"])
    assert [(each["topic"], each["data"]) for each in rest["messages"]] == [("progress", 2)]
    assert rest["ended"] is True
    assert call("GET", f"/v1/runs/{id}/messages", after="x").status == 400
    assert call("GET", "/v1/runs/nope/messages").status == 404


def test_what_a_run_has_cost_is_told_operation_by_operation(durable, app):
    @app.function("f")
    def f(ctx: Context[dict]) -> None:
        ctx.step.run("a", lambda: "x" * 40_000)
        ctx.step.sleep("nap", "1h")

    rt = durable(app)
    id = rt.run(f).run_id
    call = api_of(rt)
    told = call.get(f"/v1/runs/{id}/cost", memory=512)
    assert [(each["id"], each["puts"], each["schedules"]) for each in told["operations"]] == [
        ("a", 1, 0),
        ("nap", 0, 1),
    ]
    assert told["dollars"] == pytest.approx(sum(each["dollars"] for each in told["charges"]))
    assert call.get(f"/v1/runs/{id}/cost")["dollars"] < told["dollars"]
    assert call("GET", "/v1/runs/nope/cost").status == 404


def test_a_run_is_begun_once_under_an_id_of_ones_own(durable, app):
    @app.function("f")
    def f(ctx: Context[dict]) -> int:
        return ctx.step.run("double", lambda: ctx.event.data["n"] * 2)

    rt = durable(app)
    call = api_of(rt)
    begin = {"function": "f", "data": {"n": 4}, "run_id": "mine"}
    for _ in range(2):
        answer = call("POST", "/v1/runs", begin)
        assert (answer.status, answer.body["run_id"], answer.body["status"]) == (202, "mine", "queued")
    rt.drain()
    assert call.get("/v1/runs/mine")["output"] == 8
    assert len(call.get("/v1/runs", function="f")["runs"]) == 1


def test_a_run_is_cancelled_paused_and_resumed(durable, app):
    @app.function("f")
    def f(ctx: Context[dict]) -> None:
        ctx.step.sleep("nap", "1d")

    rt = durable(app)
    id = rt.start(f).run_id
    rt.advance("0s")
    call = api_of(rt)
    assert call.post(f"/v1/runs/{id}/pause") == {"done": True}
    assert call.post(f"/v1/runs/{id}/pause") == {"done": False}
    assert call.get(f"/v1/runs/{id}")["paused"] is True
    assert call.post(f"/v1/runs/{id}/resume") == {"done": True}
    assert call.post(f"/v1/runs/{id}/cancel") == {"done": True}
    rt.advance("0s")
    assert call.post(f"/v1/runs/{id}/cancel") == {"done": False}
    assert call.get(f"/v1/runs/{id}")["status"] == "cancelled"


def test_a_run_that_failed_is_done_again_from_its_step(durable, app):
    broken = True

    @app.function("f", on_event("e"))
    def f(ctx: Context[dict]) -> str:
        ctx.step.run("kept", lambda: "k")

        def pay():
            if broken:
                raise NonRetriableError("no money")
            return ctx.event.data["n"]

        return ctx.step.run("pay", pay)

    rt = durable(app)
    rt.send(Event("e", {"n": "1"}))
    rt.drain()
    call = api_of(rt)
    (failed,) = call.get("/v1/runs", status="failed")["runs"]
    run = call.get(f"/v1/runs/{failed['run_id']}")
    assert (run["error"]["step_id"], run["error"]["message"]) == ("pay", "no money")
    broken = False
    again = call("POST", f"/v1/runs/{failed['run_id']}/rerun", {"from_step": "pay", "data": {"n": "2"}})
    assert (again.status, again.body["rerun_of"], again.body["rerun_from"]) == (202, failed["run_id"], "pay")
    rt.drain()
    run = call.get(f"/v1/runs/{again.body['run_id']}")
    assert (run["status"], run["output"]) == ("completed", "2")
    assert [step["id"] for step in run["steps"] if step["kept"]] == ["kept"]
    whole = call("POST", f"/v1/runs/{failed['run_id']}/rerun")
    assert whole.status == 202
    rt.drain()
    assert call.get(f"/v1/runs/{failed['run_id']}")["reruns"] == sorted(
        [again.body["run_id"], whole.body["run_id"]]
    )


def test_lists_are_filtered_and_come_in_pages(durable, app):
    @app.function("f", on_event("e"), labels=lambda event: [f"odd-{event.data['n'] % 2}"])
    def f(ctx: Context[dict]) -> int:
        if ctx.event.data["n"] == 3:
            raise NonRetriableError("no")
        return ctx.event.data["n"] * 10

    @app.function("g", on_event("e"))
    def g(ctx: Context[dict]) -> None: ...

    rt = durable(app)
    call = api_of(rt)
    for n in range(10):
        rt.send(Event("e", {"n": n}))
        rt.advance("1m")
    assert len(call.get("/v1/runs", limit=100)["runs"]) == 20
    assert len(call.get("/v1/runs", function="f", label="odd-1")["runs"]) == 5
    assert len(call.get("/v1/runs", function="f", status="failed")["runs"]) == 1
    since = {"since": "2025-01-01T00:03:00Z", "until": "2025-01-01T02:05:00+02:00"}
    assert len(call.get("/v1/runs", function="f", **since)["runs"]) == 3
    page = call.get("/v1/runs", function="f", where="output > 60")
    assert (len(page["runs"]), page["looked_at"]) == (3, 10)
    found, cursor = [], {}
    while True:
        page = call.get("/v1/runs", function="f", limit=4, **cursor)
        found += [run["created_at"] for run in page["runs"]]
        if page["cursor"] is None:
            break
        cursor = {"cursor": page["cursor"]}
    assert len(set(found)) == len(found) == 10
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "told"),
    [
        ("GET", "/v1/runs/nope", None, 404, "there is no run 'nope'"),
        ("GET", "/v1/runs/nope/output", None, 404, "there is no run 'nope'"),
        ("POST", "/v1/runs/nope/cancel", None, 404, "no run 'nope' to cancel"),
        ("POST", "/v1/runs/nope/rerun", {}, 404, "no run 'nope' to do again"),
        ("GET", "/v1/runs/there/steps/nope", None, 404, "no step 'nope'"),
        ("POST", "/v1/runs/there/rerun", {"from_step": "nope"}, 400, "has no step 'nope'"),
        ("POST", "/v1/runs", {"function": "nope"}, 400, "no function 'nope'; it has 'f'"),
        ("POST", "/v1/runs", {"function": "f", "run_id": "a/b"}, 400, "a run id has"),
        ("POST", "/v1/runs", {"function": "f", "dta": 1}, 422, "body.dta: Extra inputs"),
        ("POST", "/v1/runs", {}, 422, "body.function: Field required"),
        ("POST", "/v1/runs", [], 422, "body"),
    ],
)
def test_a_mistake_is_told(durable, app, method, path, body, status, told):
    @app.function("f")
    def f(ctx: Context[dict]) -> None: ...

    rt = durable(app)
    rt.start(f, run_id="there")
    rt.drain()
    answer = api_of(rt)(method, path, **({"body": body} if body is not None else {}))
    assert answer.status == status
    assert told in answer.body["error"]["message"]


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0}, {"limit": 101}, {"limit": "x"}, {"status": "done"}, {"since": "yesterday"},
        {"since": "2025-01-01T00:00:00"}, {"since": "-200"}, {"until": "1.5"},
        {"cursor": "x"}, {"cursor": "1"}, {"where": "event."}, {"where": "nope > 1"},
        {"function": "x" * 300},
    ],
)  # fmt: skip
def test_a_list_that_nobody_can_make_is_refused(durable, app, query):
    answer = api_of(durable(app))("GET", "/v1/runs", **query)
    assert answer.status in (400, 422)
    assert next(iter(query)) in answer.body["error"]["message"]
