"""What a run costs, counted: issue 2, point 4; DESIGN.md, 'The state'."""

import asyncio
import subprocess
import sys
from collections import Counter

import pytest
from test_steps import Async, Sync, nothing

from lambda_durable import (
    AsyncContext,
    Batch,
    Context,
    Debounce,
    Durable,
    Event,
    NonRetriableError,
    Retry,
    Throttle,
    every,
    on_event,
)
from lambda_durable.aws.table import SHARDS

WRITES = {"dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:TransactWriteItems"}


@pytest.fixture(params=[Sync(), Async()], ids=lambda flavour: flavour.name)
def flavour(request):
    return request.param


@pytest.fixture
def app():
    return Durable("t")


class Cost:
    """What a run took, from its start to its end."""

    def __init__(self, rt, function, *, sent=False):
        if sent:
            rt.send(Event("go"))
        else:
            rt.start(function)
        rt.drain()
        self.calls = rt.calls.copy()
        self.invocations = rt.invocations
        self.items_read = rt.usage.items_read
        self.write_units = rt.usage.write_units
        (run,) = rt.runs()
        assert run.status == "completed", rt.get(run.run_id).error

    @property
    def writes(self):
        return sum(count for call, count in self.calls.items() if call in WRITES)


def sequence(flavour, app, n, output="x", id="f"):
    """A function of `n` steps, one after the other."""

    def body(ctx):
        for _ in range(n):
            yield ctx.step.run("a step", lambda: output)

    return flavour.function(app, body, id)


def cost_of_sequence(durable, flavour, n, mode, output="x"):
    app = Durable("t")
    return Cost(durable(app, steps_per_invocation=mode), sequence(flavour, app, n, output))


# a step


def test_a_sequential_step_stepwise_costs_a_query_a_conditional_write_and_a_message(durable, flavour):
    few, many = (cost_of_sequence(durable, flavour, n, 1) for n in (3, 13))
    assert many.calls - few.calls == {"dynamodb:Query": 10, "dynamodb:PutItem": 10, "sqs:SendMessage": 10}
    assert many.invocations - few.invocations == 10


def test_with_all_a_step_costs_one_conditional_write(durable, flavour):
    few, many = (cost_of_sequence(durable, flavour, n, "all") for n in (3, 13))
    assert many.calls - few.calls == {"dynamodb:PutItem": 10}
    assert many.invocations == few.invocations


def test_with_n_steps_in_an_invocation_there_are_so_many_fewer_queries_and_messages(durable, flavour):
    few, many = (cost_of_sequence(durable, flavour, n, 5) for n in (5, 25))
    assert many.calls - few.calls == {"dynamodb:Query": 4, "dynamodb:PutItem": 20, "sqs:SendMessage": 4}


@pytest.mark.parametrize("mode", [1, "all"])
def test_every_write_of_a_step_is_conditional(durable, flavour, mode):
    app = Durable("t")
    rt = durable(app, steps_per_invocation=mode)
    conditions = []
    rt.aws("dynamodb").meta.events.register(
        "provide-client-params.dynamodb.PutItem",
        lambda params, **_: conditions.append("ConditionExpression" in params),
    )
    Cost(rt, sequence(flavour, app, 3))
    assert all(conditions)


@pytest.mark.parametrize("mode", [1, "all"])
def test_a_sleep_costs_one_write_and_one_message_or_schedule(durable, flavour, mode):
    def cost(*durations):
        app = Durable("t")

        def body(ctx):
            for duration in durations:
                yield ctx.step.sleep("s", duration)

        return Cost(durable(app, steps_per_invocation=mode), flavour.function(app, body))

    none, short, long = cost(), cost("5m", "5m"), cost("3d", "3d")
    assert short.calls - none.calls == {"dynamodb:Query": 2, "dynamodb:PutItem": 2, "sqs:SendMessage": 2}
    # A schedule fires within its minute, so it is set to the minute before, and a message does the rest.
    assert long.writes - none.writes == 2
    assert long.calls["scheduler:CreateSchedule"] == 2
    assert long.calls["sqs:SendMessage"] - none.calls["sqs:SendMessage"] <= 2


def test_a_step_with_900_bytes_of_output_is_one_write_unit(durable, flavour):
    for mode in (1, "all"):
        none = cost_of_sequence(durable, flavour, 0, mode)
        some = cost_of_sequence(durable, flavour, 10, mode, output="x" * 898)  # and two quotes
        assert some.write_units - none.write_units == 10


# a run


@pytest.mark.parametrize("mode", [1, "all"])
def test_a_run_costs_two_header_writes(durable, flavour, mode):
    cost = cost_of_sequence(durable, flavour, 0, mode)
    assert cost.writes == 2
    assert cost.invocations == 1  # the start, which goes on with the run
    assert (cost.calls["dynamodb:Query"], cost.calls["sqs:SendMessage"]) == (0, 1)  # the client's


@pytest.mark.parametrize(("mode", "invocations"), [(1, 5), ("all", 1)])
def test_a_run_of_five_steps_begins_in_the_invocation_that_has_its_event(durable, flavour, mode, invocations):
    app = Durable("t")
    f = flavour.function(
        app, lambda ctx: (ctx.step.run("a step", int) for _ in range(5)), triggers=on_event("go")
    )
    cost = Cost(durable(app, steps_per_invocation=mode), f, sent=True)
    assert (cost.invocations, cost.calls["sqs:SendMessage"]) == (invocations, invocations - 1)
    assert cost.calls["dynamodb:Query"] == invocations - 1
    assert cost.writes == 1 + 2 + 5


@pytest.mark.parametrize("mode", [1, "all"])
def test_a_run_that_an_event_started_costs_one_event_write_more(durable, flavour, mode):
    app = Durable("t")
    f = flavour.function(app, nothing, triggers=on_event("go"))
    cost = Cost(durable(app, steps_per_invocation=mode), f, sent=True)
    assert cost.writes == 3


def index_units(durable, *, labels=None, fails=False, sleeps="1m", **options):
    app = Durable("t", retry=Retry.never())

    @app.function("f", labels=labels, **options)
    def f(ctx: Context) -> None:
        ctx.step.sleep("s", sleeps)
        if fails:
            raise ValueError

    rt = durable(app)
    rt.start(f)
    rt.drain()
    return rt.usage.index_units


def test_what_a_run_takes_of_the_indexes(durable):
    assert index_units(durable) == 2  # all runs: put, and at the end that none is to look after it
    assert index_units(durable, fails=True) == 3  # those that failed
    assert index_units(durable, labels=lambda event: ["a", "b"]) == 2  # items of the table
    assert index_units(durable, throttle=Throttle(1, "1m")) == 2 + 2  # it waits, put and removed


def test_what_a_run_takes_of_the_indexes_when_it_is_looked_after(durable, app):
    @app.function("f")
    def f(ctx: Context) -> None:
        ctx.step.sleep("nap", "30m")

    rt = durable(app)
    rt.start(f)
    rt.advance("20m")
    before = rt.usage.index_units
    rt.reconcile()
    first = (
        1 + 1 + 1
    )  # not among those any more that nobody has looked after; by its next time; as one that runs
    assert rt.usage.index_units - before == first + 2  # and when it should be awake


def test_a_run_with_labels_costs_a_write_for_each(durable, app):
    @app.function("f", labels=lambda event: ["a", "b", "a"])
    def f(ctx: Context) -> None: ...

    assert Cost(durable(app), f).writes == 2 + 2


def test_an_event_is_written_once_however_many_functions_it_starts(durable):
    app = Durable("t")
    for n in range(4):

        @app.function(f"f{n}", on_event("go"))
        def f(ctx: Context) -> None: ...

    rt = durable(app)
    rt.send(Event("go"))
    rt.drain()
    assert sum(count for call, count in rt.calls.items() if call in WRITES) == 1 + 4 * 2


def test_what_a_handler_logs_or_asks_of_the_context_costs_nothing(durable, app):
    @app.function("plain")
    def plain(ctx: Context) -> None:
        ctx.step.run("x", lambda: 0)

    @app.function("curious")
    def curious(ctx: Context) -> None:
        ctx.random.random(), ctx.now(), ctx.event
        ctx.step.run("x", lambda: 0)
        ctx.now()

    assert Cost(durable(app), curious).calls == Cost(durable(app), plain).calls


# the journal as it grows


def test_with_auto_what_400_steps_read_is_less_than_5_times_what_100_read(durable):
    short, long = (cost_of_sequence(durable, Sync(), n, "auto").items_read for n in (100, 400))
    assert long < 5 * short


def test_with_auto_the_first_steps_are_one_in_an_invocation(durable, flavour):
    assert (
        cost_of_sequence(durable, flavour, 3, "auto").calls == cost_of_sequence(durable, flavour, 3, 1).calls
    )


def test_with_auto_steps_take_fewer_and_fewer_invocations(durable):
    a, b, c = (cost_of_sequence(durable, Sync(), n, "auto").invocations for n in (20, 40, 80))
    assert c - b < 1.5 * (b - a)  # twice as many steps


# side by side


def test_a_map_of_1000_stepwise_costs_at_most_12_times_one_of_100(durable):
    # SLOW: some 13 s of CPU, of the 25 s that this file takes. It is what shows that nothing is read by each for each.
    def cost(n):
        app = Durable("t")

        @app.function("f")
        def f(ctx: Context) -> int:
            return len(ctx.step.map("m", abs, range(n)))

        return Cost(durable(app, steps_per_invocation=1), f)

    narrow, wide = cost(100), cost(1000)
    assert wide.calls.total() <= 12 * narrow.calls.total()
    assert wide.invocations <= 12 * narrow.invocations
    assert wide.items_read <= 12 * narrow.items_read
    for call, count in narrow.calls.items():
        assert wide.calls[call] <= max(12 * count, 12), call


def test_gathered_steps_with_all_cost_a_write_each_and_none_for_their_order(durable):
    def cost(k):
        app = Durable("t")

        @app.function("f")
        async def f(ctx: AsyncContext) -> None:
            await asyncio.gather(*(ctx.step.run(f"s{n}", lambda: 0) for n in range(k)))

        return Cost(durable(app, steps_per_invocation="all"), f)

    few, many = cost(2), cost(12)
    assert few.writes == 2 + 2
    assert many.calls - few.calls == {"dynamodb:PutItem": 10}
    assert many.invocations == few.invocations


def test_gathered_steps_of_different_length_cost_no_order_write_either(durable, app):
    @app.function("f")
    async def f(ctx: AsyncContext) -> None:
        await asyncio.gather(*(ctx.step.run(f"s{n}", lambda: 0) for n in range(5)))

    rt = durable(app, steps_per_invocation="all")
    for n in range(5):
        rt.stub(f"s{n}", takes=f"{9 - n}s")
    assert Cost(rt, f).writes == 2 + 5


def test_a_race_costs_one_write_more(durable, app):
    @app.function("f")
    async def f(ctx: AsyncContext) -> str:
        tasks = {name: asyncio.create_task(ctx.step.run(name, lambda: 0)) for name in ("slow", "fast")}
        done, _ = await asyncio.wait(tasks.values(), return_when=asyncio.FIRST_COMPLETED)
        won = "fast" if tasks["fast"] in done else "slow"
        await tasks["slow"]
        return await ctx.step.run("winner", lambda: won)

    rt = durable(app, steps_per_invocation="all")
    rt.stub("slow", takes="20s")
    rt.stub("fast", takes="5s")
    assert Cost(rt, f).writes == 2 + 3 + 1


def test_a_race_of_a_sync_handler_costs_one_write_more(durable, app):
    @app.function("f")
    def f(ctx: Context) -> str:
        futures = {name: ctx.step.submit(name, lambda: 0) for name in ("slow", "fast")}
        done, _ = ctx.step.wait(tuple(futures.values()), return_when="FIRST_COMPLETED")
        won = "fast" if futures["fast"] in done else "slow"
        futures["slow"].result()
        return ctx.step.run("winner", lambda: won)

    rt = durable(app, steps_per_invocation="all")
    rt.stub("slow", takes="20s")
    rt.stub("fast", takes="5s")
    assert Cost(rt, f).writes == 2 + 3 + 1


def test_once_a_group_is_done_replay_reads_only_its_result(durable, app):
    def cost(inside, after):
        app = Durable("t")

        @app.function("f")
        def f(ctx: Context) -> None:
            def group():
                for n in range(inside):
                    ctx.step.run(f"i{n}", lambda: 0)

            ctx.step.group("g", group)
            for n in range(after):
                ctx.step.run(f"a{n}", lambda: 0)

        return Cost(durable(app, steps_per_invocation=1), f).items_read

    assert cost(10, 8) - cost(10, 4) == cost(2, 8) - cost(2, 4)


# what only the outside world ends


def cost_each(durable, mode, make, *, act=None):
    """What one of `make(app, n)`'s waits costs: its calls, invocations and write units."""

    def total(n):
        app = Durable("t")
        function = make(app, n)
        rt = durable(app, steps_per_invocation=mode)
        rt.start(function)
        if act is not None:
            for number in range(n):
                rt.advance("1s")
                act(rt, number)
        rt.drain()
        calls = Counter(rt.calls)
        assert {run.status for run in rt.runs()} == {"completed"}
        return calls, rt.invocations, rt.usage.write_units

    (few, *less), (many, *more) = total(3), total(13)
    calls = {call: (many[call] - few[call]) / 10 for call in many if many[call] != few[call]}
    return calls, *((b - a) / 10 for a, b in zip(less, more, strict=True))


@pytest.mark.parametrize("mode", [1, "all"])
def test_a_wait_for_an_event_that_comes_costs_six_small_writes_of_which_the_event_is_one(durable, mode):
    def make(app, n):
        @app.function("f")
        def f(ctx: Context) -> None:
            for _ in range(n):
                ctx.step.wait_for_event("w", "paid", timeout="5m")

        return f

    calls, invocations, write_units = cost_each(durable, mode, make, act=lambda rt, _: rt.send(Event("paid")))
    assert calls == {
        "dynamodb:PutItem": 3,  # the wait, who waits, the event
        "dynamodb:UpdateItem": 2,  # the paths in use (once in a process), the wait's end
        "dynamodb:DeleteItem": 1,
        "dynamodb:GetItem": 1,  # the paths in use
        "dynamodb:Query": 3,  # who waits by this path; the run, for the wake-up and for the time-out
        "sqs:SendMessage": 2,
        "events:PutEvents": 1,
    }
    assert (invocations, write_units) == (3, 6)


@pytest.mark.parametrize("mode", [1, "all"])
def test_a_wait_for_an_event_that_never_comes_costs_a_query_and_five_writes(durable, mode):
    def make(app, n):
        @app.function("f")
        def f(ctx: Context) -> None:
            for _ in range(n):
                ctx.step.wait_for_event("w", "paid", timeout="5m")

        return f

    calls, invocations, write_units = cost_each(durable, mode, make)
    assert calls == {
        "dynamodb:PutItem": 3,  # the wait, who waits, the wait's end
        "dynamodb:UpdateItem": 1,  # the paths in use (once in a process)
        "dynamodb:DeleteItem": 1,
        "dynamodb:Query": 1,
        "sqs:SendMessage": 1,
    }
    assert (invocations, write_units) == (1, 5)


@pytest.mark.parametrize("mode", [1, "all"])
def test_a_wait_for_a_signal_costs_four_writes(durable, mode):
    def make(app, n):
        @app.function("f")
        def f(ctx: Context) -> None:
            for number in range(n):
                ctx.step.wait_for_signal("w", f"signal {number}", timeout="5m")

        return f

    calls, invocations, write_units = cost_each(
        durable, mode, make, act=lambda rt, n: rt.client.send_signal(f"signal {n}", n)
    )
    assert calls == {
        "dynamodb:PutItem": 2,  # the wait, who waits
        "dynamodb:UpdateItem": 1,
        "dynamodb:DeleteItem": 1,
        "dynamodb:GetItem": 3,  # who waits; whether it does: its run, and the wait
        "dynamodb:Query": 3,  # the wake-up, that which comes if the sender dies, the time-out
        "sqs:SendMessage": 3,
    }
    assert (invocations, write_units) == (3, 4)


@pytest.mark.parametrize("mode", [1, "all"])
@pytest.mark.parametrize("submitted", [False, True])
def test_a_wait_for_a_callback_costs_two_writes_and_its_submit_one(durable, mode, submitted):
    tokens = []

    def submit(callback):
        tokens.append(callback.token)

    def make(app, n):
        @app.function("f")
        def f(ctx: Context) -> None:
            for _ in range(n):
                ctx.step.wait_for_callback("w", submit if submitted else None, timeout="5m")

        return f

    def act(rt, n):
        if not submitted:
            (run,) = rt.runs()
            tokens.append(rt.get(run.run_id).steps[f"w:{n}" if n else "w"].waiting_for.token)
        before = rt.calls.copy()
        assert rt.client.complete_callback(tokens[-1], n)
        assert rt.calls - before == {
            "dynamodb:GetItem": 2,  # the wait, and whether its run goes on
            "dynamodb:UpdateItem": 1,
            "sqs:SendMessage": 2,
        }

    calls, invocations, write_units = cost_each(durable, mode, make, act=act)
    if submitted:
        assert calls == {
            "dynamodb:PutItem": 2,  # the wait, its submit
            "dynamodb:UpdateItem": 1,
            "dynamodb:GetItem": 2,
            "dynamodb:Query": 3,  # the wake-up, that which comes if the client dies, the time-out
            "sqs:SendMessage": 3,
        }
        assert invocations == 3
    assert write_units == (3 if submitted else 2)


def test_a_heartbeat_costs_two_reads_and_at_most_a_write(durable, app):
    tokens = []

    @app.function("f")
    def f(ctx: Context) -> None:
        ctx.step.wait_for_callback(
            "w", lambda callback: tokens.append(callback.token), timeout="60m", heartbeat="10m"
        )

    rt = durable(app)
    rt.start(f)
    rt.advance("1m")
    before = rt.calls.copy()
    assert rt.client.heartbeat_callback(tokens[0])
    assert rt.calls - before == {"dynamodb:GetItem": 2, "dynamodb:UpdateItem": 1}
    before = rt.calls.copy()
    assert rt.client.heartbeat_callback(tokens[0])  # at the same moment
    assert rt.calls - before == {"dynamodb:GetItem": 2}

    before, woken = rt.calls.copy(), rt.invocations
    for _ in range(40):  # of which each comes long before the last one is over
        rt.advance("1m")
        rt.client.heartbeat_callback(tokens[0])
    assert rt.invocations - woken <= 5
    assert (rt.calls - before)["dynamodb:UpdateItem"] == 40


@pytest.mark.parametrize("mode", [1, "all"])
def test_to_invoke_a_function_costs_its_run_and_two_writes(durable, mode):
    def make(app, n):
        @app.function("child")
        def child(ctx: Context) -> None: ...

        @app.function("f")
        def f(ctx: Context) -> None:
            for _ in range(n):
                ctx.step.invoke("i", child, {})

        return f

    calls, invocations, write_units = cost_each(durable, mode, make)
    assert calls == {
        "dynamodb:PutItem": 2,  # the step, the child's start
        "dynamodb:UpdateItem": 2,  # the child's end, the step's
        "dynamodb:GetItem": 1,  # whether the parent still runs, else nobody would cancel the child
        "dynamodb:Query": 1,
        "sqs:SendMessage": 2,  # start, which the child goes on with; go on with the parent
    }
    assert (invocations, write_units) == (2, 4)


def test_to_send_an_event_costs_a_step_and_one_call_of_the_bus(durable):
    def make(app, n):
        @app.function("f")
        def f(ctx: Context) -> None:
            for _ in range(n):
                ctx.step.send_event("e", Event("nobody wants it"))

        return f

    calls, invocations, write_units = cost_each(durable, "all", make)
    assert calls == {
        "dynamodb:PutItem": 2,  # the step, and the event when it comes in
        "dynamodb:GetItem": 1,  # whether anybody waits for it
        "events:PutEvents": 1,
    }
    assert (invocations, write_units) == (1, 2)


def test_an_event_costs_one_query_for_each_path_by_which_runs_wait_however_many_do(durable):
    def reads(waiting):
        app = Durable("t")

        @app.function("f", on_event("ordered"))
        def f(ctx: Context) -> None:
            ctx.step.wait_for_event("w", "paid", match="data.order", timeout="5m")

        rt = durable(app)
        rt.send(*(Event("ordered", {"order": n}) for n in range(waiting)))
        rt.advance("1s")
        before = Counter(rt.calls)
        rt.send(Event("paid", {"order": -1}))
        rt.advance("1s")
        return Counter(rt.calls) - before

    assert reads(20) == reads(2)
    assert reads(2)["dynamodb:Query"] == 1


# what is large


@pytest.mark.parametrize("steps", [3, 13])
def test_a_large_event_is_read_once_in_an_invocation(durable, flavour, steps):
    app = Durable("t")
    rt = durable(app, steps_per_invocation=1)
    rt.start(sequence(flavour, app, steps), {"text": "x" * 10_000})
    rt.drain()
    assert rt.calls["s3:GetObject"] == rt.invocations - 1  # the first one writes it


# what runs when nothing runs


def scheduled(app):
    @app.function("f", every("1h"))
    def f(ctx: Context) -> None: ...

    return f


def test_what_a_schedule_starts_costs_two_header_writes(durable, app):
    scheduled(app)
    rt = durable(app)
    rt.advance("1h")
    before, invocations = Counter(rt.calls), rt.invocations
    rt.advance("1h")
    assert Counter(rt.calls) - before == {"dynamodb:PutItem": 1, "dynamodb:UpdateItem": 1}
    assert rt.invocations - invocations == 1


def test_the_reconciler_costs_queries_for_each_function_and_a_look_at_the_queue(durable, app):
    @app.function("f")
    def f(ctx: Context) -> None: ...

    rt = durable(app)
    for _ in range(30):
        rt.start(f)
    rt.drain()
    before = Counter(rt.calls)
    rt.reconcile()
    assert Counter(rt.calls) - before == {
        "dynamodb:Query": SHARDS
        + SHARDS,  # those that were looked after; of the function, those that began lately
        "dynamodb:GetItem": 2,  # how far the last looks came
        "dynamodb:PutItem": 1,
        "sqs:GetQueueAttributes": 1,
    }


def test_a_run_that_sleeps_is_looked_after_ever_more_seldom(durable, app):
    @app.function("f")
    def f(ctx: Context) -> None:
        ctx.step.sleep("long", "20d")

    rt = durable(app)
    rt.start(f)
    rt.advance("1m")
    before = rt.invocations
    for _ in range(19 * 4):
        rt.advance("6h")
        rt.reconcile()
        rt.advance("0s")
    assert rt.invocations - before <= 3


def test_a_run_that_waits_for_another_is_looked_after_ever_more_seldom(durable, app):
    @app.function("child")
    def child(ctx: Context) -> None:
        ctx.step.sleep("long", "20d")

    @app.function("f")
    def f(ctx: Context) -> None:
        ctx.step.invoke("i", child, {})

    rt = durable(app)
    rt.start(f)
    rt.advance("1m")
    before = rt.invocations
    for _ in range(19 * 4):
        rt.advance("6h")
        rt.reconcile()
        rt.advance("0s")
    assert rt.invocations - before <= 40


@pytest.mark.parametrize("deployed", [False, True])
def test_a_callback_that_newer_code_registers_costs_no_read_more(durable, deployed):
    def make(version):
        app = Durable("t")

        @app.function("f", version=version)
        def f(ctx: Context) -> None:
            ctx.step.sleep("nap", "1m")
            ctx.step.wait_for_callback("w", lambda callback: None, timeout="5m")

        return app, f

    app, f = make("1")
    rt = durable(app)
    rt.start(f)
    rt.advance("1s")
    if deployed:
        rt.deploy(make("2")[0])
    before = rt.calls.copy()
    rt.advance("2m")
    assert (rt.calls - before)["dynamodb:Query"] == 1  # the run, when its sleep is over


# undo


def cost_of_undo(durable, *, undo, fails):
    def make(n):
        app = Durable("t")

        @app.function("f")
        def f(ctx: Context) -> None:
            step = ctx.step.options(undo=print) if undo else ctx.step
            for _ in range(n):
                step.run("s", lambda: 0)
            if fails:
                raise NonRetriableError("enough")

        rt = durable(app, steps_per_invocation="all")
        rt.start(f)
        rt.drain()
        return Counter(rt.calls)

    few, many = make(3), make(13)
    return {call: (many[call] - few[call]) / 10 for call in many if many[call] != few[call]}


def test_a_step_with_an_undo_costs_a_claim_and_a_look_at_the_header_more(durable):
    # What ends the run otherwise looks for claims; a step looks whether that has begun.
    assert cost_of_undo(durable, undo=False, fails=False) == {"dynamodb:PutItem": 1}
    assert cost_of_undo(durable, undo=True, fails=False) == {"dynamodb:PutItem": 2, "dynamodb:GetItem": 1}


def test_to_undo_a_step_costs_one_write(durable):
    assert cost_of_undo(durable, undo=False, fails=True) == {"dynamodb:PutItem": 1}
    assert cost_of_undo(durable, undo=True, fails=True) == {"dynamodb:PutItem": 3, "dynamodb:GetItem": 1}


# continuing as new


def test_to_continue_as_new_costs_one_write_and_one_message(durable):
    def make(app, n):
        @app.function("f")
        def f(ctx: Context[int | None]) -> None:
            ctx.step.run("s", lambda: 0)
            done = ctx.event.data or 0
            if done < n:
                ctx.continue_as_new(done + 1)

        return f

    calls, invocations, write_units = cost_each(durable, 1, make)
    assert calls == {
        "dynamodb:PutItem": 1,  # the step
        "dynamodb:UpdateItem": 1,
        "dynamodb:Query": 1,
        "dynamodb:GetItem": 1,  # the header, which lies elsewhere than a later journal
        "sqs:SendMessage": 1,
    }
    assert (invocations, write_units) == (1, 2)


# events that are collected


def cost_of_event(durable, **flow):
    """What an event more costs, with what its function has."""

    def cost(count):
        app = Durable("t")

        @app.function("f", on_event("go"), **flow)
        def f(ctx: Context[dict]) -> None:
            pass

        rt = durable(app)
        for _ in range(count):
            rt.send(Event("go"))
            rt.advance("1s")
        rt.drain()
        return rt.calls, rt.usage.write_units, rt.invocations

    (few, less, before), (many, more, after) = cost(3), cost(13)
    calls = {call: (many[call] - few[call]) / 10 for call in many if many[call] != few[call]}
    assert (calls.pop("events:PutEvents"), calls.pop("dynamodb:GetItem")) == (1, 1)  # sent; who waits for it
    return calls, (more - less) / 10, (after - before) / 10


def test_an_event_that_is_debounced_costs_one_write_beside_its_own_and_no_message(durable):
    cost = cost_of_event(durable, debounce=Debounce("1h"))
    assert cost == ({"dynamodb:PutItem": 1, "dynamodb:UpdateItem": 1}, 2, 1)


def test_an_event_that_is_batched_costs_three_writes_beside_its_own_and_no_message(durable):
    # The seat is given out, written down for the event, and taken.
    calls, write_units, invocations = cost_of_event(durable, batch=Batch(100, "1h"))
    assert calls == {"dynamodb:PutItem": 3, "dynamodb:UpdateItem": 1}
    assert 4 <= write_units < 4.5  # the run's header has the events, up to 4 KB
    assert invocations == 1


def test_a_burst_costs_two_writes_and_a_message_beside_its_events_and_run(durable):
    def cost(**flow):
        app = Durable("t")

        @app.function("f", on_event("go"), **flow)
        def f(ctx: Context[dict]) -> None:
            pass

        return Cost(durable(app), f, sent=True).calls

    plain = cost()
    burst = cost(debounce=Debounce("1m"))
    batch = cost(batch=Batch(9, "1m"))
    full = cost(batch=Batch(1, "1m"))
    # The event joins; a wake is sent, and noted; it looks whether the run is there and what was collected, begins the
    # run, whose message loads it, and ends the burst.
    assert burst - plain == {
        "dynamodb:UpdateItem": 3,
        "dynamodb:GetItem": 3,
        "dynamodb:Query": 1,
        "sqs:SendMessage": 2,
    }
    assert batch - plain == {
        "dynamodb:UpdateItem": 4,  # no seat, another batch, a wake, closed
        "dynamodb:PutItem": 3,  # the event's seat, the event there, and that all is done
        "dynamodb:GetItem": 2,
        "dynamodb:Query": 2,
        "sqs:SendMessage": 2,
    }
    assert full - batch == {"dynamodb:GetItem": 1}  # the wake, which finds it run


# a cold start


def test_a_cold_start_loads_nothing_that_only_some_runs_need():
    rare = {
        "aws_encryption_sdk",
        "asyncio",
        "aws_lambda_powertools",
        "boto3",
        "celpy",
        "lambda_durable.ai",
        "lambda_durable.aws.bedrock",
        "lambda_durable.catalogue",
        "lambda_durable.client",
        "lambda_durable.encryption",
        "lambda_durable.engine.survey",
        "lambda_durable.queues",
        "lambda_durable.runs",
        "lambda_durable.runtime.registration",
        "lambda_durable.runtime.undoing",
        "lambda_durable.runtime.views",
        "lambda_durable.schedules",
        "pycurl",
        "pydantic",
        "s3transfer",
    }
    code = "import sys, lambda_durable, lambda_durable.handler, lambda_durable.aws.world; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "lambda_durable.runtime.worker" in loaded
    assert rare.isdisjoint(loaded)


def test_annotations_of_jsons_own_types_load_no_pydantic():
    code = """
import sys
from lambda_durable import Context, Durable, ErrorInfo, Event
from lambda_durable.runtime.messages import parse

@Durable("app").function("f")
def f(ctx: Context[dict[str, int]]) -> list[str]: ...

parse('{"kind": "start", "function": "f", "run": "r", "event": "{}"}')
f.validate(Event("e", {"n": 1}))
f.codec.decode(f.codec.encode(["a"]))
ErrorInfo.of(ValueError("no"))
print(*sys.modules)
"""
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "pydantic" not in loaded
