"""What starts a run, and what the client can do with it: API.md, 'A function' and 'Client'."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import BaseModel
from test_steps import START, Async, Sync

from lambda_durable import (
    ConfigurationError,
    Context,
    Durable,
    Event,
    Retry,
    RunCancelledError,
    RunFailedError,
    RunNotFoundError,
    RunTimeoutError,
    on_event,
)
from lambda_durable.testing import Faults

MODES = [1, "all"]


@pytest.fixture(params=MODES, ids=str)
def mode(request):
    return request.param


@pytest.fixture(params=[Sync(), Async()], ids=lambda flavour: flavour.name)
def flavour(request):
    return request.param


@pytest.fixture
def app():
    return Durable("t", retry=Retry.fixed("1s", 2))


def function(app, id, *triggers, **options):
    """A function that returns its event's data."""

    @app.function(id, list(triggers), **options)
    def handler(ctx: Context):
        return ctx.step.run("data", lambda: ctx.event.data)

    return handler


def started(rt):
    """The functions that have runs, oldest first."""
    return [run.function_id for run in rt.runs()][::-1]


def send(rt, *events):
    ids = rt.send(*events)
    rt.advance("0s")
    return ids


# triggers


def test_an_event_starts_the_function_that_its_name_triggers(durable, flavour, mode):
    app = Durable("t")

    def body(ctx):
        return (yield ctx.step.run("x", lambda: [ctx.event.name, ctx.event.data]))

    flavour.function(app, body, triggers=on_event("shop/paid"))
    function(app, "other", on_event("shop/refunded"))
    rt = durable(app, steps_per_invocation=mode)
    rt.send(Event("shop/paid", {"amount": 5}))
    rt.drain()
    (summary,) = rt.runs()
    run = rt.get(summary.run_id)
    assert (run.function_id, run.status, run.output) == ("f", "completed", ["shop/paid", {"amount": 5}])
    assert (run.event.name, run.event.data) == ("shop/paid", {"amount": 5})
    assert run.created_at == run.started_at == START


def test_sending_only_enqueues(durable, app):
    function(app, "f", on_event("a"))
    rt = durable(app)
    rt.send(Event("a"))
    assert started(rt) == []
    rt.advance("0s")
    assert started(rt) == ["f"]


@pytest.mark.parametrize(
    ("name", "starts"),
    [
        ("a", True),
        ("b/one", True),
        ("b/", True),
        ("A", False),
        ("a/", False),
        ("b", False),
        ("ab/one", False),
    ],
)
def test_any_of_several_triggers_starts_it(durable, app, name, starts):
    function(app, "f", on_event("a"), on_event("b/*"))
    rt = durable(app)
    send(rt, Event(name))
    assert started(rt) == ["f"] * starts


def test_a_star_alone_takes_every_event(durable, app):
    function(app, "f", on_event("*"))
    rt = durable(app)
    send(rt, Event("a"), Event("Object Created", source="aws.s3"))
    assert started(rt) == ["f", "f"]


@pytest.mark.parametrize("name", ["*a", "a*b", "a**", ""])
def test_a_star_stands_at_the_end_only(name):
    with pytest.raises(ConfigurationError):
        on_event(name)


class Order(BaseModel):
    amount: int
    country: str = "fr"


@pytest.mark.parametrize(
    "if_exp",
    [
        "event.data.amount > 10",
        "event.data.amount > 10 && event.name == 'order'",
        lambda event: event.data["amount"] > 10,
        lambda event: event.data.get("amount", 0) > 10,
    ],
    ids=["CEL", "longer CEL", "callable", "cautious callable"],
)
def test_a_condition_chooses_among_events(durable, app, if_exp):
    function(app, "f", on_event("order", if_exp=if_exp))
    rt = durable(app)
    send(rt, *(Event("order", {"amount": amount}, id=str(amount)) for amount in (5, 10, 11, 50)))
    assert sorted(rt.get(run.run_id).output["amount"] for run in rt.runs()) == [11, 50]


def test_a_callable_condition_sees_the_data_as_its_model(durable, app):
    function(app, "f", on_event("order", Order, if_exp=lambda event: event.data.country == "fr"))
    rt = durable(app)
    send(rt, Event("order", {"amount": 1}), Event("order", {"amount": 2, "country": "de"}))
    assert [rt.get(run.run_id).event.data for run in rt.runs()] == [{"amount": 1}]


@pytest.mark.parametrize(
    "if_exp",
    [
        "event.data.missing > 1",
        "event.data.amount + 1",
        "event.data.amount > 'x'",
        lambda event: event.data["missing"],
    ],
    ids=["CEL missing", "CEL no bool", "CEL types", "callable"],
)
def test_a_condition_that_fails_starts_nothing_and_blocks_no_other_function(durable, app, if_exp):
    function(app, "a", on_event("order", if_exp=if_exp))
    function(app, "b", on_event("order"))
    function(app, "c", on_event("order", if_exp=if_exp), on_event("ord*"))
    rt = durable(app)
    send(rt, Event("order", {"amount": 1}))
    assert sorted(started(rt)) == ["b", "c"]
    assert rt.dead_letters == []


@pytest.mark.parametrize("if_exp", ["event.data.amount >", "amount > 1", "", 5], ids=repr)
def test_a_condition_that_is_none_is_an_error_where_it_is_written(if_exp):
    with pytest.raises(ConfigurationError):
        on_event("order", if_exp=if_exp)


def test_an_event_starts_every_function_that_matches_a_run_each(durable, app):
    for id, name in [("a", "order"), ("b", "order"), ("c", "ord*"), ("d", "else")]:
        function(app, id, on_event(name))
    rt = durable(app)
    send(rt, Event("order", {"n": 1}, id="e"))
    runs = [rt.get(run.run_id) for run in rt.runs()]
    assert sorted(run.function_id for run in runs) == ["a", "b", "c"]
    assert {run.status for run in runs} == {"completed"}
    assert len({run.run_id for run in runs}) == 3
    assert {run.event.id for run in runs} == {"e"}


def test_an_event_starts_a_function_once_however_many_of_its_triggers_match(durable, app):
    function(app, "f", on_event("order"), on_event("ord*"), on_event("*"), on_event("order", if_exp="true"))
    rt = durable(app)
    send(rt, Event("order"))
    assert started(rt) == ["f"]


def test_an_event_that_nobody_wants_is_stored_and_starts_nothing(durable, app):
    function(app, "f", on_event("order"))
    rt = durable(app)
    send(rt, Event("unknown", {"a": "needle"}, id="e"))
    (table,) = rt.aws("dynamodb").list_tables()["TableNames"]
    items = rt.aws("dynamodb").scan(TableName=table)["Items"]
    assert started(rt) == []
    assert [item["pk"]["S"] for item in items] == ["e#e", "k#checks"]  # and what a deploy has written
    assert "needle" in json.dumps(items, default=repr)


# the id of an event


def test_the_sender_may_choose_the_id(durable, app):
    function(app, "f", on_event("order"))
    rt = durable(app)
    assert send(rt, Event("order", id="order-7"), Event("order", id="é/ #:")) == ["order-7", "é/ #:"]
    assert {rt.get(run.run_id).event.id for run in rt.runs()} == {"order-7", "é/ #:"}


def test_events_without_an_id_get_one_each(durable, app):
    function(app, "f", on_event("order"))
    rt = durable(app)
    ids = send(rt, Event("order"), Event("order"))
    assert len(set(ids)) == 2
    assert {rt.get(run.run_id).event.id for run in rt.runs()} == set(ids)


@pytest.mark.parametrize("id", ["", "x" * 257, 5, "\ud800"], ids=["empty", "long", "number", "surrogate"])
def test_a_bad_event_id_is_an_error(id):
    with pytest.raises(ConfigurationError):
        Event("order", id=id)


def test_within_24_hours_a_second_event_with_an_id_starts_nothing(durable, app):
    function(app, "f", on_event("order"))
    function(app, "g", on_event("order"))
    rt = durable(app)
    send(rt, Event("order", {"n": 1}, id="e"))
    send(rt, Event("order", {"n": 2}, id="e"))
    rt.advance("23h59m")
    send(rt, Event("order", {"n": 3}, id="e"))
    assert sorted(started(rt)) == ["f", "g"]
    assert {rt.get(run.run_id).event.data["n"] for run in rt.runs()} == {1}


def test_who_sends_an_id_again_is_told_and_a_redelivery_is_not(durable, app, caplog):
    caplog.set_level("INFO", logger="lambda_durable")
    function(app, "f", on_event("order"))
    rt = durable(app, faults=Faults(crash=0.5), seed=1)
    rt.send(Event("order", id="e"))
    rt.drain()
    assert rt.invocations > 2
    assert "came before" not in caplog.text
    rt.send(Event("order", id="e"))
    rt.drain()
    assert "event 'order' ('e') came before, and starts nothing again" in caplog.text


def test_an_id_is_one_key_whatever_the_events_name(durable, app):
    function(app, "f", on_event("*"))
    rt = durable(app)
    send(rt, Event("one", id="e"), Event("two", id="e"))
    assert len(started(rt)) == 1


def test_after_24_hours_from_the_first_an_id_is_new_again(durable, app):
    function(app, "f", on_event("order"))
    rt = durable(app)
    send(rt, Event("order", {"n": 1}, id="e"))
    rt.advance("20h")
    send(rt, Event("order", {"n": 2}, id="e"))  # a duplicate, which makes nothing last longer
    rt.advance("4h1s")
    send(rt, Event("order", {"n": 3}, id="e"))
    rt.advance("23h")
    send(rt, Event("order", {"n": 4}, id="e"))
    assert [rt.get(run.run_id).output["n"] for run in rt.runs()] == [3, 1]
    assert len({run.run_id for run in rt.runs()}) == 2


# labels


def test_runs_are_found_by_their_labels(durable, app):
    function(
        app, "f", on_event("order"), labels=lambda event: [f"order-{event.data['n']}", event.data["who"]]
    )
    rt = durable(app)
    send(rt, *(Event("order", {"n": n, "who": who}) for n, who in enumerate(["ann", "bob", "ann"])))

    def found(label):
        return sorted(rt.get(run.run_id).output["n"] for run in rt.runs(label=label))

    assert (found("ann"), found("bob"), found("order-2"), found("nobody")) == ([0, 2], [1], [2], [])
    (run,) = rt.runs(label="order-1")
    assert run.labels == rt.get(run.run_id).labels == ("order-1", "bob")


def test_labels_see_the_data_as_its_model(durable, app):
    function(app, "f", on_event("order", Order), labels=lambda event: [event.data.country])
    rt = durable(app)
    send(rt, Event("order", {"amount": 1}))
    assert [run.labels for run in rt.runs(label="fr")] == [("fr",)]


def test_a_run_that_was_started_directly_has_labels_too(durable, app):
    f = function(app, "f", labels=lambda event: [event.data["who"]])
    rt = durable(app)
    run = rt.run(f, {"who": "ann"})
    assert run.labels == ("ann",)
    assert [found.run_id for found in rt.runs(label="ann")] == [run.run_id]


def test_labels_that_fail_hold_up_no_run(durable, app):
    function(app, "f", on_event("order"), labels=lambda event: [event.data["missing"]])
    rt = durable(app)
    send(rt, Event("order", {"n": 1}))
    (run,) = rt.runs()
    assert (run.status, run.labels) == ("completed", ())


# start


def test_start_only_enqueues_and_says_so(durable, app):
    f = function(app, "f")
    rt = durable(app)
    run = rt.start(f, {"n": 1}, run_id="mine")
    assert (run.run_id, run.function_id, run.status) == ("mine", "f", "queued")
    assert started(rt) == []
    rt.drain()
    assert rt.get("mine").output == {"n": 1}


def test_start_is_idempotent_in_the_run_id(durable, app, flavour, mode):
    calls = []

    def body(ctx):
        yield ctx.step.run("x", calls.append, 0)
        yield ctx.step.sleep("s", "1h")
        return ctx.event.data["n"]

    f = flavour.function(app, body)
    rt = durable(app, steps_per_invocation=mode)
    rt.start(f, {"n": 1}, run_id="mine")
    rt.start(f, {"n": 2}, run_id="mine")
    rt.advance("10m")
    rt.client.start(f, {"n": 3}, run_id="mine")
    rt.drain()
    rt.client.start(f, {"n": 4}, run_id="mine")
    rt.drain()
    assert started(rt) == ["f"]
    assert (rt.get("mine").output, calls) == (1, [0])


def test_runs_without_an_id_of_ones_own_are_different_runs(durable, app):
    f = function(app, "f")
    rt = durable(app)
    assert rt.start(f).run_id != rt.start(f).run_id
    rt.drain()
    assert started(rt) == ["f", "f"]


def test_a_function_can_be_started_by_its_id(durable, app):
    function(app, "f")
    rt = durable(app)
    run = rt.client.start("f", {"n": 1})
    rt.drain()
    assert rt.get(run.run_id).output == {"n": 1}
    with pytest.raises(ConfigurationError, match="nothing-like-it"):
        rt.client.start("nothing-like-it")


def test_start_skips_the_triggers(durable, app):
    f = function(app, "f", on_event("order", if_exp="false"))
    assert durable(app).run(f, {"n": 1}).event.name == "lambda_durable/invoked"


def test_start_takes_a_model(durable, app):
    f = function(app, "f", on_event("order", Order))
    run = durable(app).run(f, Order(amount=3))
    assert run.event.data == {"amount": 3, "country": "fr"}
    assert run.status == "completed"


@pytest.mark.parametrize("run_id", ["", "x" * 1000, 5], ids=["empty", "long", "number"])
def test_a_bad_run_id_is_an_error(durable, app, run_id):
    with pytest.raises(ConfigurationError):
        durable(app).start(function(app, "f"), run_id=run_id)


# get and result


def test_get_of_an_unknown_run_is_an_error_that_names_it(durable, app):
    function(app, "f")
    client = durable(app).client
    for call in (client.get, client.cancel):
        with pytest.raises(RunNotFoundError, match="no-such-run"):
            call("no-such-run")
    with pytest.raises(RunTimeoutError, match="no-such-run"):
        client.result("no-such-run", timeout="1s")


def test_get_shows_a_run_as_it_is_now(durable, app, flavour, mode):
    def body(ctx):
        yield ctx.step.run("a", lambda: {"k": 1})
        yield ctx.step.sleep("s", "1h")
        return (yield ctx.step.run("b", lambda: 2))

    rt = durable(app, steps_per_invocation=mode)
    id = rt.start(flavour.function(app, body)).run_id
    rt.advance("30m")
    run = rt.get(id)
    assert (run.status, run.output, run.error, run.ended_at) == ("running", None, None, None)
    assert {step.id: step.status for step in run.steps.values()} == {"a": "completed", "s": "waiting"}
    assert run.steps["a"].output == {"k": 1}
    rt.drain()
    run = rt.get(id)
    assert (run.status, run.output, run.ended_at) == ("completed", 2, START + timedelta(hours=1))
    assert [(step.id, step.status) for step in run.steps.values()] == [
        ("a", "completed"), ("s", "completed"), ("b", "completed"),
    ]  # fmt: skip


def test_get_says_when_the_handler_itself_has_failed_and_is_tried_again(durable, app, mode):
    @app.function("f", retry=Retry.fixed("1m", 2), steps_per_invocation=mode)
    def f(ctx: Context[dict]) -> None:
        ctx.step.sleep("nap", "5s")
        raise ValueError("unlucky")

    rt = durable(app)
    run_id = rt.start(f).run_id
    rt.advance("5s")
    retrying = rt.get(run_id).retrying
    assert (retrying.attempts, retrying.error.message) == (1, "unlucky")
    assert retrying.wake_at - rt.now() == timedelta(minutes=1)

    rt.drain()
    run = rt.get(run_id)
    assert (run.status, run.retrying, run.error.message) == ("failed", None, "unlucky")


def test_result_is_the_output_as_the_function_is_annotated(durable, app, mode):
    @app.function("f")
    def f(ctx: Context) -> Order:
        ctx.step.sleep("s", "3d")
        return Order(amount=4)

    rt = durable(app, steps_per_invocation=mode)
    id = rt.start(f).run_id
    assert rt.client.result(id, timeout="4d") == Order(amount=4)
    assert rt.now() == START + timedelta(days=3)
    assert rt.client.result(id, timeout="0s") == rt.get(id).output == Order(amount=4)


def test_result_of_a_failed_run_raises_with_its_error(durable, app, flavour, mode):
    def fail():
        raise ValueError("no")

    def body(ctx):
        yield ctx.step.run("x", fail)

    rt = durable(app, steps_per_invocation=mode)
    id = rt.start(flavour.function(app, body)).run_id
    with pytest.raises(RunFailedError, match=r"ValueError.*no") as caught:
        rt.client.result(id, timeout="1h")
    assert caught.value.run_id == id
    assert (caught.value.error.type, caught.value.error.step_id) == ("ValueError", "x")


def sleeper(app, flavour, id="f", calls=None):
    """A function that sleeps for a day between two steps."""

    def body(ctx):
        yield ctx.step.run("before", (calls if calls is not None else []).append, "before")
        yield ctx.step.sleep("s", "1d")
        yield ctx.step.run("after", (calls if calls is not None else []).append, "after")
        return "slept"

    return flavour.function(app, body, id)


def test_result_of_a_cancelled_run_raises(durable, app, flavour):
    rt = durable(app)
    id = rt.start(sleeper(app, flavour)).run_id
    rt.advance("1h")
    rt.client.cancel(id)
    with pytest.raises(RunCancelledError, match=id):
        rt.client.result(id, timeout="1h")


def test_result_waits_no_longer_than_it_is_told(durable, app, flavour):
    rt = durable(app)
    id = rt.start(sleeper(app, flavour)).run_id
    with pytest.raises(RunTimeoutError, match=id):
        rt.client.result(id, timeout="2h")
    assert rt.now() == START + timedelta(hours=2)
    assert rt.client.result(id, timeout="1d") == "slept"
    with pytest.raises(ConfigurationError, match="timeout"):
        rt.client.result(id, timeout=5)


# runs


@pytest.fixture
def three_days(durable, app, flavour):
    """On each of three days, at noon: `good` completes, `bad` fails, `slow` begins to sleep for a day."""

    def fail(ctx):
        yield from ()
        raise RunFailedError("no")

    functions = [function(app, "good"), flavour.function(app, fail, "bad"), sleeper(app, flavour, "slow")]
    rt = durable(app)
    rt.advance("12h")
    for day in (1, 2, 3):
        for f in functions:
            rt.start(f, run_id=f"{f.id}-{day}")
            rt.advance("1m")
        if day < 3:
            rt.advance("23h57m")
    return rt


def ids(runs):
    return [run.run_id for run in runs]


def test_runs_are_listed_newest_first(three_days):
    newest_first = [f"{name}-{day}" for day in (3, 2, 1) for name in ("slow", "bad", "good")]
    assert ids(three_days.runs()) == newest_first


def test_runs_are_listed_by_function(three_days):
    assert ids(three_days.runs("good")) == ["good-3", "good-2", "good-1"]
    assert ids(three_days.runs("nothing-like-it")) == []


def test_runs_are_listed_by_function_object_or_id(durable, app):
    f, g = function(app, "f"), function(app, "g")
    rt = durable(app)
    runs = [rt.run(function) for function in (f, g)]
    assert ids(rt.runs(f)) == ids(rt.client.runs("f")) == [runs[0].run_id]
    assert ids(rt.client.runs(g)) == [runs[1].run_id]


def test_runs_are_listed_by_status(three_days):
    assert ids(three_days.runs(status="failed")) == ["bad-3", "bad-2", "bad-1"]
    assert ids(three_days.runs(status="running")) == ["slow-3"] + ["slow-2"] * (
        three_days.get("slow-2").status == "running"
    )
    assert ids(three_days.runs("good", status="failed")) == []
    three_days.drain()
    assert ids(three_days.runs("slow", status="completed")) == ["slow-3", "slow-2", "slow-1"]
    assert ids(three_days.runs(status="running")) == []
    with pytest.raises(ConfigurationError, match="status"):
        list(three_days.runs(status="asleep"))


def test_runs_are_listed_by_time(three_days):
    second = datetime(2025, 1, 2, 6, tzinfo=UTC)
    third = datetime(2025, 1, 3, 6, tzinfo=UTC)
    assert ids(three_days.runs(since=third)) == ["slow-3", "bad-3", "good-3"]
    assert ids(three_days.runs(until=second)) == ["slow-1", "bad-1", "good-1"]
    assert ids(three_days.runs("good", since=second, until=third)) == ["good-2"]
    assert ids(three_days.runs(status="failed", since=second)) == ["bad-3", "bad-2"]
    for bad in ({"since": datetime(2025, 1, 2)}, {"until": "2025-01-02"}):
        with pytest.raises(ConfigurationError):
            list(three_days.runs(**bad))


def test_runs_are_limited(three_days):
    assert ids(three_days.runs(limit=2)) == ["slow-3", "bad-3"]
    assert ids(three_days.runs("good", limit=1)) == ["good-3"]
    assert len(ids(three_days.runs(limit=100))) == 9
    for limit in (0, -1, 1.5, True, "2"):
        with pytest.raises(ConfigurationError, match="limit"):
            list(three_days.runs(limit=limit))


def test_a_summary_has_what_a_list_shows(three_days):
    (run,) = three_days.runs("good", limit=1)
    noon = datetime(2025, 1, 3, 12, tzinfo=UTC)
    assert (run.run_id, run.function_id, run.status, run.labels) == ("good-3", "good", "completed", ())
    assert (run.created_at, run.ended_at) == (noon, noon)


# cancel


def test_cancelling_a_sleeping_run_ends_it_and_it_starts_no_further_step(durable, app, flavour, mode):
    calls = []
    rt = durable(app, steps_per_invocation=mode)
    id = rt.start(sleeper(app, flavour, calls=calls)).run_id
    rt.advance("1h")
    assert rt.client.cancel(id) is True
    rt.advance("0s")
    run = rt.get(id)
    assert (run.status, run.error, run.output) == ("cancelled", None, None)
    assert run.ended_at == START + timedelta(hours=1)
    assert {step.id: step.status for step in run.steps.values()} == {"before": "completed", "s": "cancelled"}
    rt.drain()
    assert calls == ["before"]
    assert rt.get(id) == run


def test_cancelling_does_not_interrupt_a_running_step_and_nothing_comes_after_it(durable, app, flavour, mode):
    calls = []

    def body(ctx):
        yield ctx.step.run("a", calls.append, "a")
        yield ctx.step.run("b", calls.append, "b")
        yield ctx.step.run("c", calls.append, "c")

    rt = durable(app, steps_per_invocation=mode)
    for step in "abc":
        rt.stub(step, takes="10s")
    id = rt.start(flavour.function(app, body)).run_id
    rt.advance("15s")
    assert rt.client.cancel(id) is True
    rt.drain()
    assert rt.get(id).status == "cancelled"
    assert calls == ["a", "b"]
    assert rt.get(id).steps["a"].status == "completed"


def test_cancelling_again_does_nothing(durable, app, flavour):
    rt = durable(app)
    id = rt.start(sleeper(app, flavour)).run_id
    rt.advance("1h")
    assert [rt.client.cancel(id), rt.client.cancel(id)] == [True, False]
    rt.drain()
    assert rt.client.cancel(id) is False
    assert rt.get(id).status == "cancelled"


def test_a_run_that_has_ended_is_not_cancelled(durable, app):
    f = function(app, "f")
    rt = durable(app)
    run = rt.run(f, {"n": 1})
    assert rt.client.cancel(run.run_id) is False
    rt.drain()
    assert rt.get(run.run_id) == run


def test_a_run_that_waits_for_a_retry_is_cancelled(durable, app, flavour, mode):
    calls = []

    def fail():
        calls.append(0)
        raise ValueError("no")

    def body(ctx):
        yield ctx.step.run("x", fail)

    rt = durable(app, steps_per_invocation=mode)
    id = rt.start(flavour.function(app, body, retry=Retry.fixed("10m", 5))).run_id
    rt.advance("15m")
    assert rt.client.cancel(id) is True
    rt.drain()
    assert (rt.get(id).status, calls) == ("cancelled", [0, 0])
    assert rt.get(id).steps["x"].status == "cancelled"


def test_cancelling_stops_parallel_branches(durable, app, flavour, mode):
    calls = []

    def branch(ctx, n):
        yield ctx.step.sleep("s", f"{n}h")
        yield ctx.step.run("x", calls.append, n)

    def body(ctx):
        yield ctx.step.map_group("mg", flavour.code(lambda n: branch(ctx, n)), [1, 2, 3])

    rt = durable(app, steps_per_invocation=mode)
    id = rt.start(flavour.function(app, body)).run_id
    rt.advance("90m")
    assert rt.client.cancel(id) is True
    rt.drain()
    assert (rt.get(id).status, calls) == ("cancelled", [1])


# events that are too large for a bus


@pytest.mark.parametrize("data", [{"text": "x" * 2_000_000}, ["💥" * 500_000], "x" * 4_000_000], ids=type)
def test_an_event_larger_than_the_bus_takes_arrives_whole(durable, app, data):
    seen = []

    @app.function("f", on_event("large"), labels=lambda event: [str(len(str(event.data)))])
    def f(ctx: Context) -> None:
        seen.append(ctx.event.data)

    rt = durable(app)
    rt.send(Event("large", data), Event("small", {}))
    rt.drain()
    (summary,) = rt.runs()
    assert (summary.status, summary.labels) == ("completed", (str(len(str(data))),))
    assert seen == [data]


@pytest.mark.parametrize(
    ("key", "says"),
    [("inbox/" + "0" * 64, "is gone"), ("../secrets", "no key of ours"), (["inbox"], "no key of ours")],
)
def test_an_event_whose_data_is_not_there_is_put_aside(durable, app, key, says):
    function(app, "f", on_event("large"))
    rt = durable(app)
    envelope = {"id": "e", "time": "2025-01-01T00:00:00Z", "key": key}
    rt.deliver(
        {
            "id": "e",
            "detail-type": "large",
            "source": "test",
            "time": "2025-01-01T00:00:00Z",
            "detail": {"lambda_durable": envelope},
        }
    )
    rt.drain()
    (letter,) = rt.dead_letters
    assert says in letter.reason
    assert list(rt.runs()) == []


@pytest.mark.parametrize(
    ("type_", "data"),
    [(None, None), (int | None, None), (Order | None, None), (dict | None, {}), (dict, {}), (object, {})],
    ids=str,
)
def test_a_run_without_data_has_none_where_its_type_takes_that_and_no_empty_dict(durable, app, type_, data):
    seen = []

    def handler(ctx):
        seen.append(ctx.event.data)
        if ctx.run_id == "own" and len(seen) == 1:
            ctx.continue_as_new(None)

    handler.__annotations__["ctx"] = Context[type_]
    started = app.function("f")(handler)
    rt = durable(app)
    for way in (started, "f"):
        run = rt.client.start(way, None)
        rt.drain()
        assert rt.get(run.run_id).status == "completed", rt.get(run.run_id).error
    assert seen == [data, data]

    seen.clear()
    rt.client.start(started, run_id="own")
    rt.drain()
    assert (rt.get("own").status, seen) == ("completed", [data, data])
