"""Pausing a function or a run, and going on."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from itertools import islice

import pytest

from lambda_durable import (
    Batch,
    Concurrency,
    ConfigurationError,
    Context,
    Debounce,
    Durable,
    Event,
    RunNotFoundError,
    Timeouts,
    every,
    on_event,
)
from lambda_durable.testing import crash_everywhere


@pytest.fixture(params=[1, "all", "auto"])
def app(request):
    return Durable("shop", steps_per_invocation=request.param)


def whole(rt):
    return sorted((rt.get(run.run_id) for run in rt.runs()), key=lambda run: run.created_at)


def kept(rt):
    items = rt.aws("dynamodb").scan(TableName=rt.client._world.store._table)["Items"]
    return [item for item in items if item["pk"]["S"].startswith("z#") or ":held" in item["pk"]["S"]]


# a run


def test_a_paused_run_begins_no_step_until_it_is_resumed(durable, app):
    began = []

    @app.function("f")
    def f(ctx: Context[dict]) -> int:
        for n in range(4):
            ctx.step.run(f"s{n}", began.append, n)
            ctx.step.sleep(f"nap{n}", "1m")
        return len(began)

    rt = durable(app)
    run = rt.start(f)
    rt.advance("90s")
    assert began == [0, 1]
    assert rt.client.pause_run(run.run_id)
    assert not rt.client.pause_run(run.run_id)
    assert rt.get(run.run_id).paused
    rt.advance("30d")
    assert began == [0, 1]
    assert rt.get(run.run_id).status == "running"
    assert rt.client.resume_run(run.run_id)
    assert not rt.client.resume_run(run.run_id)
    assert not rt.get(run.run_id).paused
    resumed = rt.now()
    rt.drain()
    run = rt.get(run.run_id)
    assert (run.status, run.output, began) == ("completed", 4, [0, 1, 2, 3])
    assert run.ended_at - resumed < timedelta(minutes=4)
    assert kept(rt) == []


def test_a_step_that_runs_ends_and_the_next_waits(durable, app):
    @app.function("f")
    def f(ctx: Context[dict]) -> str:
        ctx.step.run("long", str)
        return ctx.step.run("next", str)

    rt = durable(app)
    rt.stub("long", takes="30s")
    run = rt.start(f)
    rt.advance("10s")
    assert rt.client.pause_run(run.run_id)
    rt.advance("1h")
    steps = rt.get(run.run_id).steps
    assert {id: step.status for id, step in steps.items()} == {"long": "completed"}
    assert steps["long"].attempts == 1
    rt.client.resume_run(run.run_id)
    rt.drain()
    assert rt.get(run.run_id).status == "completed"
    assert rt.get(run.run_id).steps["long"].attempts == 1


def test_branches_stop_and_go_on(durable, app):
    began = Counter()

    @app.function("f")
    def f(ctx: Context[dict]) -> list:
        def branch(n):
            ctx.step.run("a", began.update, [f"a{n}"])
            ctx.step.sleep("nap", "1m")
            ctx.step.run("b", began.update, [f"b{n}"])
            return n

        return ctx.step.map_group("m", branch, range(5), max_concurrency=3)

    rt = durable(app)
    run = rt.start(f)
    rt.advance("30s")
    assert began == {"a0": 1, "a1": 1, "a2": 1}
    rt.client.pause_run(run.run_id)
    rt.advance("1d")
    assert sum(began.values()) == 3
    rt.client.resume_run(run.run_id)
    rt.drain()
    assert rt.get(run.run_id).output == list(range(5))
    assert set(began.values()) == {1}
    assert kept(rt) == []


def test_time_goes_on_for_what_waits_in_a_paused_run(durable, app):
    @app.function("f")
    def f(ctx: Context[dict]) -> list:
        first = ctx.step.wait_for_event("one", "one", timeout="1h")
        second = ctx.step.wait_for_event("two", "two", timeout="1h")
        return [first and first.name, second and second.name]

    rt = durable(app)
    run = rt.start(f)
    rt.advance("1m")
    rt.client.pause_run(run.run_id)
    rt.advance("2h")
    rt.send(Event("one"))  # too late
    rt.advance("1m")
    assert rt.get(run.run_id).steps["one"].status == "completed"
    rt.client.resume_run(run.run_id)
    rt.advance("1m")
    rt.client.pause_run(run.run_id)
    rt.send(Event("two"))
    rt.advance("3h")
    assert rt.get(run.run_id).status == "running"
    rt.client.resume_run(run.run_id)
    rt.drain()
    assert rt.get(run.run_id).output == [None, "two"]


def test_callbacks_and_invokes_time_out_in_a_paused_run(durable, app):
    @app.function("child")
    def child(ctx: Context[dict]) -> None:
        ctx.step.sleep("nap", "30d")

    @app.function("f")
    def f(ctx: Context[dict]) -> list:
        found = []
        for wait in (
            lambda: ctx.step.wait_for_callback("c", timeout="1h"),
            lambda: ctx.step.invoke("i", child, {}, timeout="1h"),
        ):
            try:
                wait()
            except Exception as error:
                found.append(type(error).__name__)
        return found

    rt = durable(app)
    run = rt.start(f)
    for id in ("c", "i"):
        rt.advance("1m")
        rt.client.pause_run(run.run_id)
        rt.advance("2h")
        assert rt.get(run.run_id).steps[id].status == "failed"
        rt.client.resume_run(run.run_id)
    rt.drain()
    assert rt.get(run.run_id).output == ["StepTimeoutError", "StepTimeoutError"]
    assert [each.status for each in rt.runs("child")] == ["cancelled"]


def test_a_heartbeat_puts_off_the_end_of_a_wait_in_a_paused_run(durable, app):
    tokens = []

    @app.function("f")
    def f(ctx: Context[dict]) -> str:
        return ctx.step.wait_for_callback(
            "c", lambda callback: tokens.append(callback.token), timeout="1d", heartbeat="10m"
        )

    rt = durable(app)
    run = rt.start(f)
    rt.advance("1m")
    rt.client.pause_run(run.run_id)
    for _ in range(10):
        rt.advance("5m")
        assert rt.client.heartbeat_callback(tokens[0])
    assert rt.client.complete_callback(tokens[0], "yes")
    rt.advance("1d")
    rt.client.resume_run(run.run_id)
    rt.drain()
    assert rt.get(run.run_id).output == "yes"


def test_a_paused_run_is_cancelled_undone_and_times_out(durable, app):
    ledger = []

    @app.function("f", timeouts=Timeouts(finish="2h"))
    def f(ctx: Context[dict]) -> None:
        ctx.step.options(undo=lambda _: ledger.append("-")).run("book", ledger.append, "+")
        ctx.step.sleep("nap", "1h")

    rt = durable(app)
    one, two = rt.start(f), rt.start(f)
    rt.advance("1m")
    assert rt.client.pause_run(one.run_id)
    assert rt.client.pause_run(two.run_id)
    rt.advance("61m")
    assert rt.client.cancel(one.run_id)
    rt.advance("1m")
    assert rt.get(one.run_id).status == "cancelled"
    assert not rt.get(one.run_id).paused
    rt.advance("2h")
    assert rt.get(two.run_id).status == "failed"
    assert ledger == ["+", "+", "-", "-"]
    assert not rt.client.resume_run(one.run_id)
    assert kept(rt) == []


def test_a_paused_run_lets_those_behind_it_go_first(durable, app):
    @app.function("f", on_event("job"), concurrency=Concurrency(1, counts="runs"))
    def f(ctx: Context[dict]) -> None:
        ctx.step.sleep("nap", "10m")

    rt = durable(app)
    runs = []
    for _ in range(4):
        runs.append(rt.start(f))
        rt.advance("1s")
    assert rt.client.pause_run(runs[1].run_id)
    rt.advance("25m")
    assert [rt.get(run.run_id).status for run in runs] == ["completed", "queued", "completed", "running"]
    rt.client.resume_run(runs[1].run_id)
    rt.drain()
    assert {rt.get(run.run_id).status for run in runs} == {"completed"}
    assert kept(rt) == []


def test_what_is_not_there_can_not_be_paused(durable, app):
    rt = durable(app)
    with pytest.raises(RunNotFoundError, match="to pause"):
        rt.client.pause_run("nope")
    with pytest.raises(RunNotFoundError, match="to resume"):
        rt.client.resume_run("nope")
    with pytest.raises(ConfigurationError, match="no function 'nope'"):
        rt.client.pause("nope")
    with pytest.raises(ConfigurationError, match="takes a function or its id"):
        rt.client.resume(3)


# a function


def jobs(rt, *data):
    rt.send(*(Event("job", each) for each in data))


def make(app, **options):
    began = []

    @app.function("f", on_event("job"), **options)
    def f(ctx: Context[dict]) -> int:
        n = ctx.event.data.get("n", -1)
        ctx.step.run("a", began.append, ("a", n))
        ctx.step.sleep("nap", "1m")
        ctx.step.run("b", began.append, ("b", n))
        return n

    @app.function("other", on_event("job"))
    def other(ctx: Context[dict]) -> None:
        pass

    return f, began


def test_a_paused_function_holds_its_runs_and_events(durable, app):
    f, began = make(app)
    rt = durable(app)
    jobs(rt, {"n": 0})
    rt.advance("10s")
    assert rt.client.pause(f)
    assert not rt.client.pause("f")
    for n in range(1, 6):
        jobs(rt, {"n": n})
        rt.advance("7s")
    direct = rt.start(f, {"n": 9})
    rt.advance("2d")
    assert began == [("a", 0)]
    assert rt.get(direct.run_id).status == "queued"
    assert rt.get(direct.run_id).paused
    assert len(list(rt.runs("f"))) == 2
    assert {run.status for run in rt.runs("other")} == {"completed"}

    assert rt.client.resume("f")
    assert not rt.client.resume("f")
    rt.drain()
    runs = [run for run in whole(rt) if run.function_id == "f"]
    assert {run.status for run in runs} == {"completed"}
    assert sorted(run.output for run in runs) == [0, 1, 2, 3, 4, 5, 9]
    held = [run.output for run in runs if 1 <= run.output <= 5]
    assert held == [1, 2, 3, 4, 5]
    assert Counter(began) == {(step, n): 1 for step in "ab" for n in (0, 1, 2, 3, 4, 5, 9)}
    assert kept(rt) == []


def test_held_events_are_served_in_their_order(durable, app):
    f, began = make(app, concurrency=Concurrency(1, counts="runs"))
    rt = durable(app)
    rt.client.pause(f)
    for n in range(5):
        jobs(rt, {"n": n})
        rt.advance("1ms")
    rt.advance("1h")
    rt.client.resume(f)
    rt.drain()
    assert [n for step, n in began if step == "a"] == list(range(5))


def test_skipped_events_start_nothing_and_are_told(durable, app, caplog):
    caplog.set_level("INFO", logger="lambda_durable")
    f, began = make(app)
    rt = durable(app)
    assert rt.client.pause(f, events="skip")
    jobs(rt, {"n": 0}, {"n": 1})
    rt.advance("1h")
    assert rt.client.resume(f)
    jobs(rt, {"n": 2})
    rt.drain()
    assert began == [("a", 2), ("b", 2)]
    runs = [run for run in whole(rt) if run.function_id == "f"]
    assert [(run.status, run.skipped_reason) for run in runs] == [
        ("skipped", "paused"),
        ("skipped", "paused"),
        ("completed", None),
    ]
    told = [record.getMessage() for record in caplog.records if "is skipped" in record.getMessage()]
    assert len(told) == 2
    assert told[0].endswith("of function 'f' is skipped: its function is paused")


def test_a_pause_may_cancel_the_runs_that_there_are(durable, app):
    f, began = make(app)
    rt = durable(app)
    jobs(rt, {"n": 0}, {"n": 1})
    rt.advance("10s")
    rt.client.pause(f, runs="cancel")
    jobs(rt, {"n": 2})
    direct = rt.start(f, {"n": 3})
    rt.advance("5m")
    assert Counter(run.status for run in rt.runs("f")) == {"cancelled": 2, "queued": 1}
    rt.client.resume(f)
    rt.drain()
    assert Counter(run.status for run in rt.runs("f")) == {"cancelled": 2, "completed": 2}
    assert rt.get(direct.run_id).status == "completed"


def test_how_a_function_is_paused_can_be_changed(durable, app):
    f, began = make(app)
    rt = durable(app)
    assert rt.client.pause(f)
    jobs(rt, {"n": 0})
    rt.advance("1m")
    assert rt.client.pause(f, events="skip")
    jobs(rt, {"n": 1})
    rt.advance("1m")
    rt.client.resume(f)
    rt.drain()
    assert [n for step, n in began if step == "a"] == [0]


def test_paused_again_at_once_nothing_begins_and_nothing_is_lost(durable, app):
    f, began = make(app)
    rt = durable(app)
    rt.client.pause(f)
    for n in range(4):
        jobs(rt, {"n": n})
        rt.advance("1s")
    for _ in range(3):
        rt.client.resume(f)
        rt.client.pause(f)
    rt.advance("1h")
    assert began == []
    rt.client.resume(f)
    rt.client.resume(f)
    rt.drain()
    assert Counter(n for step, n in began if step == "a") == dict.fromkeys(range(4), 1)
    assert [run.event.data["n"] for run in whole(rt) if run.function_id == "f"] == list(range(4))
    assert kept(rt) == []


def test_a_schedule_of_a_paused_function_is_held(durable, app):
    times = []

    @app.function("tick", every("1h"))
    def tick(ctx: Context[dict]) -> None:
        times.append(ctx.event.time)

    rt = durable(app)
    rt.advance("90m")
    rt.client.pause(tick)
    rt.advance("3h")
    assert len(times) == 1
    rt.client.resume(tick)
    rt.advance("1m")
    assert len(times) == 4
    assert times == sorted(times)


def test_an_event_of_the_future_starts_when_it_was_to_or_when_its_function_goes_on(durable, app):
    f, began = make(app)
    rt = durable(app)
    rt.client.pause(f)
    rt.send(Event("job", {"n": 0}, time=rt.now() + timedelta(hours=1)))
    rt.send(Event("job", {"n": 1}, time=rt.now() + timedelta(hours=9)))
    rt.advance("4h")
    rt.client.resume(f)
    rt.advance("30s")
    assert began == [("a", 0)]
    rt.advance("4h")
    assert began == [("a", 0), ("b", 0)]
    rt.drain()
    assert began == [("a", 0), ("b", 0), ("a", 1), ("b", 1)]


def test_a_large_event_is_held_whole(durable, app):
    f, began = make(app)
    rt = durable(app)
    rt.client.pause(f)
    jobs(rt, {"n": 0, "text": "x" * 600_000})
    rt.advance("60d")
    rt.client.resume(f)
    rt.drain()
    (run,) = rt.runs("f")
    assert len(rt.get(run.run_id).event.data["text"]) == 600_000
    assert began == [("a", 0), ("b", 0)]


def test_a_paused_function_holds_up_no_other_at_what_they_share(durable, app):
    shared = Concurrency(1, scope="app", counts="runs")

    @app.function("f", on_event("f"), concurrency=shared)
    def f(ctx: Context[dict]) -> None:
        ctx.step.sleep("nap", "10m")

    @app.function("g", on_event("g"), concurrency=shared)
    def g(ctx: Context[dict]) -> None:
        ctx.step.sleep("nap", "10m")

    rt = durable(app)
    runs = []
    for function in (g, f, f, g):
        runs.append(rt.start(function))
        rt.advance("1s")
    rt.client.pause(f)
    rt.advance("1h")
    assert [rt.get(run.run_id).status for run in runs] == ["completed", "queued", "queued", "completed"]
    rt.client.resume(f)
    rt.drain()
    assert {rt.get(run.run_id).status for run in runs} == {"completed"}


def test_thousands_of_held_events_are_brought_back_by_several_messages(durable):
    app = Durable("shop")
    f, began = make(app)
    rt = durable(app, lambda_timeout="10s")
    rt.client.pause(f)
    for _ in range(20):
        jobs(rt, *({"n": n} for n in range(10)))
    rt.advance("1m")
    before = rt.invocations
    rt.client.resume(f)
    rt.drain()
    assert len(began) == 400
    assert rt.invocations > before


def test_what_is_held_is_collected_when_its_function_goes_on(durable, app):
    batches, last = [], []

    @app.function("batched", on_event("job"), batch=Batch(3, "1h"))
    def batched(ctx: Context[dict]) -> None:
        batches.append([event.data["n"] for event in ctx.events])

    @app.function("debounced", on_event("job"), debounce=Debounce("1h"))
    def debounced(ctx: Context[dict]) -> None:
        last.append(ctx.event.data["n"])

    rt = durable(app)
    jobs(rt, {"n": 0})
    rt.advance("1m")
    rt.client.pause(batched)
    rt.client.pause(debounced)
    for n in range(1, 6):
        jobs(rt, {"n": n})
        rt.advance("1s")
    rt.advance("10m")
    assert (batches, last) == ([], [])
    rt.client.resume(batched)
    rt.client.resume(debounced)
    rt.drain()
    assert [sorted(batch) for batch in batches] == [[0, 1, 2], [3, 4, 5]]
    assert last == [5]


def collecting(app, **options):
    ran = []

    @app.function("f", on_event("job"), **options)
    def f(ctx: Context[dict]) -> None:
        ran.append([event.data["n"] for event in ctx.events])

    return f, ran


@pytest.mark.parametrize("steps", [1])
def test_what_was_held_of_a_burst_becomes_one_run_once_nothing_has_come_for_its_period(durable, steps):
    app = Durable("shop", steps_per_invocation=steps)
    f, ran = collecting(app, debounce=Debounce("30s", key="data.who", timeout="1h"))
    rt = durable(app)
    rt.client.pause(f)
    for n in range(10):
        jobs(rt, {"n": n, "who": n % 2})
        rt.advance("1h")
    rt.client.resume(f)
    rt.advance("29s")
    assert ran == []
    jobs(rt, {"n": 10, "who": 1})
    rt.advance("2s")
    assert ran == [[8]]
    rt.drain()
    assert ran == [[8], [10]]
    assert kept(rt) == []


def test_what_was_held_fills_batches(durable, app):
    f, ran = collecting(app, batch=Batch(3, "1m"))
    rt = durable(app)
    rt.client.pause(f)
    for n in range(7):
        jobs(rt, {"n": n})
        rt.advance("1h")
    rt.client.resume(f)
    rt.advance("59s")
    assert ran == [[0, 1, 2], [3, 4, 5]]
    rt.advance("1m")
    assert ran == [[0, 1, 2], [3, 4, 5], [6]]


@pytest.mark.parametrize("options", [{"debounce": Debounce("1s")}, {"batch": Batch(2, "1s")}])
def test_what_is_to_be_collected_later_is_held_then(durable, options):
    app = Durable("shop")
    f, ran = collecting(app, **options)
    rt = durable(app)
    rt.client.pause(f)
    rt.send(Event("job", {"n": 0}, time=rt.now() + timedelta(hours=3)))
    rt.advance("1h")
    rt.client.resume(f)
    rt.advance("1h")
    assert ran == []
    rt.client.pause(f)
    rt.advance("2h")
    assert ran == []
    assert rt.client.queues("f")[0].held_events == 1
    rt.client.resume(f)
    rt.drain()
    assert ran == [[0]]


def test_an_event_that_began_its_run_before_the_pause_and_died_goes_on_with_it(durable):
    app = Durable("shop", steps_per_invocation="all")
    idle, ended = app.function("idle")(lambda ctx: None), Counter()
    _, _ = make(app)

    def drive(rt, run):
        rt.send(Event("job", {"n": 0}))
        rt.advance("1s")
        rt.client.pause("f", events="skip")
        rt.advance("17m")  # by then the message has come again
        rt.client.resume("f")
        rt.drain()

    for crash in islice(crash_everywhere(app, idle, {}, drive=drive), 20):  # what the event does
        (run,) = crash.runtime.runs("f")
        assert run.status in ("completed", "skipped"), crash.point
        ended[run.status] += 1
    assert len(ended) == 2
