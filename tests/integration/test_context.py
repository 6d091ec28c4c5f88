"""What `ctx` promises beside its steps: API.md, 'Context'."""

import asyncio
import json
import logging
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import BaseModel
from test_steps import START, Async, Sync

from lambda_durable import AsyncContext, Context, Durable, Event, Retry, StepError, on_event
from tests.log_lines import Lines

MODES = [1, "all"]


@pytest.fixture(params=MODES, ids=str)
def mode(request):
    return request.param


@pytest.fixture(params=[Sync(), Async()], ids=lambda flavour: flavour.name)
def flavour(request):
    return request.param


@pytest.fixture
def app():
    return Durable("t", retry=Retry.fixed("1s", 3))


class Seen(dict):
    """What a handler saw at its places, in every replay."""

    def at(self, place, value):
        self.setdefault(place, []).append(value)
        return value

    @property
    def once(self):
        """What it saw at each place, which must be one value however often it was there."""
        for place, values in self.items():
            assert all(value == values[0] for value in values), (place, values)
        return {place: values[0] for place, values in self.items()}


def fail():
    raise ValueError("no")


def after(**duration):
    return START + timedelta(**duration)


# now


def test_now_is_the_time_of_the_newest_outcome_on_every_replay(durable, app, flavour, mode):
    seen = Seen()

    def body(ctx):
        seen.at("start", ctx.now())
        yield ctx.step.run("a", lambda: 0)
        seen.at("a", ctx.now())
        yield ctx.step.sleep("s", "3d")
        seen.at("s", ctx.now())
        yield ctx.step.run("b", lambda: 0)
        seen.at("b", ctx.now())
        seen.at("b again", ctx.now())
        try:
            yield ctx.step.run("bad", fail)
        except StepError:
            seen.at("bad", ctx.now())
        yield ctx.step.sleep("z", "1h")
        return seen.at("end", ctx.now())

    rt = durable(app, steps_per_invocation=mode)
    rt.stub("a", takes="10s")
    rt.stub("b", takes="5s")
    run = rt.run(flavour.function(app, body))
    assert run.status == "completed", run.error
    assert len(seen["start"]) >= 3
    assert seen.once == {
        "start": START,
        "a": after(seconds=10),
        "s": after(days=3, seconds=10),
        "b": after(days=3, seconds=15),
        "b again": after(days=3, seconds=15),
        "bad": after(days=3, seconds=17),
        "end": after(days=3, hours=1, seconds=17),
    }
    assert run.output == seen["end"][0]
    assert run.output.tzinfo is UTC


def test_now_is_the_outcome_not_when_the_handler_was_replayed(durable, app, flavour):
    # The continuation of a step comes later than its outcome; the handler must not see that.
    seen = Seen()

    def body(ctx):
        for n in range(3):
            yield ctx.step.run(f"s{n}", lambda: 0)
            seen.at(n, ctx.now())

    rt = durable(app, steps_per_invocation=1)
    for n in range(3):
        rt.stub(f"s{n}", takes="1m")
    run = rt.run(flavour.function(app, body))
    assert seen.once == {n: run.steps[f"s{n}"].ended_at for n in range(3)}


def test_after_parallel_steps_now_is_the_newest(durable, app, flavour, mode):
    seen = Seen()

    def body(ctx):
        yield ctx.step.map("m", str, [0, 1, 2])
        seen.at("m", ctx.now())
        yield ctx.step.sleep("s", "1h")

    rt = durable(app, steps_per_invocation=mode)
    for n, takes in enumerate(["10s", "30s", "20s"]):
        rt.stub(f"m[{n}]", takes=takes)
    assert rt.run(flavour.function(app, body)).status == "completed"
    assert seen.once == {"m": after(seconds=30)}


def test_now_in_groups_and_branches_is_the_same_on_every_replay(durable, app, flavour, mode):
    seen = Seen()

    def branch(ctx, n):
        seen.at(f"{n} start", ctx.now())
        yield ctx.step.sleep("s", f"{n}h")
        seen.at(f"{n} s", ctx.now())
        yield ctx.step.run("x", lambda: 0)
        seen.at(f"{n} x", ctx.now())

    def body(ctx):
        yield ctx.step.map_group("mg", flavour.code(lambda n: branch(ctx, n)), [1, 2])
        seen.at("mg", ctx.now())
        yield ctx.step.group("g", flavour.code(lambda: branch(ctx, 3)))
        seen.at("g", ctx.now())
        yield ctx.step.sleep("end", "1h")

    run = durable(app, steps_per_invocation=mode).run(flavour.function(app, body))
    assert run.status == "completed", run.error
    assert seen.once == {
        "1 start": START,
        "1 s": after(hours=1),
        "1 x": after(hours=1),
        "2 start": START,
        "2 s": after(hours=2),
        "2 x": after(hours=2),
        "mg": after(hours=2),
        "3 start": after(hours=2),
        "3 s": after(hours=5),
        "3 x": after(hours=5),
        "g": after(hours=5),
    }


def test_now_of_racing_tasks_follows_the_remembered_order(durable, app, mode):
    seen = Seen()

    @app.function("f")
    async def f(ctx: AsyncContext) -> None:
        async def task(id):
            await ctx.step.run(id, lambda: 0)
            seen.at(id, ctx.now())
            await ctx.step.run(f"then {id}", lambda: 0)

        await asyncio.gather(task("slow"), task("fast"))
        await ctx.step.sleep("s", "1h")

    rt = durable(app, steps_per_invocation=mode)
    rt.stub("slow", takes="20s")
    rt.stub("fast", takes="5s")
    assert rt.run(f).status == "completed"
    assert seen.once == {"fast": after(seconds=5), "slow": after(seconds=20)}


# random


def test_random_is_the_same_on_every_replay(durable, app, flavour, mode):
    seen = Seen()

    def body(ctx):
        seen.at(1, ctx.random.random())
        yield ctx.step.run("a", lambda: 0)
        seen.at(2, ctx.random.randrange(10**9))
        yield ctx.step.sleep("s", "1h")
        seen.at(3, ctx.random.sample(range(1000), 5))
        return list(seen.once.values())

    run = durable(app, steps_per_invocation=mode).run(flavour.function(app, body))
    assert run.status == "completed", run.error
    assert len(seen[1]) >= 2


def test_random_is_seeded_by_the_run(durable, app, flavour):
    def body(ctx):
        yield ctx.step.run("a", lambda: 0)
        return [ctx.random.random(), ctx.random.random()]

    f = flavour.function(app, body)
    outputs = []
    for run_id in ("one", "two", "one"):
        rt = durable(app)
        rt.start(f, run_id=run_id)
        rt.drain()
        outputs.append(rt.get(run_id).output)
    assert outputs[0] == outputs[2] != outputs[1]
    assert outputs[0][0] != outputs[0][1]


def test_random_in_groups_and_branches_is_the_same_on_every_replay(durable, app, flavour, mode):
    # A group that is done is not entered again: what it drew must not move what comes after it.
    seen = Seen()

    def branch(ctx, n):
        seen.at(f"{n} before", ctx.random.random())
        yield ctx.step.run("x", lambda: 0)
        seen.at(f"{n} between", ctx.random.random())
        yield ctx.step.sleep("s", "1h")
        seen.at(f"{n} after", ctx.random.random())

    def body(ctx):
        seen.at("first", ctx.random.random())
        yield ctx.step.group("g", flavour.code(lambda: branch(ctx, 0)))
        seen.at("after g", ctx.random.random())
        yield ctx.step.map_group("mg", flavour.code(lambda n: branch(ctx, n)), [1, 2])
        seen.at("after mg", ctx.random.random())
        yield ctx.step.sleep("s", "1h")
        seen.at("last", ctx.random.random())

    run = durable(app, steps_per_invocation=mode).run(flavour.function(app, body))
    assert run.status == "completed", run.error
    assert len(set(seen.once.values())) == len(seen.once) == 13


# what it is bound to


class Order(BaseModel):
    sku: str
    count: int


def test_the_event_is_as_it_was_sent_on_every_replay(durable, flavour, mode):
    app = Durable("t")
    seen = Seen()

    def body(ctx):
        seen.at("start", ctx.event)
        yield ctx.step.run("a", lambda: 0)
        yield ctx.step.sleep("s", "1d")
        seen.at("end", (ctx.event.name, ctx.event.data, ctx.event.id, ctx.event.time, ctx.event.source))
        assert list(ctx.events) == [ctx.event]

    flavour.function(app, body, triggers=on_event("shop/*", Order))
    sent = Event(
        "shop/order.placed",
        {"sku": "a", "count": 2},
        id="order-1",
        time=datetime(2024, 12, 31, 23, 59, 58, 123456, tzinfo=UTC),
        source="shop",
    )
    rt = durable(app, steps_per_invocation=mode)
    rt.send(sent)
    rt.drain()
    (run,) = rt.runs()
    assert run.status == "completed", rt.get(run.run_id).error
    assert seen.once["end"] == (sent.name, Order(sku="a", count=2), "order-1", sent.time, "shop")
    assert seen.once["start"].data == Order(sku="a", count=2)


def test_what_a_handler_does_to_its_events_data_is_not_there_on_the_next_replay(durable, app, flavour, mode):
    seen = Seen()

    def body(ctx):
        seen.at("data", json.dumps(ctx.event.data))
        ctx.event.data["items"].append("more")
        yield ctx.step.run("a", lambda: 0)
        yield ctx.step.sleep("s", "1h")

    run = durable(app, steps_per_invocation=mode).run(flavour.function(app, body), {"items": []})
    assert run.status == "completed", run.error
    assert seen.once == {"data": '{"items": []}'}
    assert run.event.data == {"items": []}


def test_a_run_that_was_started_directly_has_the_event_invoked(durable, app, flavour):
    def body(ctx):
        yield ctx.step.sleep("s", "1h")
        return [ctx.event.name, ctx.event.data]

    f = flavour.function(app, body)
    rt = durable(app)
    assert rt.run(f, {"a": 1}).output == ["lambda_durable/invoked", {"a": 1}]
    assert rt.run(f).output[0] == "lambda_durable/invoked"


def test_the_context_knows_its_run(durable, app, flavour, mode):
    seen = Seen()

    def body(ctx):
        seen.at("ids", (ctx.run_id, ctx.function_id))
        seen.at("started_at", ctx.started_at)
        yield ctx.step.run("a", lambda: 0)
        yield ctx.step.sleep("s", "3d")
        seen.at("attempt", ctx.attempt)

    rt = durable(app, steps_per_invocation=mode)
    rt.advance("1h")
    run = rt.run(flavour.function(app, body, "the-function"))
    assert run.status == "completed", run.error
    assert seen.once == {"ids": (run.run_id, "the-function"), "started_at": after(hours=1), "attempt": 1}
    assert run.started_at == after(hours=1)


def test_the_context_can_be_read_in_a_steps_function(durable, app, flavour, mode):
    def body(ctx):
        return (yield ctx.step.run("x", lambda: [ctx.run_id, ctx.function_id, ctx.event.data, ctx.attempt]))

    run = durable(app, steps_per_invocation=mode).run(flavour.function(app, body), {"a": 1})
    assert run.output == [run.run_id, "f", {"a": 1}, 1], run.error


# logger


@pytest.fixture
def lines():
    lines = Lines("f")
    yield lines
    lines.close()


@pytest.fixture(params=[1, 3, "all", "auto"], ids=str)
def any_mode(request):
    return request.param


def test_each_line_is_logged_once_however_often_the_handler_is_replayed(
    durable, app, flavour, any_mode, lines
):
    def body(ctx):
        ctx.logger.info("start")
        ctx.logger.info("start")
        yield ctx.step.run("a", lambda: 0)
        ctx.logger.warning("after a")
        yield ctx.step.sleep("s", "3d")
        ctx.logger.info("after the sleep")
        for n in range(4):
            yield ctx.step.run(f"s{n}", lambda: 0)
            ctx.logger.info("after s%s", n)
        yield ctx.step.map("m", str, range(5))
        ctx.logger.info("after m")
        yield ctx.step.sleep("short", "10s")
        ctx.logger.info("end")

    run = durable(app, steps_per_invocation=any_mode).run(flavour.function(app, body))
    assert run.status == "completed", run.error
    after_steps = [f"after s{n}" for n in range(4)]
    assert lines.messages == ["start", "start", "after a", "after the sleep", *after_steps, "after m", "end"]


def test_a_line_has_its_run_and_function(durable, app, flavour, mode, lines):
    def body(ctx):
        ctx.logger.info("start", extra={"order": 7})
        yield ctx.step.sleep("s", "1h")
        ctx.logger.error("end", fruit="pear")

    run = durable(app, steps_per_invocation=mode).run(flavour.function(app, body))
    start, end = lines.all
    assert start["run_id"] == end["run_id"] == run.run_id
    assert start["function_id"] == end["function_id"] == "f"
    assert (start["level"], start["service"], start["order"]) == ("INFO", "f", 7)
    assert (end["level"], end["fruit"]) == ("ERROR", "pear")


def test_runs_side_by_side_log_each_for_itself(durable, app, flavour, lines):
    def body(ctx):
        ctx.logger.info("start")
        yield ctx.step.sleep("s", "1h")
        yield ctx.step.run("a", lambda: 0)
        ctx.logger.info("end")

    f = flavour.function(app, body)
    rt = durable(app, steps_per_invocation=1)
    ids = [rt.start(f).run_id for _ in range(3)]
    rt.drain()
    logged = [(line["message"], line["run_id"]) for line in lines.all]
    assert sorted(logged) == sorted((message, id) for id in ids for message in ("start", "end"))


def test_lines_of_groups_and_branches_are_logged_once(durable, app, flavour, any_mode, lines):
    def branch(ctx, n):
        ctx.logger.info("%s start", n)
        yield ctx.step.run("x", lambda: 0)
        ctx.logger.info("%s middle", n)
        yield ctx.step.sleep("s", "1h")
        ctx.logger.info("%s end", n)

    def body(ctx):
        ctx.logger.info("start")
        yield ctx.step.map_group("mg", flavour.code(lambda n: branch(ctx, n)), [1, 2, 3], max_concurrency=2)
        ctx.logger.info("between")
        yield ctx.step.group("g", flavour.code(lambda: branch(ctx, 4)))
        ctx.logger.info("end")

    run = durable(app, steps_per_invocation=any_mode).run(flavour.function(app, body))
    assert run.status == "completed", run.error
    of_branches = [f"{n} {where}" for n in (1, 2, 3, 4) for where in ("start", "middle", "end")]
    assert sorted(lines.messages) == sorted(["start", *of_branches, "between", "end"])
    assert lines.messages[0] == "start"
    assert lines.messages[-5:] == ["between", "4 start", "4 middle", "4 end", "end"]
    assert {line["run_id"] for line in lines.all} == {run.run_id}


def test_lines_of_tasks_are_logged_once(durable, app, any_mode, lines):
    @app.function("f")
    async def f(ctx: AsyncContext) -> None:
        async def task(id):
            ctx.logger.info("%s start", id)
            await ctx.step.run(id, lambda: 0)
            ctx.logger.info("%s middle", id)
            await ctx.step.run(f"then {id}", lambda: 0)
            ctx.logger.info("%s end", id)

        await asyncio.gather(task("slow"), task("fast"), task("idle"))
        ctx.logger.info("joined")
        await ctx.step.sleep("s", "1h")
        ctx.logger.info("end")

    rt = durable(app, steps_per_invocation=any_mode)
    rt.stub("slow", takes="20s")
    rt.stub("fast", takes="5s")
    run = rt.run(f)
    assert run.status == "completed", run.error
    of_tasks = [f"{id} {where}" for id in ("slow", "fast", "idle") for where in ("start", "middle", "end")]
    assert sorted(lines.messages) == sorted([*of_tasks, "joined", "end"])
    assert lines.messages[-2:] == ["joined", "end"]


def test_lines_of_submitted_steps_are_logged_once(durable, app, any_mode, lines):
    @app.function("f")
    def f(ctx: Context) -> None:
        ctx.logger.info("start")
        futures = [ctx.step.submit(f"s{n}", lambda: 0) for n in range(3)]
        ctx.logger.info("submitted")
        ctx.step.wait(futures, return_when="FIRST_COMPLETED")
        ctx.logger.info("one")
        ctx.step.wait(futures)
        ctx.logger.info("all")

    rt = durable(app, steps_per_invocation=any_mode)
    for n in range(3):
        rt.stub(f"s{n}", takes=f"{n + 1}m")
    assert rt.run(f).status == "completed"
    assert lines.messages == ["start", "submitted", "one", "all"]


def test_a_steps_function_logs_once_an_attempt_with_its_step(durable, app, flavour, any_mode, lines):
    attempts = []

    def body(ctx):
        def fn():
            attempts.append(0)
            ctx.logger.info("try %s", len(attempts))
            if len(attempts) < 3:
                fail()

        yield ctx.step.run("x", fn)
        yield ctx.step.sleep("s", "1h")
        ctx.logger.info("end")

    run = durable(app, steps_per_invocation=any_mode).run(flavour.function(app, body))
    assert run.status == "completed", run.error
    tries = [(line["message"], line.get("step_id"), line.get("attempt")) for line in lines.all]
    assert tries == [("try 1", "x", 1), ("try 2", "x", 2), ("try 3", "x", 3), ("end", None, None)]
    assert {line["run_id"] for line in lines.all} == {run.run_id}


def test_a_line_before_a_step_that_waits_for_its_retry_is_there_at_once(durable, app, flavour, mode, lines):
    def body(ctx):
        ctx.logger.info("start")
        yield ctx.step.run("x", fail)

    rt = durable(app, steps_per_invocation=mode)
    rt.start(flavour.function(app, body, retry=Retry.fixed("1h", 3)))
    rt.advance("1m")
    assert lines.messages == ["start"]
    rt.drain()
    assert lines.messages == ["start"]


def test_lines_before_a_sleep_are_there_while_it_sleeps(durable, app, flavour, mode, lines):
    def body(ctx):
        ctx.logger.info("start")
        yield ctx.step.sleep("s", "1d")
        ctx.logger.info("end")

    rt = durable(app, steps_per_invocation=mode)
    rt.start(flavour.function(app, body))
    rt.advance("1h")
    assert lines.messages == ["start"]


def test_what_led_to_an_error_is_logged(durable, app, flavour, mode, lines):
    def body(ctx):
        ctx.logger.info("start")
        try:
            yield ctx.step.run("x", fail)
        except StepError:
            ctx.logger.exception("x failed")
        yield ctx.step.run("y", lambda: 0)
        ctx.logger.info("give up")
        raise StepError("no")

    run = durable(app, steps_per_invocation=mode).run(flavour.function(app, body))
    assert run.status == "failed"
    assert lines.messages == ["start", "x failed", "give up"]
    assert "StepError" in lines.all[1]["exception"]


def test_lines_before_a_memoized_step_are_not_repeated_when_the_handler_is_tried_again(
    durable, app, flavour, mode, lines
):
    def body(ctx):
        ctx.logger.info("start")
        yield ctx.step.run("a", lambda: 0)
        ctx.logger.info("attempt %s", ctx.attempt)
        if ctx.attempt < 3:
            raise ValueError("no")

    run = durable(app, steps_per_invocation=mode).run(flavour.function(app, body))
    assert run.status == "completed", run.error
    assert lines.messages == ["start", "attempt 1", "attempt 2", "attempt 3"]


def test_functions_log_each_for_itself(durable, app, lines):
    @app.function("f")
    def f(ctx: Context) -> None:
        ctx.logger.info("from f")

    @app.function("other")
    def other(ctx: Context) -> None:
        ctx.logger.info("from other")

    others = Lines("other")
    try:
        rt = durable(app)
        rt.run(f)
        rt.run(other)
        assert [(line["message"], line["function_id"]) for line in lines.all] == [("from f", "f")]
        assert [(line["message"], line["function_id"]) for line in others.all] == [("from other", "other")]
    finally:
        others.close()


def test_who_logs_when_a_handler_has_ended_is_heard(durable, app, flavour, mode, lines):
    def body(ctx):
        ctx.logger.info("in it")
        yield ctx.step.sleep("nap", "1h")

    durable(app, steps_per_invocation=mode).run(flavour.function(app, body))
    logging.getLogger("f").warning("after it")
    assert [line.get("message") for line in lines.all] == ["in it", "after it"]
