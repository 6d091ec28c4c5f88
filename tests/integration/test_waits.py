"""Waiting for events and signals, and sending them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import BaseModel

from lambda_durable import (
    AsyncContext,
    ConfigurationError,
    Context,
    Durable,
    Event,
    NonRetriableError,
    Retry,
    SerializationError,
    Signal,
    SignalConflictError,
    StepError,
    on_event,
)
from lambda_durable.testing import Faults, LocalRuntime

MODES = [1, "all", "auto"]


class Payment(BaseModel):
    order: str
    amount: int = 0


@pytest.fixture(params=MODES)
def app(request):
    return Durable("shop", steps_per_invocation=request.param)


@pytest.fixture(params=["sync", "async"])
def waiting(request, app):
    """A function that waits for an event, and returns it."""

    def make(*names, **options):
        options = {"timeout": "1h", **options}
        wanted = list(names) if len(names) > 1 else (names or ("paid",))[0]
        if request.param == "sync":

            @app.function("f", on_event("ordered"))
            def f(ctx: Context) -> object:
                ctx.step.run("before", int)
                found = ctx.step.wait_for_event("wait", wanted, **options)
                return None if found is None else [found.name, found.data, ctx.step.run("after", int)]

            return f

        @app.function("f", on_event("ordered"))
        async def f(ctx: AsyncContext) -> object:
            await ctx.step.run("before", int)
            found = await ctx.step.wait_for_event("wait", wanted, **options)
            return None if found is None else [found.name, found.data, await ctx.step.run("after", int)]

        return f

    return make


def begin(durable, app, data=None):
    rt = durable(app)
    rt.send(Event("ordered", data or {}))
    rt.advance("0s")
    (run,) = rt.runs()
    return rt, run.run_id


def test_the_first_event_that_comes_ends_the_wait(durable, app, waiting):
    waiting()
    rt, run_id = begin(durable, app)
    step = rt.get(run_id).steps["wait"]
    assert (step.status, step.waiting_for.kind, step.waiting_for.names) == ("waiting", "event", ("paid",))
    assert step.waiting_for.deadline == rt.now() + timedelta(hours=1)

    rt.send(Event("shipped", {"n": 0}), Event("paid", {"n": 1}))
    rt.advance("0s")
    rt.send(Event("paid", {"n": 2}))
    rt.drain()

    assert rt.get(run_id).output == ["paid", {"n": 1}, 0]


def test_a_wait_gives_up(durable, app, waiting):
    waiting()
    rt, run_id = begin(durable, app)
    rt.drain()
    rt.send(Event("paid"))
    rt.drain()

    run = rt.get(run_id)
    assert (run.status, run.output) == ("completed", None)
    assert run.ended_at == run.created_at + timedelta(hours=1)


def test_one_of_several_names_ends_the_wait(durable, app, waiting):
    waiting("paid", "cancelled")
    rt, run_id = begin(durable, app)
    rt.send(Event("cancelled", {"why": "x"}))
    rt.drain()

    assert rt.get(run_id).output == ["cancelled", {"why": "x"}, 0]


@pytest.mark.parametrize(
    ("own", "other", "matches"),
    [
        ({"order": "a"}, {"order": "a"}, True),
        ({"order": "a"}, {"order": "b"}, False),
        ({"order": 1}, {"order": "1"}, False),
        ({"order": 1}, {"order": 1.0}, True),
        ({"order": {"a": [1], "b": None}}, {"order": {"b": None, "a": [1]}}, True),
        ({}, {}, False),
        ({"order": None}, {"order": None}, True),
    ],
)
def test_match_is_equality_of_json_at_a_path(durable, app, waiting, own, other, matches):
    waiting(match="data.order")
    rt, run_id = begin(durable, app, own)
    if "order" in own:
        assert rt.get(run_id).steps["wait"].waiting_for.match == own["order"]
    rt.send(Event("paid", other))
    rt.drain()

    assert (rt.get(run_id).output is not None) == matches


def test_a_condition_sees_both_events(durable, app, waiting):
    waiting(if_exp="async.data.amount >= event.data.amount")
    rt, run_id = begin(durable, app, {"amount": 10})
    rt.send(Event("paid", {"amount": 9}))
    rt.advance("1s")
    rt.send(Event("paid", {"nothing": 0}))  # on which it fails: that ends nothing, and holds nobody up
    rt.advance("1s")
    rt.send(Event("paid", {"amount": 10}))
    rt.drain()

    assert rt.get(run_id).output == ["paid", {"amount": 10}, 0]


def test_the_event_comes_as_its_model(durable, app):
    @app.function("f", on_event("ordered"))
    def f(ctx: Context) -> int:
        paid = ctx.step.wait_for_event("wait", "paid", timeout="1h", model=Payment)
        assert paid is not None
        return paid.data.amount

    rt, run_id = begin(durable, app)
    rt.send(Event("paid", Payment(order="x", amount=3)))
    rt.drain()

    assert rt.get(run_id).output == 3


def test_the_model_of_an_event_can_be_an_option_of_the_step(durable, app):
    @app.function("f", on_event("ordered"))
    def f(ctx: Context) -> int:
        paid = ctx.step.options(model=Payment).wait_for_event("wait", "paid", timeout="1h")
        assert paid is not None
        return paid.data.amount

    rt, run_id = begin(durable, app)
    rt.send(Event("paid", Payment(order="x", amount=3)))
    rt.drain()

    assert rt.get(run_id).output == 3


def test_an_event_that_the_model_refuses_is_a_step_error_that_names_it(durable, app):
    @app.function("f", on_event("ordered"))
    def f(ctx: Context) -> object:
        try:
            ctx.step.wait_for_event("wait", "paid", timeout="1h", model=Payment)
        except StepError as error:
            return [error.step_id, error.error_type, error.message, ctx.step.run("after", int)]

    rt, run_id = begin(durable, app)
    rt.send(Event("paid", {"order": "x", "amount": "much"}, id="e-1"))
    rt.drain()

    step, kind, message, _ = rt.get(run_id).output
    assert (step, kind) == ("wait", "lambda_durable.errors.EventDataError")
    assert message.startswith("the data of event 'paid' (e-1) is not what model= says:")
    assert "amount: Input should be a valid integer" in message


def test_a_wait_beside_a_step_and_a_sleep(durable, app):
    @app.function("f", on_event("ordered"))
    async def f(ctx: AsyncContext) -> object:
        import asyncio

        wait = asyncio.create_task(ctx.step.wait_for_event("wait", "paid", timeout="2h"))
        nap = asyncio.create_task(ctx.step.sleep("nap", "30m"))
        work = asyncio.create_task(ctx.step.run("work", int))
        await work
        done, _ = await asyncio.wait({wait, nap}, return_when=asyncio.FIRST_COMPLETED)
        return [wait in done, await ctx.step.run("after", int)]

    for early in (True, False):
        rt, run_id = begin(durable, app)
        if early:
            rt.send(Event("paid"))
        rt.drain()
        run = rt.get(run_id)
        assert run.output == [early, 0]
        assert {step: run.steps[step].attempts for step in ("work", "after")} == {"work": 1, "after": 1}


def test_one_event_ends_the_waits_of_many_runs(durable, app, waiting):
    waiting()
    rt = durable(app)
    rt.send(*(Event("ordered") for _ in range(130)))
    rt.advance("0s")
    rt.send(Event("paid"))
    rt.drain()

    runs = list(rt.runs(status="completed"))
    assert len(runs) == 130
    assert all(rt.get(run.run_id).output == ["paid", {}, 0] for run in runs[:3])


def test_an_event_from_before_the_wait_does_not_end_it(durable, app, waiting):
    waiting()
    rt = durable(app)
    rt.send(Event("paid"))
    rt.advance("10m")
    rt.send(Event("ordered"))
    rt.drain()

    assert rt.get(next(rt.runs()).run_id).output is None


@pytest.mark.parametrize(("lookback", "found"), [("20m", True), ("5m", False)])
def test_a_wait_can_look_back(durable, app, waiting, lookback, found):
    waiting(lookback=lookback, match="data.order")
    rt = durable(app)
    rt.send(Event("paid", {"order": "b"}), Event("paid", {"order": "a", "n": 1}))
    rt.advance("1m")
    rt.send(Event("paid", {"order": "a", "n": 2}))
    rt.advance("9m")
    rt.send(Event("ordered", {"order": "a"}))
    rt.advance("1m")

    run = rt.get(next(rt.runs()).run_id)
    assert (run.status == "completed") == found
    if found:
        assert run.output == ["paid", {"order": "a", "n": 1}, 0]


def test_a_wait_that_looks_back_still_waits(durable, app, waiting):
    waiting(lookback="5m")
    rt, run_id = begin(durable, app)
    rt.advance("10m")
    rt.send(Event("paid", {"n": 1}))
    rt.drain()

    assert rt.get(run_id).output == ["paid", {"n": 1}, 0]


@pytest.mark.parametrize("seed", range(12))
def test_an_event_ends_one_wait_of_a_loop(seed):
    app = Durable("loop", steps_per_invocation=[1, "all", "auto"][seed % 3])

    @app.function("f")
    def f(ctx: Context) -> list:
        found = [ctx.step.wait_for_event("tick", "tick", timeout="1h", lookback="10m") for _ in range(3)]
        return [event and event.data["n"] for event in found]

    rt = LocalRuntime(app, faults=Faults(duplicate=0.5, crash=0.1), seed=seed)
    run = rt.start(f)
    for n in range(2):
        rt.advance("30m")
        rt.send(Event("tick", {"n": n}))
    rt.drain()

    found = [n for n in rt.get(run.run_id).output if n is not None]
    assert len(found) == len(set(found))


def test_a_large_value_matches_by_its_digest(durable, app, waiting):
    waiting(match="data.text")
    rt, run_id = begin(durable, app, {"text": "x" * 500_000})
    assert rt.get(run_id).steps["wait"].waiting_for.match is None
    rt.send(Event("paid", {"text": "x" * 500_000, "n": 1}))
    rt.advance("0s")
    assert rt.get(run_id).output[1]["n"] == 1


def test_times_beyond_ten_years_are_refused(durable, app):
    @app.function("f", on_event("ordered"))
    def f(ctx: Context) -> None:
        ctx.step.sleep_until("end of days", datetime(9999, 12, 31, tzinfo=UTC))

    rt = durable(app)
    assert "more than ten years away" in rt.run(f).error.message
    rt.send(Event("ordered", time=datetime(9999, 12, 31, tzinfo=UTC)))
    rt.drain()
    (letter,) = rt.dead_letters
    assert "more than ten years away" in letter.reason


# -- signals ------------------------------------------------------------------------------------------


@pytest.fixture
def signalled(app):
    @app.function("signalled")
    def signalled(ctx: Context[str]) -> object:
        found = ctx.step.wait_for_signal("wait", f"go-{ctx.event.data}", timeout="1d")
        return None if found is None else found.data

    return signalled


def test_a_signal_ends_the_wait_for_its_name(durable, app, signalled):
    rt = durable(app)
    run = rt.start(signalled, "a")
    rt.advance("0s")
    assert rt.get(run.run_id).steps["wait"].waiting_for.kind == "signal"

    assert rt.client.send_signal("go-b", 0) is False
    assert rt.client.send_signal("go-a", {"by": (1, 2)}) is True
    assert rt.client.send_signal("go-a", 2) is False
    rt.drain()

    assert rt.get(run.run_id).output == {"by": (1, 2)}


def test_a_signal_that_never_comes(durable, app, signalled):
    rt = durable(app)
    run = rt.run(signalled, "a")
    assert run.output is None
    assert rt.client.send_signal("go-a") is False


def test_a_second_waiter_on_a_signal_is_refused(durable, app, signalled):
    rt = durable(app)
    first = rt.start(signalled, "a")
    rt.advance("0s")
    second = rt.start(signalled, "a")
    rt.advance("0s")

    run = rt.get(second.run_id)
    assert (run.status, run.error.type) == ("failed", "lambda_durable.errors.SignalConflictError")
    assert first.run_id in run.error.message
    rt.client.send_signal("go-a", 1)
    rt.drain()
    assert rt.get(first.run_id).output == 1


def test_a_wait_can_take_a_signal_over(durable, app):
    @app.function("greedy")
    def greedy(ctx: Context) -> object:
        found = ctx.step.wait_for_signal("wait", "go", timeout="1d", on_conflict="replace")
        return found and found.data

    rt = durable(app)
    first = rt.start(greedy)
    rt.advance("0s")
    second = rt.start(greedy)
    rt.advance("0s")
    assert rt.client.send_signal("go", 2)
    rt.drain()

    assert rt.get(first.run_id).error.type == "lambda_durable.errors.SignalConflictError"
    assert rt.get(second.run_id).output == 2


def test_the_signal_of_a_run_that_has_ended_is_free(durable, app, signalled):
    rt = durable(app)
    first = rt.start(signalled, "a")
    rt.advance("0s")
    rt.client.cancel(first.run_id)
    rt.advance("0s")
    assert rt.client.send_signal("go-a") is False
    second = rt.start(signalled, "a")
    rt.advance("0s")
    assert rt.client.send_signal("go-a", 2)
    rt.drain()
    assert rt.get(second.run_id).output == 2


def test_one_run_signals_another(durable, app, signalled):
    @app.function("sender")
    def sender(ctx: Context) -> list:
        return [ctx.step.send_signal("one", "go-a", Signal("x", 1).data), ctx.step.send_signal("two", "go-a")]

    rt = durable(app)
    run = rt.start(signalled, "a")
    rt.advance("0s")
    assert rt.run(sender).output == [True, False]
    assert rt.get(run.run_id).output == 1


# -- sending events -----------------------------------------------------------------------------------


def test_a_step_sends_events(durable, app):
    got = []

    @app.function("receiver", on_event("sent"))
    def receiver(ctx: Context) -> None:
        ctx.step.run("got", got.append, (ctx.event.id, ctx.event.data["n"]))

    @app.function("sender")
    async def sender(ctx: AsyncContext) -> list[str]:
        return await ctx.step.send_event("send", Event("sent", {"n": 1}), Event("sent", {"n": 2}, id="mine"))

    rt = durable(app)
    ids = rt.run(sender).output

    assert ids[1] == "mine"
    assert sorted(got, key=lambda found: found[1]) == [(ids[0], 1), ("mine", 2)]


@pytest.mark.parametrize("chosen", [None, "mine"])
def test_an_event_that_is_sent_again_has_the_same_id(durable, chosen):
    app, received = Durable("app", retry=Retry.fixed("1s", 50)), []

    @app.function("receiver", on_event("sent"))
    def receiver(ctx: Context) -> None:
        received.append(ctx.event.id)

    @app.function("sender")
    def sender(ctx: Context) -> list[str]:
        event = Event("sent", {"n": 1}) if chosen is None else Event("sent", {"n": 1}, id=chosen)
        return ctx.step.send_event("send", event)

    rt = durable(app, faults=Faults(lose_response=0.5), seed=1)
    run = rt.run(sender)

    assert rt.calls["events:PutEvents"] > 1
    assert set(received) == set(run.output)
    assert len(list(rt.runs(receiver))) == 1


def test_a_time_out_that_comes_too_late_leaves_the_run_alone(durable):
    app, charged = Durable("app"), []

    @app.function("order")
    def order(ctx: Context) -> None:
        ctx.step.wait_for_event("paid", "paid", timeout="30s")
        ctx.step.run("ship", charged.append, "shipped")

    rt = durable(app)
    rt.stub("ship", charged.append, takes="50s")
    rt.start(order)
    rt.advance("20s")
    rt.send(Event("paid"))
    rt.drain()

    assert charged == ["shipped"]


# -- bad input ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda step: step.wait_for_event("w", "", timeout="1h"), "an event's name has 1 to 255"),
        (lambda step: step.wait_for_event("w", [], timeout="1h"), "an event's name has 1 to 255"),
        (lambda step: step.wait_for_event("w", 3, timeout="1h"), "an event's name has 1 to 255"),
        (lambda step: step.wait_for_event("w", ["x", 3], timeout="1h"), "an event's name has 1 to 255"),
        (lambda step: step.wait_for_event("w", "x", timeout=5), "a number says nothing of its unit"),
        (lambda step: step.wait_for_event("w", "x", timeout=timedelta(-1)), "cannot be negative"),
        (lambda step: step.wait_for_event("w", "x", timeout="-1h"), "cannot be negative"),
        (lambda step: step.wait_for_event("w", "x", timeout="1h", model="Payment"), "takes the type"),
        (lambda step: step.wait_for_event("w", "x", timeout="1h", if_exp="async.data ="), "if_exp="),
        (lambda step: step.wait_for_event("w", "x", timeout="1h", if_exp=len), "is CEL over"),
        (lambda step: step.wait_for_event("w", "x", timeout="1h", match="1 + 1"), "a path whose value"),
        (lambda step: step.wait_for_signal("w", "", timeout="1h"), "a signal's name has 1 to 255"),
        (lambda step: step.wait_for_signal("w", "x", timeout="1h", on_conflict="?"), "on_conflict="),
        (lambda step: step.send_event("w", "x"), "takes events"),
        (lambda step: step.send_signal("w", "x", object()), "the data of step.send_signal('w')"),
        (lambda step: step.invoke("w", "x", object()), "the data of step.invoke('w')"),
    ],
)
def test_bad_input_is_an_error_at_the_call(durable, call, message):
    app = Durable("app")
    seen = []

    @app.function("f")
    def f(ctx: Context) -> None:
        try:
            call(ctx.step)
        except (ConfigurationError, SerializationError) as error:
            seen.append(str(error))

    durable(app).run(f)
    assert message in seen[0]
    assert "'w'" in seen[0]


@pytest.mark.parametrize("mode", [1, "all", "auto"])
def test_branches_of_one_run_do_not_take_a_signal_from_each_other(durable, mode):
    app = Durable("app", steps_per_invocation=mode)

    @app.function("f")
    async def f(ctx: AsyncContext) -> list[object]:
        async def one(_: int) -> object:
            try:
                found = await ctx.step.wait_for_signal("wait", "go", timeout="1h")
            except SignalConflictError:
                return "conflict"
            return found and found.data

        return await ctx.step.map_group("m", one, [1, 2])

    rt = durable(app)
    run = rt.start(f)
    rt.advance("1m")
    rt.client.send_signal("go", 7)
    rt.drain()
    assert rt.get(run.run_id).output == [7, "conflict"]


def waiters(rt):
    items = rt.aws("dynamodb").scan(TableName=rt.client._world.store._table)["Items"]
    return [
        (item["pk"]["S"], item["sk"]["S"])
        for item in items
        if item["pk"]["S"].startswith("s#") or (item["pk"]["S"].startswith("w#") and "/" in item["sk"]["S"])
    ]


@pytest.mark.parametrize("end", ["completed", "failed", "cancelled", "renewed"])
def test_nobody_finds_the_open_waits_of_a_run_that_is_over(durable, app, end):
    @app.function("f")
    async def f(ctx: AsyncContext[dict]) -> str:
        if ctx.event.data.get("again"):
            return "renewed"
        waits = [
            ctx.step.wait_for_event("event", ["paid", "refused"], timeout="9d"),
            ctx.step.wait_for_signal("signal", "go", timeout="9d"),
            ctx.step.group("group", ctx.step.wait_for_event, "inside", "paid", timeout="9d"),
        ]
        tasks = [asyncio.create_task(each) for each in waits]
        await ctx.step.sleep("nap", "1h")
        if end == "cancelled":
            await ctx.step.sleep("longer", "1h")
        if end == "failed":
            raise NonRetriableError("no")
        if end == "renewed":
            ctx.continue_as_new({"again": True})
        return f"{len(tasks)} are open"

    rt = durable(app)
    run = rt.start(f, {})
    rt.advance("59m")
    assert len(waiters(rt)) == 4
    rt.advance("2m")
    if end == "cancelled":
        rt.client.cancel(run.run_id)
    rt.drain()

    assert rt.get(run.run_id).status == ("completed" if end == "renewed" else end)
    assert waiters(rt) == []


def test_nobody_finds_the_waits_that_a_group_has_left_open(durable, app):
    @app.function("f")
    async def f(ctx: AsyncContext) -> None:
        async def group(_: object = None) -> None:
            tasks = [
                asyncio.create_task(ctx.step.wait_for_event("event", "paid", timeout="9d")),
                asyncio.create_task(ctx.step.sleep("nap", "1h")),
            ]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)

        await ctx.step.group("group", group)
        await ctx.step.map_group("map", group, [1, 2])

    rt = durable(app)
    run = rt.start(f)
    rt.drain()
    assert rt.get(run.run_id).status == "completed"
    assert waiters(rt) == []
