"""`ctx.continue_as_new`: the same run, begun anew."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from pydantic import BaseModel

from lambda_durable import (
    AsyncContext,
    CancelOn,
    ConfigurationError,
    Context,
    Durable,
    Event,
    NestedStepError,
    PayloadTooLargeError,
    Timeouts,
    current_step,
    on_event,
)
from lambda_durable.errors import EventDataError


class Round(BaseModel):
    number: int = 1
    last: int = 3


class Loops:
    """A loop as a sync and as an async function, and what it did."""

    def __init__(self, mode):
        self.app = app = Durable("app", steps_per_invocation=mode)
        self.effects = effects = []
        self.keys = keys = []
        self.seen = seen = []

        def bill(number):
            effects.append(number)
            keys.append(current_step().idempotency_key)
            return number

        def look(ctx):
            seen.append((ctx.attempt, ctx.started_at, ctx.run_id, ctx.event.name, ctx.event.id))

        @app.function("sync", on_event("go", Round))
        def sync(ctx: Context[Round]) -> int:
            look(ctx)
            round = ctx.event.data
            ctx.step.run("bill", bill, round.number)
            ctx.step.sleep("month", "30d")
            if round.number < round.last:
                ctx.continue_as_new(Round(number=round.number + 1, last=round.last))
            return round.number

        @app.function("async", on_event("go", Round))
        async def async_(ctx: AsyncContext[Round]) -> int:
            look(ctx)
            round = ctx.event.data
            await ctx.step.run("bill", bill, round.number)
            await ctx.step.sleep("month", "30d")
            if round.number < round.last:
                ctx.continue_as_new(Round(number=round.number + 1, last=round.last))
            return round.number


@pytest.fixture(params=[1, "all", "auto"])
def loops(request):
    return Loops(request.param)


@pytest.mark.parametrize("name", ["sync", "async"])
def test_each_round_has_a_journal_of_its_own(durable, loops, name):
    rt = durable(loops.app)
    run = rt.run(loops.app.functions[name], Round())

    assert (run.status, run.output, run.continuations) == ("completed", 3, 2)
    assert loops.effects == [1, 2, 3]
    assert len(set(loops.keys)) == 3
    assert run.event.data == {"number": 3, "last": 3}
    assert set(run.steps) == {"bill", "month"}
    assert run.ended_at - run.started_at >= timedelta(days=90)
    assert {run.run_id for run in rt.runs()} == {run.run_id}
    assert len(set(loops.seen)) == 1


# what leaves the handler


@pytest.mark.parametrize("how", ["plain", "gather", "task group", "finally", "forgotten task"])
def test_it_leaves_an_async_handler_from_wherever_it_is(durable, how):
    app, effects, tasks = Durable("app"), [], set()

    @app.function("f")
    async def f(ctx: AsyncContext[int]) -> str:
        async def again() -> None:
            await ctx.step.run("one", effects.append, ctx.event.data)
            ctx.continue_as_new(ctx.event.data + 1)

        async def work() -> None:
            await ctx.step.sleep("nap", "1d")
            await ctx.step.run("after", effects.append, "after")

        if ctx.event.data == 2:
            return "done"
        if how == "plain":
            await again()
        elif how == "gather":
            await asyncio.gather(work(), again())
        elif how == "task group":
            async with asyncio.TaskGroup() as group:
                group.create_task(work())
                group.create_task(again())
        elif how == "finally":
            try:
                await again()
            finally:
                await ctx.step.run("in finally", effects.append, "finally")
        else:
            tasks.add(asyncio.create_task(again()))
            await work()
        return "never"

    rt = durable(app)
    run = rt.run(f, 0)
    assert (run.status, run.output, run.continuations, effects) == ("completed", "done", 2, [0, 1])


def test_it_leaves_a_sync_handler_through_finally(durable):
    app, effects = Durable("app"), []

    @app.function("f")
    def f(ctx: Context[int]) -> str:
        if ctx.event.data:
            return "done"
        try:
            ctx.continue_as_new(1)
        except Exception:
            effects.append("except")
        finally:
            ctx.step.run("in finally", effects.append, "finally")

    assert (durable(app).run(f, 0).output, effects) == ("done", [])


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_handler_that_swallows_it_fails(durable, kind):
    app = Durable("app")

    if kind == "sync":

        @app.function("f")
        def f(ctx: Context[int]) -> str:
            try:
                ctx.continue_as_new(1)
            except BaseException:
                return "swallowed"
    else:

        @app.function("f")
        async def f(ctx: AsyncContext[int]) -> str:
            try:
                ctx.continue_as_new(1)
            except BaseException:
                return "swallowed"

    run = durable(app).run(f, 0)
    assert run.status == "failed"
    assert "catch Exception" in run.error.message


# what it is refused for


@pytest.mark.parametrize("mode", [1, "all"])
def test_inside_a_step_a_group_or_a_branch_it_is_an_error(durable, mode):
    app = Durable("app", steps_per_invocation=mode)

    @app.function("f")
    def f(ctx: Context[int]) -> int:
        def within(*_: object) -> None:
            with pytest.raises(ConfigurationError, match="call it from the handler itself"):
                ctx.continue_as_new(1)

        def step() -> None:
            with pytest.raises(NestedStepError, match="inside step 's'"):
                ctx.continue_as_new(1)

        ctx.step.run("s", step)
        ctx.step.group("g", within)
        ctx.step.map_group("m", within, [1, 2])
        ctx.step.parallel("p", within, within)
        return 0

    run = durable(app).run(f, 0)
    assert (run.status, run.output) == ("completed", 0)


def test_data_that_the_model_refuses_is_an_error_at_the_call(durable):
    app, raised = Durable("app"), []

    @app.function("f", on_event("go", Round))
    def f(ctx: Context[Round]) -> None:
        try:
            ctx.continue_as_new({"number": "many"})
        except EventDataError as error:
            raised.append(str(error))
            raise

    run = durable(app).run(f, Round())
    assert (run.status, run.error.type) == ("failed", "lambda_durable.errors.EventDataError")
    assert "data.number" in raised[0]


def test_data_that_is_too_large_is_an_error_at_the_call(durable):
    app = Durable("app", max_output=1_000)

    @app.function("f")
    def f(ctx: Context[str]) -> str:
        with pytest.raises(PayloadTooLargeError, match="1,000 are allowed"):
            ctx.continue_as_new("x" * 1_000)
        return "small"

    assert durable(app).run(f, "").output == "small"


def test_large_data_goes_through_the_bucket(durable):
    app = Durable("app")

    @app.function("f")
    def f(ctx: Context[str]) -> int:
        if len(ctx.event.data) < 20_000:
            ctx.continue_as_new("x" * 20_000)
        return len(ctx.event.data)

    assert durable(app).run(f, "").output == 20_000


def test_one_that_continues_for_ever_and_does_nothing_comes_to_an_end(durable):
    app = Durable("app")

    @app.function("f")
    def f(ctx: Context[int]) -> None:
        ctx.continue_as_new(ctx.event.data + 1)

    run = durable(app).run(f, 0)
    assert (run.status, run.continuations) == ("failed", 100)
    assert run.error.message == (
        "100 invocations in a row made no progress: does it continue as new for ever, with no step, sleep or wait in "
        "between?"
    )


# what is the same, and what is not


@pytest.mark.parametrize("mode", [1, "all"])
def test_attempts_times_and_random_numbers_are_those_of_the_journal(durable, mode):
    app, seen = Durable("app", steps_per_invocation=mode), []

    @app.function("f")
    def f(ctx: Context[int]) -> None:
        if ctx.event.data == 0 and ctx.attempt < 3:
            raise RuntimeError("again")
        begin, number = ctx.now(), ctx.random.random()
        ctx.step.sleep("nap", "1d")
        seen.append((ctx.attempt, begin, number))
        if ctx.event.data < 1:
            ctx.continue_as_new(1)

    rt = durable(app)
    run = rt.run(f, 0)
    assert run.status == "completed"
    (_, begin, first), (attempt, again, second) = seen
    assert (attempt, first == second) == (1, False)
    assert again - begin >= timedelta(days=1)
    assert run.started_at <= begin


def test_the_data_of_a_failure_is_that_of_the_last_round(durable):
    app, told = Durable("app"), []

    @app.function("f")
    def f(ctx: Context[int]) -> None:
        if ctx.event.data == 2:
            raise ConfigurationError("enough")
        ctx.step.sleep("nap", "1d")
        ctx.continue_as_new(ctx.event.data + 1)

    @f.on_failure
    def failed(ctx: Context) -> None:
        told.append(ctx.event.data.event.data)

    assert durable(app).run(f, 0).status == "failed"
    assert told == [2]


@pytest.mark.parametrize("mode", [1, "all"])
@pytest.mark.parametrize("end", ["failed", "cancelled"])
def test_only_what_the_last_round_did_is_undone(durable, mode, end):
    app, undone = Durable("app", steps_per_invocation=mode), []

    @app.function("f")
    def f(ctx: Context[int]) -> None:
        number = ctx.event.data
        ctx.step.options(undo=undone.append).run("book", lambda: number)
        ctx.step.sleep("nap", "1d")
        if number == 3:
            raise ConfigurationError("enough")
        ctx.continue_as_new(number + 1)

    rt = durable(app)
    run = rt.start(f, 1)
    rt.advance("60h")
    if end == "cancelled":
        rt.client.cancel(run.run_id)
    rt.drain()
    ended = rt.get(run.run_id)
    assert (ended.status, ended.continuations, undone) == (end, 2, [3])
    assert set(ended.steps) == {"book", "nap", "undo/book"}


# what goes on outside


def endless(mode):
    """A loop that never ends, and waits for a child beside it."""
    app, effects = Durable("app", steps_per_invocation=mode), []

    @app.function("child")
    def child(ctx: Context) -> None:
        ctx.step.sleep("think", "10h")
        ctx.step.run("thought", effects.append, "child")

    @app.function("loop", timeouts=Timeouts(finish="3d"), cancel_on=CancelOn("stop", match="data.number"))
    async def loop(ctx: AsyncContext[Round]) -> None:
        asyncio.create_task(ctx.step.invoke("ask", child, {}))  # noqa: RUF006
        await ctx.step.run("work", effects.append, ctx.event.data.number)
        await ctx.step.sleep("pause", "1h")
        ctx.continue_as_new(Round(number=ctx.event.data.number + 1))

    return app, loop, effects


@pytest.mark.parametrize("mode", [1, "all"])
def test_what_it_has_invoked_is_cancelled_in_each_round(durable, mode):
    app, loop, effects = endless(mode)
    rt = durable(app)
    run = rt.start(loop, Round())
    rt.advance("150m")
    assert rt.get(run.run_id).continuations == 2
    assert sorted(found.status for found in rt.runs("child")) == ["cancelled", "cancelled", "running"]
    assert effects == [1, 2, 3]


@pytest.mark.parametrize("mode", [1, "all"])
def test_it_can_be_cancelled_in_any_round(durable, mode):
    app, loop, effects = endless(mode)
    rt = durable(app)
    run = rt.start(loop, Round())
    rt.advance("150m")
    assert rt.client.cancel(run.run_id)
    rt.drain()
    ended = rt.get(run.run_id)
    assert (ended.status, ended.continuations, effects) == ("cancelled", 2, [1, 2, 3])
    assert {found.status for found in rt.runs("child")} == {"cancelled"}


@pytest.mark.parametrize("mode", [1, "all"])
def test_its_time_out_is_that_of_the_whole_run(durable, mode):
    app, loop, effects = endless(mode)
    rt = durable(app)
    run = rt.run(loop, Round())
    assert (run.status, run.error.type) == ("failed", "lambda_durable.errors.RunTimeoutError")
    assert run.ended_at - run.started_at == timedelta(days=3)
    assert effects == list(range(1, run.continuations + 2))


def test_the_events_that_cancel_it_are_those_of_its_present_data(durable):
    app, loop, _ = endless("all")
    rt = durable(app)
    run = rt.start(loop, Round())
    rt.advance("90m")  # in its second round
    rt.send(Event("stop", {"number": 1}), Event("stop", {"number": 3}))
    rt.advance("1m")
    assert rt.get(run.run_id).status == "running"
    rt.send(Event("stop", {"number": 2}))
    rt.advance("1m")
    assert rt.get(run.run_id).status == "cancelled"


@pytest.mark.parametrize("mode", [1, "all"])
def test_who_invoked_it_gets_what_the_last_round_returns(durable, mode):
    loops = Loops(mode)

    @loops.app.function("parent")
    def parent(ctx: Context) -> object:
        return ctx.step.invoke("loop", loops.app.functions["sync"], Round(last=4))

    rt = durable(loops.app)
    assert rt.run(parent).output == 4


@pytest.mark.parametrize("mode", [1, "all"])
def test_a_signal_goes_to_the_round_that_waits_for_it(durable, mode):
    app = Durable("app", steps_per_invocation=mode)

    @app.function("f")
    async def f(ctx: AsyncContext[list]) -> list:
        if len(ctx.event.data) < 3:
            go = asyncio.create_task(ctx.step.wait_for_signal("go", "go", timeout="10d"))
            nap = asyncio.create_task(ctx.step.sleep("nap", "1d"))
            await asyncio.wait({go, nap}, return_when=asyncio.FIRST_COMPLETED)
            ctx.continue_as_new([*ctx.event.data, go.result().data if go.done() else None])
        return ctx.event.data

    rt = durable(app)
    run = rt.start(f, [])
    rt.advance("25h")
    assert rt.client.send_signal("go", 1)
    rt.drain()
    assert rt.get(run.run_id).output == [None, 1, None]


@pytest.mark.parametrize("lookback", [None, "1h"])
@pytest.mark.parametrize("mode", [1, "all"])
def test_an_event_ends_one_wait_of_all_rounds(durable, mode, lookback):
    app = Durable("app", steps_per_invocation=mode)

    @app.function("f")
    def f(ctx: Context[list]) -> list:
        if len(ctx.event.data) < 3:
            found = ctx.step.wait_for_event("paid", "paid", timeout="10m", lookback=lookback)
            ctx.continue_as_new([*ctx.event.data, found and found.data["n"]])
        return ctx.event.data

    rt = durable(app)
    run = rt.start(f, [])
    rt.advance("1m")
    rt.send(Event("paid", {"n": 1}, id="one"))
    rt.advance("1s")
    rt.send(Event("paid", {"n": 1}, id="one"))  # it comes again
    rt.advance("1m")
    rt.send(Event("paid", {"n": 2}, id="two"))
    rt.drain()
    assert rt.get(run.run_id).output == [1, 2, None]


def test_it_outlives_its_retention(durable):
    """33 months, and what a round needs has never expired; the old rounds do."""
    loops = Loops("all")
    rt = durable(loops.app)
    run = rt.start(loops.app.functions["sync"], Round(last=33))
    for _ in range(32):
        rt.advance("30d")
        items = rt.aws("dynamodb").scan(TableName="lambda-durable")["Items"]
        header = next(item for item in items if item["pk"]["S"] == run.run_id and item["sk"]["S"] == "!")
        number = header.get("J", {"N": "0"})["N"]
        live = [item for item in items if item["pk"]["S"] == f"{run.run_id}/:{number}"]
        now = rt.now().timestamp()
        assert all(int(item["x"]["N"]) > now for item in [header, *live])
    rt.drain()
    assert rt.get(run.run_id).output == 33
    items = rt.aws("dynamodb").scan(TableName="lambda-durable")["Items"]
    gone = [item for item in items if item["pk"]["S"] == f"{run.run_id}/:3"]
    assert gone
    assert all(int(item["x"]["N"]) < rt.now().timestamp() for item in gone)


# what it costs


def test_a_thousand_rounds_cost_the_same_each(durable):
    app = Durable("app", steps_per_invocation=1)

    @app.function("f")
    def f(ctx: Context[int]) -> int:
        ctx.step.run("one", int)
        ctx.step.run("two", int)
        if ctx.event.data:
            ctx.continue_as_new(ctx.event.data - 1)
        return 0

    def cost(rounds):
        rt = durable(app)
        assert rt.run(f, rounds).status == "completed"
        return rt.calls, rt.usage.items_read, rt.usage.write_units, rt.usage.read_units

    (few, read_few, wrote_few, units_few), (many, read_many, wrote_many, units_many) = cost(9), cost(1009)
    assert {call: count / 1000 for call, count in (many - few).items()} == {
        "dynamodb:GetItem": 2,  # the header lies where it always did, and not beside the new journal
        "dynamodb:Query": 2,
        "dynamodb:PutItem": 2,
        "dynamodb:UpdateItem": 1,
        "sqs:SendMessage": 2,
    }
    assert (wrote_many - wrote_few) / 1000 <= 5
    assert (read_many - read_few) / 1000 <= 3
    assert (units_many - units_few) / 1000 <= 4
