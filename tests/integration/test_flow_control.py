"""Flow control: how many runs start, when, and in which order."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from itertools import pairwise

import pytest

from lambda_durable import (
    Concurrency,
    Context,
    Durable,
    Event,
    Idempotency,
    InvokeError,
    Priority,
    RateLimit,
    RunSkippedError,
    Singleton,
    Throttle,
    on_event,
)


@pytest.fixture(params=[1, "all", "auto"])
def app(request):
    return Durable("shop", steps_per_invocation=request.param)


def jobs(rt, *data):
    rt.send(*(Event("job", each) for each in data))


def at_once(runs):
    """The most of some runs that were at work at a time."""
    changes = sorted([(run.started_at, 1) for run in runs] + [(run.ended_at, -1) for run in runs])
    most = now = 0
    for _, change in changes:
        now += change
        most = max(most, now)
    return most


def whole(rt):
    return [rt.get(run.run_id) for run in rt.runs()]


def nothing_is_left(rt):
    items = rt.aws("dynamodb").scan(TableName=rt.client._world.store._table)["Items"]
    left = [item for item in items if item["pk"]["S"].startswith("q#") and "x" not in item]
    assert left == []


def test_as_many_runs_at_once_as_the_limit_and_all_are_served_in_their_order(durable, app):
    @app.function("f", on_event("job"), concurrency=Concurrency(2, counts="runs"))
    def f(ctx: Context[dict]) -> int:
        ctx.step.sleep("nap", "10m")
        return ctx.event.data["n"]

    rt = durable(app)
    for n in range(7):
        jobs(rt, {"n": n})
        rt.advance("1s")
    rt.advance("1m")
    assert Counter(run.status for run in rt.runs()) == {"running": 2, "queued": 5}
    assert {run.status for run in rt.runs(status="queued")} == {"queued"}
    rt.drain()

    runs = whole(rt)
    assert {run.status for run in runs} == {"completed"}
    assert at_once(runs) == 2
    assert [run.output for run in sorted(runs, key=lambda run: run.started_at)] == list(range(7))
    nothing_is_left(rt)


def test_each_value_of_a_key_has_its_own_limit(durable, app):
    @app.function("f", on_event("job"), concurrency=Concurrency(1, key="data.who", counts="runs"))
    def f(ctx: Context[dict]) -> None:
        ctx.step.sleep("nap", "10m")

    rt = durable(app)
    jobs(rt, *({"who": who} for who in "abcab"), {})
    rt.drain()

    runs = whole(rt)
    assert at_once(runs) == 4
    for who in ("a", "b", "c", None):
        assert at_once([run for run in runs if run.event.data.get("who") == who]) == 1
    nothing_is_left(rt)


def test_two_limits_hold_together_and_a_hot_key_starves_no_other(durable, app):
    both = [Concurrency(4, counts="runs"), Concurrency(2, key="data.who", counts="runs")]

    @app.function("f", on_event("job"), concurrency=both)
    def f(ctx: Context[dict]) -> None:
        ctx.step.sleep("nap", "10m")

    rt = durable(app)
    jobs(rt, *({"who": "hot"} for _ in range(12)))
    rt.advance("1s")
    jobs(rt, {"who": "cold"})
    rt.drain()

    runs = whole(rt)
    assert {run.status for run in runs} == {"completed"}
    assert at_once(runs) == 3
    (cold,) = (run for run in runs if run.event.data["who"] == "cold")
    assert cold.started_at - cold.created_at < timedelta(minutes=1)
    nothing_is_left(rt)


def test_who_waits_is_served_by_priority(durable, app):
    @app.function(
        "f",
        on_event("job"),
        concurrency=Concurrency(1, counts="runs"),
        priority=Priority("data.urgent"),
    )
    def f(ctx: Context[dict]) -> str:
        ctx.step.sleep("nap", "10m")
        return ctx.event.data["name"]

    rt = durable(app)
    for name, urgent in [("first", 0), ("late", -600), ("plain", 0), ("urgent", 600), ("odd", "x")]:
        jobs(rt, {"name": name, "urgent": urgent})
        rt.advance("1s")
    rt.drain()

    runs = sorted(whole(rt), key=lambda run: run.started_at)
    assert [run.output for run in runs] == ["first", "urgent", "plain", "odd", "late"]


def test_a_throttle_starts_one_each_interval_and_a_burst_at_once(durable, app):
    @app.function("f", on_event("job"), throttle=Throttle(6, "1m", burst=2))
    def f(ctx: Context[dict]) -> int:
        return ctx.step.run("n", int)

    rt = durable(app)
    jobs(rt, *({"n": n} for n in range(8)))
    rt.drain()

    runs = sorted(whole(rt), key=lambda run: run.started_at)
    assert {run.status for run in runs} == {"completed"}
    starts = [(run.started_at - runs[0].started_at).total_seconds() for run in runs]
    assert [round(start) for start in starts] == [0, 0, 0, 10, 20, 30, 40, 50]
    assert rt.invocations < 60


def gate(rt):
    """The item of the one that there is."""
    items = rt.aws("dynamodb").scan(TableName="lambda-durable")["Items"]
    (found,) = [item for item in items if item["pk"]["S"].startswith("q#") and item["sk"]["S"] == "!"]
    return found


def test_the_wake_of_a_throttle_that_nobody_waits_for_any_more_is_forgotten(durable, app):
    """Who comes next, by a clock that is a little behind, would wait for that wake, which has been."""

    @app.function("f", throttle=Throttle(1, "1m"))
    def f(ctx: Context) -> None: ...

    rt = durable(app)
    rt.run(f)
    left = rt.start(f)
    rt.advance("1s")
    assert "k" in gate(rt)
    rt.client.cancel(left.run_id)
    rt.drain()
    assert "k" not in gate(rt)
    assert "x" in gate(rt)


def test_a_long_throttle_waits_with_schedules(durable, app):
    @app.function("f", on_event("job"), throttle=Throttle(1, "1d"))
    def f(ctx: Context[dict]) -> None:
        pass

    rt = durable(app)
    jobs(rt, *({"n": n} for n in range(3)))
    rt.drain()
    starts = sorted(run.started_at for run in whole(rt))
    assert [(start - starts[0]).days for start in starts] == [0, 1, 2]
    assert rt.invocations < 20


def test_a_rate_limit_drops_what_is_too_much(durable, app):
    @app.function("f", on_event("job"), rate_limit=RateLimit(2, "1h", key="data.who"))
    def f(ctx: Context[dict]) -> int:
        return ctx.event.data["n"]

    rt = durable(app)
    for n in range(4):
        jobs(rt, {"who": "a", "n": n})
        rt.advance("1s")
    jobs(rt, {"who": "b", "n": 9})
    rt.advance("30m")
    jobs(rt, {"who": "a", "n": 4})
    rt.drain()

    by = {run.event.data["n"]: run for run in whole(rt)}
    assert {n: run.status for n, run in by.items()} == {
        0: "completed",
        1: "completed",
        2: "skipped",
        3: "skipped",
        9: "completed",
        4: "completed",
    }
    assert by[2].skipped_reason == "rate_limit"
    assert by[2].started_at is None
    with pytest.raises(RunSkippedError, match="rate_limit"):
        rt.client.result(by[2].run_id, timeout="1s")


def test_a_singleton_skips_the_second(durable, app):
    @app.function("f", on_event("job"), singleton=Singleton(key="data.who"))
    def f(ctx: Context[dict]) -> None:
        ctx.step.sleep("nap", "1h")

    rt = durable(app)
    for who in "aab":
        jobs(rt, {"who": who})
    rt.advance("2h")
    jobs(rt, {"who": "a"})
    rt.drain()
    assert Counter((run.event.data["who"], run.status) for run in whole(rt)) == {
        ("a", "completed"): 2,
        ("a", "skipped"): 1,
        ("b", "completed"): 1,
    }
    nothing_is_left(rt)


def test_a_singleton_cancels_the_first_and_starts_after_its_undo(durable, app):
    ledger = []

    @app.function("f", on_event("job"), singleton=Singleton(mode="cancel"))
    def f(ctx: Context[dict]) -> int:
        n = ctx.event.data["n"]
        ctx.step.options(undo=lambda _: ledger.append(f"-{n}")).run("book", ledger.append, f"+{n}")
        ctx.step.sleep("nap", "1h")
        return n

    rt = durable(app)
    for n in range(4):
        jobs(rt, {"n": n})
        rt.advance("10s")
    rt.drain()
    runs = sorted(whole(rt), key=lambda run: run.event.data["n"])
    assert [run.status for run in runs] == ["cancelled"] * 3 + ["completed"]
    assert ledger == ["+0", "-0", "+1", "-1", "+2", "-2", "+3"]
    nothing_is_left(rt)


def test_in_a_burst_a_singleton_runs_the_last_alone(durable, app):
    @app.function("f", on_event("job"), singleton=Singleton(mode="cancel"))
    def f(ctx: Context[dict]) -> int:
        ctx.step.sleep("nap", "1h")
        return ctx.event.data["n"]

    rt = durable(app)
    jobs(rt, *({"n": n} for n in range(6)))
    rt.drain()
    assert Counter(run.status for run in rt.runs()) == {"cancelled": 5, "completed": 1}
    nothing_is_left(rt)


def test_an_idempotency_key_names_the_first_run(durable, app):
    @app.function("f", on_event("job"), idempotency=Idempotency("data.order", ttl="1h"))
    def f(ctx: Context[dict]) -> str:
        return ctx.event.data["order"]

    rt = durable(app)
    first = rt.start(f, {"order": "x"})
    rt.advance("10m")
    second = rt.start(f, {"order": "x"})
    other = rt.start(f, {"order": "y"})
    rt.advance("2h")
    third = rt.start(f, {"order": "x"})
    rt.drain()

    assert [rt.get(run.run_id).status for run in (first, other, third)] == ["completed"] * 3
    skipped = rt.get(second.run_id)
    assert (skipped.status, skipped.skipped_reason) == ("skipped", "idempotency")
    assert skipped.duplicate_of == first.run_id


def test_a_queued_run_can_be_cancelled_and_the_next_is_served(durable, app):
    @app.function("f", on_event("job"), concurrency=Concurrency(1, counts="runs"))
    def f(ctx: Context[dict]) -> None:
        ctx.step.sleep("nap", "10m")

    rt = durable(app)
    runs = []
    for _ in range(3):
        runs.append(rt.start(f, {}))
        rt.advance("1s")
    assert rt.client.cancel(runs[1].run_id)
    rt.advance("1m")
    assert rt.get(runs[1].run_id).status == "cancelled"
    rt.drain()
    assert [rt.get(run.run_id).status for run in runs] == ["completed", "cancelled", "completed"]
    nothing_is_left(rt)


@pytest.mark.parametrize(
    ("id", "key"),
    [("a", "data.missing"), ("b", "event.data.n / 0 == 1"), ("c", "event.data.missing.deeper == 1")],
)
def test_events_without_the_key_share_a_limit_of_their_own_and_the_log_says_so_once(durable, caplog, id, key):
    app = Durable("shop")

    @app.function(f"without-{id}", on_event("job"), concurrency=Concurrency(1, key=key, counts="runs"))
    def f(ctx: Context[dict]) -> None:
        ctx.step.sleep("nap", "1m")

    rt = durable(app)
    jobs(rt, *({"n": n} for n in range(3)))
    rt.drain()
    assert at_once(whole(rt)) == 1
    assert {run.status for run in rt.runs()} == {"completed"}
    assert len([record for record in caplog.records if "without a key" in record.message]) == 1


@pytest.mark.parametrize("counts", ["steps", "runs"])
def test_a_key_may_be_of_any_size(durable, counts):
    app = Durable("shop")

    @app.function("f", on_event("job"), concurrency=Concurrency(1, key="data", counts=counts))
    def f(ctx: Context) -> None:
        ctx.step.run("work", int)

    rt = durable(app)
    rt.stub("work", takes="10s")
    jobs(rt, "x" * 10_000, "x" * 10_000, "y" + "x" * 9_999, {"any": ["thing", None, 1.5]})
    rt.drain()
    assert [run.status for run in rt.runs()] == ["completed"] * 4


def test_a_priority_that_fails_is_none(durable, caplog):
    app = Durable("shop")
    order = []

    @app.function(
        "told-once-of-priority",  # what others have not been told of in this process
        on_event("job"),
        concurrency=Concurrency(1, counts="runs"),
        priority=Priority("data.urgent"),
    )
    def f(ctx: Context[dict]) -> None:
        ctx.step.run("work", order.append, ctx.event.data["n"])
        ctx.step.sleep("nap", "1m")

    rt = durable(app)
    for n, urgent in enumerate([0, "very", None, -1e300, True, 1e300]):
        jobs(rt, {"n": n, "urgent": urgent})
        rt.advance("1s")
    rt.drain()
    assert order == [0, 5, 1, 2, 4, 3]
    assert len([record for record in caplog.records if "priority" in record.message]) >= 1


def test_what_fails_on_every_event_is_told_once_whatever_the_errors_say(durable, caplog):
    app = Durable("shop")

    def who(event):
        raise ValueError(f"no customer in {event.data['n']}")

    @app.function(
        "told-once",
        on_event("job"),
        concurrency=Concurrency(1, key=who),
        priority=Priority(lambda event: int(f"urgent-{event.data['n']}")),
    )
    def f(ctx: Context[dict]) -> None:
        ctx.step.run("work", str)

    rt = durable(app)
    jobs(rt, *({"n": n} for n in range(5)))
    rt.drain()
    assert {run.status for run in rt.runs()} == {"completed"}
    told = [record.getMessage() for record in caplog.records if "told-once" in record.getMessage()]
    assert len([each for each in told if "Concurrency(key=) failed on an event" in each]) == 1
    assert len([each for each in told if "its priority failed, and is 0: " in each]) == 1
    assert len(told) == 2


@pytest.mark.parametrize("grouped", [False, True])
def test_an_invoke_of_what_is_dropped_raises_that_as_a_kind_of_invoke_error(durable, app, grouped):
    @app.function("child", singleton=Singleton())
    def child(ctx: Context[int]) -> None:
        ctx.step.sleep("nap", "1h")

    @app.function("parent")
    def parent(ctx: Context[None]) -> list[str]:
        try:
            if grouped:
                ctx.step.group("g", lambda: ctx.step.invoke("call", child, 1))
            else:
                ctx.step.invoke("call", child, 1)
        except InvokeError as error:
            assert isinstance(error, RunSkippedError)
            return [error.error_type, error.message]
        return []

    rt = durable(app)
    rt.start(child, 0)
    rt.advance("1s")
    run = rt.start(parent)
    rt.advance("1m")
    kind, message = rt.get(run.run_id).output
    assert kind == "lambda_durable.errors.RunSkippedError"
    assert message.endswith("of function 'child' was skipped: singleton")
    assert rt.runs("parent")


@pytest.mark.parametrize("counts", ["steps", "runs"])
def test_two_limits_of_the_app_whose_keys_have_one_value_are_the_lower_of_them(durable, counts):
    app = Durable("shop")
    both = [Concurrency(limit, key, "app", counts) for limit, key in [(3, "data.to"), (1, "data.by")]]

    @app.function("f", on_event("job"), concurrency=both)
    def f(ctx: Context[dict]) -> None:
        ctx.step.run("work", int)

    rt = durable(app)
    rt.stub("work", takes="10s")
    jobs(rt, *[{"to": "x", "by": "x"}, {}] * 2)
    rt.drain()
    runs = whole(rt)
    assert [run.status for run in runs] == ["completed"] * 4
    if counts == "runs":
        assert at_once([run for run in runs if run.event.data]) == 1
    nothing_is_left(rt)


def deployed(durable, before, after, *, pauses):
    """The whole seconds at which nine runs began, of whom those that wait see a deploy."""

    def app_of(limits):
        app = Durable("shop")

        @app.function("f", on_event("job"), **limits)
        def f(ctx: Context[dict]) -> None:
            ctx.step.sleep("nap", "10m")

        return app

    rt = durable(app_of(before))
    jobs(rt, *({"n": n, "who": "a"} for n in range(9)))
    rt.advance("3s")
    if pauses:
        rt.client.pause("f")
        rt.advance("30s")
    rt.deploy(app_of(after))
    if pauses:
        rt.client.resume("f")
    rt.drain()
    assert not rt.dead_letters
    nothing_is_left(rt)
    starts = sorted(run.started_at for run in whole(rt))
    return [round((start - starts[0]).total_seconds()) for start in starts]


TWO_AT_ONCE, TO_THE_KEY = Concurrency(2, counts="runs"), Concurrency(2, key="data.who", counts="runs")
PACED = Throttle(6, "1m")


@pytest.mark.parametrize("pauses", [False, True])
@pytest.mark.parametrize(
    "added", [{"idempotency": Idempotency("data.n")}, {"rate_limit": RateLimit(1, "1d")}]
)
def test_a_deploy_that_adds_a_limit_drops_nobody_who_waits_already(durable, added, pauses):
    before = {"concurrency": TWO_AT_ONCE, "throttle": PACED}
    starts = deployed(durable, before, before | added, pauses=pauses)
    assert starts[2::2] == [600, 1200, 1800, 2400]


@pytest.mark.parametrize("pauses", [False, True])
def test_a_deploy_that_takes_a_limit_away_leaves_the_others_as_they_are(durable, pauses):
    before = {"concurrency": Concurrency(20, counts="runs"), "throttle": PACED}
    starts = deployed(durable, before, {"throttle": PACED}, pauses=pauses)
    assert all(later - sooner >= 10 for sooner, later in pairwise(starts))


@pytest.mark.parametrize("pauses", [False, True])
@pytest.mark.parametrize(
    ("after", "ends"),
    [({}, 600), ({"concurrency": TO_THE_KEY}, 2400), ({"concurrency": [TO_THE_KEY, TWO_AT_ONCE]}, 2400)],
)
def test_who_waits_at_a_limit_that_a_deploy_takes_away_goes_on(durable, after, ends, pauses):
    starts = deployed(durable, {"concurrency": TWO_AT_ONCE}, after, pauses=pauses)
    assert starts[-1] == ends


def test_a_place_that_could_not_be_given_up_is_given_up_later(durable, app, monkeypatch):
    @app.function("f", on_event("job"), concurrency=Concurrency(1, counts="runs"))
    def f(ctx: Context[dict]) -> None:
        ctx.step.sleep("nap", "10m")

    rt = durable(app)
    runs = []
    for _ in range(3):
        runs.append(rt.start(f, {}))
        rt.advance("1s")
    client, refused = rt.aws("dynamodb"), []
    made = client._make_api_call

    def crowded(operation, params):
        if operation == "TransactWriteItems" and len(refused) < 5:
            refused.append(params)
            reasons = [{"Code": "TransactionConflict"}, {"Code": "None"}]
            answer = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}
            raise client.exceptions.TransactionCanceledException(answer, operation)
        return made(operation, params)

    monkeypatch.setattr(client, "_make_api_call", crowded)
    assert rt.client.cancel(runs[1].run_id)
    rt.advance("25m")
    assert [rt.get(run.run_id).status for run in runs] == ["completed", "cancelled", "completed"]
    assert len(refused) == 5
    nothing_is_left(rt)


def test_a_pace_that_is_no_whole_number_of_milliseconds_is_never_faster(durable):
    app = Durable("shop")

    @app.function("f", on_event("job"), throttle=Throttle(7, "1s"))
    def f(ctx: Context[dict]) -> None: ...

    rt = durable(app)
    jobs(rt, *({"n": n} for n in range(50)))
    rt.drain()
    starts = sorted(run.started_at for run in whole(rt))
    assert starts[-1] - starts[0] >= timedelta(seconds=49 / 7)


def test_an_event_without_the_key_and_one_on_which_it_fails_share_their_limit(durable):
    app = Durable("shop")
    for id, key in ("missing", "data.missing"), ("fails", "event.data.n / 0 == 1"):

        @app.function(id, on_event("job"), concurrency=Concurrency(1, key=key, scope="app", counts="runs"))
        def f(ctx: Context[dict]) -> None:
            ctx.step.sleep("nap", "1m")

    rt = durable(app)
    jobs(rt, {"n": 1}, {"n": 2})
    rt.drain()
    assert at_once(whole(rt)) == 1


@pytest.mark.parametrize("counts", ["steps", "runs"])
def test_limits_that_a_deploy_writes_in_another_order_are_the_same(durable, counts):
    def app_of(*limits):
        app = Durable("shop")

        @app.function("f", on_event("job"), concurrency=limits)
        def f(ctx: Context[dict]) -> None:
            ctx.step.run("work", int)

        return app

    one, other = Concurrency(1, key="data.a", counts=counts), Concurrency(9, key="data.b", counts=counts)
    rt = durable(app_of(one, other))
    rt.stub("work", takes="10s")
    jobs(rt, *({"a": "x", "b": n} for n in range(3)))
    rt.advance("5s")
    rt.deploy(app_of(other, one))
    jobs(rt, *({"a": "x", "b": n} for n in range(3)))
    rt.drain()
    assert at_once([run.steps["work"] for run in whole(rt)]) == 1
