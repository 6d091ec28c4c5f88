"""Debounce and batch: one run for many events."""

from __future__ import annotations

import base64
import logging
from collections import Counter
from datetime import timedelta

import pytest
from pydantic import BaseModel

from lambda_durable import (
    AsyncContext,
    Batch,
    Concurrency,
    ConfigurationError,
    Context,
    Debounce,
    Durable,
    Event,
    Failure,
    Middleware,
    NonRetriableError,
    RateLimit,
    Singleton,
    Throttle,
    cron,
    on_event,
)
from lambda_durable.runtime import limits
from lambda_durable.testing import LocalRuntime


@pytest.fixture(params=[1, "all", "auto"])
def app(request):
    return Durable("shop", steps_per_invocation=request.param)


class Change(BaseModel):
    who: str
    n: int


def numbers(ctx):
    return [event.data["n"] for event in ctx.events]


def collects(app, *, is_async=False, **flow):
    """A function whose output is the numbers of its events."""
    if is_async:

        @app.function("f", on_event("job"), **flow)
        async def f(ctx: AsyncContext[dict]) -> list[int]:
            return await ctx.step.run("numbers", numbers, ctx)
    else:

        @app.function("f", on_event("job"), **flow)
        def f(ctx: Context[dict]) -> list[int]:
            return ctx.step.run("numbers", numbers, ctx)

    return f


def send(rt, *data, **fields):
    rt.send(*(Event("job", each, **fields) for each in data))


def outputs(rt):
    """What the runs returned, in the order in which they began."""
    runs = [rt.get(run.run_id) for run in rt.runs()]
    assert {run.status for run in runs} <= {"completed"}, [run.error for run in runs]
    return [run.output for run in sorted(runs, key=lambda run: run.created_at)]


# Debounce


@pytest.mark.parametrize("is_async", [False, True])
def test_a_burst_runs_once_with_its_last_event_and_then_another_may_begin(durable, app, is_async):
    collects(app, debounce=Debounce("30s"), is_async=is_async)
    rt = durable(app)
    for n in range(5):
        send(rt, {"n": n})
        rt.advance("20s")
    assert list(rt.runs()) == []
    rt.advance("10s")
    assert outputs(rt) == [[4]]

    send(rt, {"n": 5})
    rt.drain()
    assert outputs(rt) == [[4], [5]]


def test_events_of_one_moment_are_one_burst(durable, app):
    collects(app, debounce=Debounce("1s"))
    rt = durable(app)
    send(rt, *({"n": n} for n in range(9)))
    rt.drain()
    assert len(outputs(rt)) == 1


def test_a_timeout_caps_how_long_a_start_is_put_off(durable, app):
    collects(app, debounce=Debounce("30s", timeout="1m"))
    rt = durable(app)
    began = rt.now()
    for n in range(9):
        send(rt, {"n": n})
        rt.advance("9s")
    (run,) = rt.runs()
    assert run.created_at == began + timedelta(minutes=1)
    assert outputs(rt) == [[6]]
    rt.drain()
    assert outputs(rt) == [[6], [8]]


def test_each_value_of_a_key_is_a_burst_of_its_own(durable, app):
    collects(app, debounce=Debounce("30s", key="data.who"))
    rt = durable(app)
    send(rt, {"who": "a", "n": 1}, {"who": "b", "n": 2})
    rt.advance("20s")
    send(rt, {"who": "a", "n": 3})
    rt.drain()
    assert outputs(rt) == [[2], [3]]


def test_a_start_that_is_put_off_for_a_year_is_not_forgotten(durable, app):
    collects(app, debounce=Debounce("50d"))
    rt = durable(app)
    for n in range(7):
        send(rt, {"n": n, "much": "x" * 40_000})
        rt.advance("49d")
    (waits,) = of_collectors(rt)
    assert int(waits["x"]["N"]) > (rt.now() + timedelta(days=30)).timestamp()
    rt.drain()
    assert outputs(rt) == [[6]]
    assert rt.invocations < 40


def of_collectors(rt):
    items = rt.aws("dynamodb").scan(TableName="lambda-durable")["Items"]
    return [item for item in items if item["pk"]["S"].startswith("d#")]


def test_a_burst_has_one_wake_on_its_way_however_many_events_come(durable):
    app = Durable("shop")
    collects(app, debounce=Debounce("2h"))
    rt = durable(app)
    before = rt.calls["scheduler:CreateSchedule"]
    for _ in range(100):
        send(rt, {"n": 1})
        rt.advance("1m")
    rt.drain()
    assert len(outputs(rt)) == 1
    assert rt.calls["scheduler:CreateSchedule"] - before <= 3


# Batch


@pytest.mark.parametrize("is_async", [False, True])
def test_a_batch_that_is_full_starts_at_once_and_the_rest_when_its_time_is_over(durable, app, is_async):
    collects(app, batch=Batch(3, "1m"), is_async=is_async)
    rt = durable(app)
    for n in range(8):
        send(rt, {"n": n})
        rt.advance("1s")
    assert outputs(rt) == [[0, 1, 2], [3, 4, 5]]
    rt.advance("50s")
    assert len(outputs(rt)) == 2
    rt.advance("10s")
    assert outputs(rt) == [[0, 1, 2], [3, 4, 5], [6, 7]]


def test_each_value_of_a_key_has_batches_of_its_own(durable, app):
    collects(app, batch=Batch(2, "1m", key="data.who"))
    rt = durable(app)
    send(rt, *({"who": who, "n": n} for n, who in enumerate("abacab")))
    rt.drain()
    assert Counter(len(output) for output in outputs(rt)) == {2: 2, 1: 2}
    for run in rt.runs():
        assert len({event.data["who"] for event in rt.get(run.run_id).events}) == 1


def test_the_same_event_twice_is_in_a_batch_once(durable, app):
    collects(app, batch=Batch(3, "1m"))
    rt = durable(app)
    for n in (1, 1, 2, 1, 3, 2):
        send(rt, {"n": n}, id=f"e{n}")
        rt.advance("1s")
    rt.advance("10m")
    send(rt, {"n": 1}, id="e1")
    rt.drain()
    assert outputs(rt) == [[1, 2, 3]]


def test_a_batch_of_hundreds_of_events_is_one_run(durable):
    app = Durable("shop", steps_per_invocation="all")
    collects(app, batch=Batch(400, "1h"))
    rt = durable(app)
    send(rt, *({"n": n, "text": "x" * 3_000} for n in range(400)))
    rt.advance("1m")
    (output,) = outputs(rt)
    assert sorted(output) == list(range(400))


def test_a_batch_has_no_more_bytes_than_an_event_may_have(durable):
    app = Durable("shop", max_output=100_000)
    collects(app, batch=Batch(50, "1m"))
    rt = durable(app)
    send(rt, *({"n": n, "text": "x" * 40_000} for n in range(5)), {"n": 9, "text": "x" * 99_000})
    rt.drain()
    assert sorted(map(len, outputs(rt))) == [1, 1, 2, 2]
    assert sorted(n for output in outputs(rt) for n in output) == [0, 1, 2, 3, 4, 9]


def test_a_batch_waits_for_months(durable, app):
    collects(app, batch=Batch(9, "300d"))
    rt = durable(app)
    for n in range(3):
        send(rt, {"n": n, "much": "x" * 40_000})
        rt.advance("60d")
    rt.drain()
    assert outputs(rt) == [[0, 1, 2]]
    assert rt.invocations < 20


def test_a_full_batch_is_not_run_again_when_its_time_would_be_over(durable, app):
    collects(app, batch=Batch(2, "300d"))
    rt = durable(app)
    send(rt, {"n": 1}, {"n": 2})
    rt.advance("200d")
    for item in rt.aws("dynamodb").scan(TableName="lambda-durable")["Items"]:
        if "x" in item and int(item["x"]["N"]) < rt.now().timestamp():  # as DynamoDB does
            rt.aws("dynamodb").delete_item(
                TableName="lambda-durable", Key={"pk": item["pk"], "sk": item["sk"]}
            )
    rt.drain()
    assert list(rt.runs()) == []


def test_a_model_has_each_event_of_a_batch_and_says_which_it_refuses(durable, app):
    @app.function("f", on_event("job", Change), batch=Batch(3, "1m"))
    def f(ctx: Context[Change]) -> list[str]:
        assert ctx.event is ctx.events[0]
        return [event.data.who for event in ctx.events]

    failures = []

    @f.on_failure
    def failed(ctx: Context[Failure[Change]]) -> None:
        failure = ctx.event.data
        failures.append((failure.event.data.n, [event.id for event in failure.events]))

    rt = durable(app)
    for n in range(6):
        send(rt, {"who": "abcdef"[n], "n": "no number" if n == 4 else n}, id=f"e{n}")
        rt.advance("1s")
    rt.drain()
    runs = sorted((rt.get(run.run_id) for run in rt.runs("f")), key=lambda run: run.created_at)
    assert [run.status for run in runs] == ["completed", "failed"]
    assert runs[0].output == ["a", "b", "c"]
    assert "2 of the 3 of its batch: event 'job' (e4) does not fit" in runs[1].error.message
    assert runs[1].event.id == "e3"
    assert [event.id for event in runs[1].events] == ["e3", "e4", "e5"]
    assert failures[-1] == (3, ["e3", "e4", "e5"])


def test_a_batch_fails_and_is_undone_as_any_run(durable, app):
    ledger = []

    @app.function("f", on_event("job"), batch=Batch(2, "1m"))
    def f(ctx: Context[dict]) -> None:
        for event in ctx.events:
            n = event.data["n"]
            step = ctx.step.options(undo=lambda _, n=n: ledger.append(-n))
            step.run(f"book-{n}", ledger.append, n)
        raise NonRetriableError("no")

    rt = durable(app)
    send(rt, {"n": 1})
    rt.advance("1s")
    send(rt, {"n": 2})
    rt.drain()
    assert ledger == [1, 2, -2, -1]


def test_a_batch_that_continues_as_new_has_the_one_event_it_was_given(durable, app):
    @app.function("f", on_event("job"), batch=Batch(2, "1m"))
    def f(ctx: Context[dict]) -> list[int]:
        if len(ctx.events) == 2:
            ctx.continue_as_new({"n": sum(numbers(ctx))})
        return numbers(ctx)

    rt = durable(app)
    send(rt, {"n": 1}, {"n": 2})
    rt.drain()
    assert outputs(rt) == [[3]]


def test_what_is_encrypted_is_so_in_collectors(durable):
    class Base64(Middleware):
        name = "b64"

        def encode(self, text, place):
            return base64.b64encode(text.encode()).decode()

        def decode(self, text, place):
            return base64.b64decode(text).decode()

    app = Durable("shop", middleware=Base64())
    collects(app, batch=Batch(3, "1m"))

    @app.function("g", on_event("job"), debounce=Debounce("30s"))
    def g(ctx: Context[dict]) -> int:
        return ctx.event.data["n"]

    rt = durable(app)
    send(rt, {"n": 1, "secret": "hush"}, {"n": 2, "secret": "hush"})
    rt.advance("10s")
    assert len(of_collectors(rt)) == 4
    assert "hush" not in str(of_collectors(rt))
    rt.drain()
    assert {run.status for run in rt.runs()} == {"completed"}


# Both


BOTH = {"debounce": Debounce("1m"), "batch": Batch(5, "1m")}


@pytest.mark.parametrize("kind", BOTH)
def test_a_direct_start_is_not_collected(durable, app, kind):
    f = collects(app, **{kind: BOTH[kind]})
    rt = durable(app)
    run = rt.start(f, {"n": 7})
    rt.advance("1s")
    assert rt.get(run.run_id).output == [7]


@pytest.mark.parametrize("kind", BOTH)
def test_every_function_that_wants_an_event_collects_it_by_itself(durable, app, kind):
    collects(app, **{kind: BOTH[kind]})

    @app.function("g", on_event("job"), batch=Batch(1, "1m"))
    def g(ctx: Context[dict]) -> list[int]:
        return numbers(ctx)

    @app.function("h", on_event("job"))
    def h(ctx: Context[dict]) -> list[int]:
        return numbers(ctx)

    rt = durable(app)
    send(rt, {"n": 1})
    rt.advance("1s")
    assert Counter(run.function_id for run in rt.runs()) == {"g": 1, "h": 1}
    rt.drain()
    assert outputs(rt) == [[1]] * 3


@pytest.mark.parametrize("kind", BOTH)
def test_an_event_whose_time_is_to_come_is_collected_then(durable, app, kind):
    collects(app, **{kind: BOTH[kind]})
    rt = durable(app)
    later = rt.now() + timedelta(days=60)
    send(rt, {"n": 1, "much": "x" * 50_000}, time=later)
    send(rt, {"n": 2})
    rt.advance("2m")
    assert outputs(rt) == [[2]]
    rt.advance("59d")
    assert len(outputs(rt)) == 1
    rt.drain()
    assert outputs(rt) == [[2], [1]]
    (_, run) = sorted(rt.runs(), key=lambda run: run.created_at)
    assert run.created_at == later + timedelta(minutes=1)


@pytest.mark.parametrize("kind", ["debounce", "batch"])
def test_what_a_schedule_starts_is_collected(durable, app, kind):
    flow = {"debounce": Debounce("90s"), "batch": Batch(3, "1d")}[kind]

    @app.function("f", cron("* 8 * * *", jitter="10s"), **{kind: flow})
    def f(ctx: Context[dict]) -> int:
        return len(ctx.events)

    rt = durable(app)
    rt.advance("8h5m30s")
    rt.drain()
    assert outputs(rt) == ([1] if kind == "debounce" else [3, 3])


@pytest.mark.parametrize("kind", BOTH)
def test_a_missing_key_is_a_group_of_its_own_and_logged_once(durable, kind, caplog):
    limits._told.clear()
    app, flow = Durable("shop"), BOTH[kind]
    collects(app, **{kind: type(flow)(**{**of(flow), "key": "data.who"})})
    rt = durable(app)
    send(rt, {"n": 1}, {"n": 2}, {"who": None, "n": 3}, {"who": "x" * 10_000, "n": 4})
    rt.drain()
    assert sorted(map(len, outputs(rt))) == ([1, 1, 1] if kind == "debounce" else [1, 1, 2])
    assert caplog.text.count("an event has nothing there") == 1


@pytest.mark.parametrize("kind", BOTH)
def test_a_key_that_fails_is_a_group_of_its_own(durable, kind, caplog):
    app, flow = Durable("shop"), BOTH[kind]
    collects(app, **{kind: type(flow)(**{**of(flow), "key": lambda event: 1 / event.data["n"]})})
    rt = durable(app)
    with caplog.at_level(logging.WARNING):
        send(rt, {"n": 0}, {"n": 1})
        rt.drain()
    assert sorted(outputs(rt)) == [[0], [1]]
    assert "failed on an event" in caplog.text


def of(flow):
    if isinstance(flow, Debounce):
        return {"period": flow.period, "timeout": flow.timeout}
    return {"max_size": flow.max_size, "timeout": flow.timeout}


@pytest.mark.parametrize("kind", BOTH)
def test_other_limits_hold_for_the_run(durable, app, kind):
    flow = {"debounce": Debounce("1s", key="data.n"), "batch": Batch(1, "1m")}[kind]
    collects(app, **{kind: flow}, throttle=Throttle(1, "1m"), concurrency=Concurrency(1, counts="runs"))
    rt = durable(app)
    send(rt, *({"n": n} for n in range(3)))
    rt.drain()
    started = sorted(rt.get(run.run_id).started_at for run in rt.runs())
    assert [round((each - started[0]).total_seconds()) for each in started] == [0, 60, 120]


@pytest.mark.parametrize("kind", BOTH)
def test_a_deploy_that_ends_collecting_loses_nothing(durable, app, kind):
    collects(app, **{kind: BOTH[kind]})
    rt = durable(app)
    send(rt, {"n": 1})
    send(rt, {"n": 2}, time=rt.now() + timedelta(hours=1))
    rt.advance("1s")
    new = Durable("shop")
    collects(new)
    rt.deploy(new)
    send(rt, {"n": 3})
    rt.drain()
    assert outputs(rt) == [[3], [1], [2]]


def test_limits_of_single_events_contradict_a_batch():
    for other in ({"rate_limit": RateLimit(1, "1m")}, {"singleton": Singleton()}, BOTH):
        with pytest.raises(ConfigurationError, match="contradict"):
            collects(Durable("shop"), **{"batch": Batch(2, "1m"), **other})


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Debounce("0s"), "a second to 366 days"),
        (lambda: Debounce(5), "duration"),
        (lambda: Debounce("400d"), "366 days"),
        (lambda: Debounce("1m", timeout="30s"), "no less than the period"),
        (lambda: Debounce("1m", key="size("), "key"),
        (lambda: Batch(0, "1m"), "1 to 1000"),
        (lambda: Batch(1_001, "1m"), "1 to 1000"),
        (lambda: Batch(2.5, "1m"), "integer"),
        (lambda: Batch(2, "-1s"), "timeout"),
    ],
)
def test_bad_settings_say_what_is_wrong(make, match):
    with pytest.raises(ConfigurationError, match=match):
        make()


def test_without_a_batch_there_is_one_event(durable, app):
    f = collects(app)
    rt = durable(app)
    assert rt.run(f, {"n": 1}).output == [1]
    (run,) = rt.runs()
    assert rt.get(run.run_id).events == (rt.get(run.run_id).event,)


def test_a_wake_that_was_lost_is_sent_again_by_who_comes_later():
    app = Durable("shop")
    collects(app, debounce=Debounce("1m"))
    rt = LocalRuntime(app)
    send(rt, {"n": 1})
    rt.advance("1s")
    rt._queue._simulation.run_until(rt.now())
    lost = rt._queue._deliver
    rt._queue._deliver = lambda delivery, done: done(None)  # somebody purges the queue
    rt.advance("1h")
    rt._queue._deliver = lost
    send(rt, {"n": 2})
    rt.drain()
    assert outputs(rt) == [[2]]
