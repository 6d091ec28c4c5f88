"""`client.rerun`: a run again on the present code, whole or from a step on."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from lambda_durable import (
    AsyncContext,
    Batch,
    Concurrency,
    ConfigurationError,
    Context,
    Durable,
    Event,
    Idempotency,
    Middleware,
    NonRetriableError,
    RateLimit,
    Retry,
    RunNotFoundError,
    Timeouts,
    cron,
    current_step,
    on_event,
)
from lambda_durable.durations import to_millis
from lambda_durable.ports import Outgoing
from lambda_durable.runtime import rerunning
from lambda_durable.runtime.rerunning import message
from lambda_durable.testing import crash_everywhere

MODES = [1, "all", "auto"]
BIG = "x" * 50_000


class Shop:
    """An app whose steps are counted, and of which some are broken."""

    def __init__(self, mode="auto", **options):
        self.app = Durable("shop", steps_per_invocation=mode, retry=Retry.never(), **options)
        self.done: list[str] = []
        self.broken: set[str] = set()

    def do(self, what, value=None):
        self.done.append(what)
        if what in self.broken:
            raise ValueError(f"{what} is broken")
        return what if value is None else value


def failed(rt, function, data=None):
    run = rt.run(function, data)
    assert run.status == "failed", run
    return run


def again(rt, shop, run, **options):
    """The rerun of a run, once it is over; what was done is then what it did."""
    shop.done.clear()
    new = rt.client.rerun(run.run_id, **options).run_id
    rt.drain()
    return rt.get(new)


@pytest.fixture(params=MODES, ids=str)
def shop(request):
    return Shop(request.param)


def in_a_row(shop):
    @shop.app.function("f")
    def f(ctx: Context[dict]) -> list:
        first = ctx.step.run("a", shop.do, "a", ctx.event.data.get("a"))
        second = ctx.step.run("b", shop.do, "b", BIG)
        ctx.step.sleep("rest", "3d")
        inner = ctx.step.group(
            "g", lambda: [ctx.step.run("x", shop.do, "x"), ctx.step.run("y", shop.do, "y")]
        )
        return [first, len(second), inner, ctx.step.run("c", shop.do, "c")]

    return f


RESULT = ["a", len(BIG), ["x", "y"], "c"]


def test_a_run_is_done_again_with_its_event_on_the_present_code(durable, shop):
    rt, f = durable(shop.app), in_a_row(shop)
    shop.broken = {"y"}
    run = failed(rt, f, {"a": 1})
    shop.broken = set()
    new = again(rt, shop, run)
    assert (new.status, new.output) == ("completed", [1, *RESULT[1:]])
    assert (new.event, new.run_id == run.run_id) == (run.event, False)
    assert shop.done == ["a", "b", "x", "y", "c"]
    assert (new.rerun_of, new.rerun_from) == (run.run_id, None)
    assert rt.get(run.run_id).reruns == (new.run_id,)


@pytest.mark.parametrize(
    ("step", "anew", "kept"),
    [
        ("a", "abxyc", []),
        ("b", "bxyc", ["a"]),
        ("rest", "xyc", ["a", "b"]),
        ("g", "xyc", ["a", "b", "rest"]),
        ("g/x", "xyc", ["a", "b", "rest"]),
        ("g/y", "yc", ["a", "b", "g/x", "rest"]),
        ("c", "c", ["a", "b", "g", "g/x", "g/y", "rest"]),
    ],
)
def test_what_had_ended_before_a_step_is_kept(durable, shop, step, anew, kept):
    rt, f = durable(shop.app), in_a_row(shop)
    run = rt.run(f, {})
    new = again(rt, shop, run, from_step=step)
    assert (new.status, new.output, "".join(shop.done)) == ("completed", RESULT, anew)
    assert sorted(id for id, record in new.steps.items() if record.kept) == kept
    assert all(new.steps[id].output == run.steps[id].output for id in kept)
    assert new.rerun_from == step


def test_a_run_that_failed_goes_on_from_the_step_that_failed(durable, shop):
    rt, f = durable(shop.app), in_a_row(shop)
    shop.broken = {"y"}
    run = failed(rt, f, {})
    shop.broken = set()
    new = again(rt, shop, run, from_step=run.error.step_id)
    assert (new.status, new.output, shop.done) == ("completed", RESULT, ["y", "c"])


def test_a_rerun_can_be_done_again_itself(durable, shop):
    rt, f = durable(shop.app), in_a_row(shop)
    run = rt.run(f, {})
    once = again(rt, shop, run, from_step="g/y")
    twice = again(rt, shop, once, from_step="g/x")
    assert (twice.output, shop.done, twice.rerun_of) == (RESULT, ["x", "y", "c"], once.run_id)


def test_its_data_can_be_edited_and_what_is_kept_stays(durable, shop):
    rt, f = durable(shop.app), in_a_row(shop)
    run = rt.run(f, {"a": "old"})
    new = again(rt, shop, run, from_step="c", data={"a": "new"})
    assert (new.event.data, new.output[0], shop.done) == ({"a": "new"}, "old", ["c"])
    assert again(rt, shop, run, data={"a": "new"}).output[0] == "new"


def test_outputs_in_s3_are_the_new_runs_own(durable, shop):
    rt, f = durable(shop.app), in_a_row(shop)
    run = rt.run(f, {})
    new = rt.client.rerun(run.run_id, from_step="g").run_id
    rt.advance("0s")
    s3 = rt.aws("s3")
    (bucket,) = (each["Name"] for each in s3.list_buckets()["Buckets"])
    for page in s3.list_objects_v2(Bucket=bucket, Prefix=f"{run.run_id}/")["Contents"]:
        s3.delete_object(Bucket=bucket, Key=page["Key"])
    rt.drain()
    assert rt.get(new).output == RESULT


@pytest.mark.parametrize("is_async", [False, True])
def test_branches_beside_the_step_keep_what_had_ended(durable, shop, is_async):
    def item(number):
        return shop.do(f"m{number}", number)

    if is_async:

        @shop.app.function("f")
        async def f(ctx: AsyncContext) -> list:
            first = await ctx.step.run("first", shop.do, "first")
            found = await ctx.step.map("m", item, range(6), max_concurrency=2)

            async def inner(number):
                await ctx.step.run("one", shop.do, f"one{number}")
                return await ctx.step.run("two", shop.do, f"two{number}")

            return [first, found, await ctx.step.map_group("g", inner, range(3))]

    else:

        @shop.app.function("f")
        def f(ctx: Context) -> list:
            first = ctx.step.run("first", shop.do, "first")
            found = ctx.step.map("m", item, range(6), max_concurrency=2)

            def inner(number):
                ctx.step.run("one", shop.do, f"one{number}")
                return ctx.step.run("two", shop.do, f"two{number}")

            return [first, found, ctx.step.map_group("g", inner, range(3))]

    rt = durable(shop.app)
    run = rt.run(f)
    assert run.status == "completed", run.error
    within = again(rt, shop, run, from_step="g[1]/two")
    assert (within.output, shop.done) == (run.output, ["two1"])
    branch = again(rt, shop, run, from_step="g[2]")
    assert (branch.output, shop.done) == (run.output, ["one2", "two2"])
    one = again(rt, shop, run, from_step="m[3]")
    assert one.output == run.output
    assert sorted(shop.done) == ["m3", "one0", "one1", "one2", "two0", "two1", "two2"]


@pytest.mark.parametrize("tolerant", [False, True])
def test_branches_that_failed_are_done_anew_together(durable, shop, tolerant):
    @shop.app.function("f")
    def f(ctx: Context) -> list:
        def branch(number):
            ctx.step.run("one", shop.do, f"one{number}")
            return ctx.step.run("two", shop.do, f"two{number}")

        found = ctx.step.map_group("g", branch, range(4), return_exceptions=tolerant)
        return [each if isinstance(each, str) else "failed" for each in found]

    rt = durable(shop.app)
    shop.broken = {"two1", "two3"}
    run = rt.run(f)
    shop.broken = set()
    new = again(rt, shop, run, from_step="g[1]/two")
    others = ["two3"] * (not tolerant)  # what was given back as a result is one
    assert (new.status, sorted(shop.done)) == ("completed", ["two1", *others])
    assert new.output == ["two0", "two1", "two2", "failed" if tolerant else "two3"]


def test_a_list_that_the_edited_data_changes_is_no_silent_mix_up(durable, shop):
    @shop.app.function("f")
    def f(ctx: Context[list]) -> list:
        return ctx.step.map("m", lambda item: shop.do(str(item), item), ctx.event.data)

    rt = durable(shop.app)
    run = rt.run(f, [1, 2, 3])
    new = again(rt, shop, run, from_step="m[1]", data=[4, 5, 6])
    assert (new.status, new.error.type) == ("failed", "lambda_durable.errors.DeterminismError")
    assert shop.done == []


def test_parallel_steps_that_had_ended_before_it_are_kept(durable, shop):
    @shop.app.function("f")
    async def f(ctx: AsyncContext) -> list:
        return await asyncio.gather(*(ctx.step.run(id, shop.do, id) for id in "abc"))

    rt = durable(shop.app)
    for id, takes in (("a", "1s"), ("b", "2s"), ("c", "3s")):
        rt.stub(id, takes=takes)
    run = rt.run(f)
    new = again(rt, shop, run, from_step="b")
    assert (new.output, sorted(shop.done)) == (["a", "b", "c"], ["b", "c"])


def test_who_came_first_is_kept(durable, shop):
    @shop.app.function("f")
    async def f(ctx: AsyncContext) -> list:
        tasks = [asyncio.ensure_future(ctx.step.run(id, shop.do, id)) for id in ("slow", "quick")]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        first = [task.result() for task in done]
        both = await asyncio.gather(*tasks)
        return [first, both, await ctx.step.run("end", shop.do, "end")]

    rt = durable(shop.app)
    rt.stub("slow", takes="9s")
    run = rt.run(f)
    assert run.output[0] == ["quick"]
    new = again(rt, shop, run, from_step="end")
    assert (new.output, shop.done) == (run.output, ["end"])


def test_waits_that_were_answered_are_kept_and_others_begin_anew(durable, shop):
    @shop.app.function("f")
    def f(ctx: Context) -> list:
        paid = ctx.step.wait_for_event("paid", "paid", timeout="1d")
        approved = ctx.step.wait_for_callback("ok", lambda callback: shop.do("ask"), timeout="1d")
        return [paid and paid.data, approved, ctx.step.run("end", shop.do, "end")]

    rt = durable(shop.app)
    run = rt.start(f)
    rt.advance("1m")
    rt.send(Event("paid", 7))
    rt.advance("1m")
    rt.client.complete_callback(rt.get(run.run_id).steps["ok"].waiting_for.token, "yes")
    rt.drain()
    assert again(rt, shop, run, from_step="end").output == [7, "yes", "end"]
    assert shop.done == ["end"]
    shop.done.clear()
    new = rt.client.rerun(run.run_id, from_step="ok/submit").run_id
    rt.advance("1m")
    wait = rt.get(new).steps["ok"]
    assert (wait.status, shop.done, rt.get(new).steps["paid"].kept) == ("waiting", ["ask"], True)
    assert rt.client.complete_callback(wait.waiting_for.token, "again")
    rt.drain()
    assert rt.get(new).output == [7, "again", "end"]


def test_a_run_that_still_goes_on_can_be_done_again(durable, shop):
    @shop.app.function("f")
    def f(ctx: Context) -> str:
        ctx.step.run("a", shop.do, "a")
        ctx.step.sleep("rest", "1d")
        return ctx.step.run("b", shop.do, "b")

    rt = durable(shop.app)
    run = rt.start(f)
    rt.advance("1h")
    new = rt.client.rerun(run.run_id, from_step="rest").run_id
    rt.drain()
    assert sorted(shop.done) == ["a", "b", "b"]
    assert [rt.get(each).status for each in (run.run_id, new)] == ["completed"] * 2
    assert rt.get(new).ended_at - rt.get(run.run_id).ended_at == timedelta(hours=1)


def with_undo(shop):
    @shop.app.function("f")
    def f(ctx: Context) -> str:
        ctx.step.run("look", shop.do, "look")
        reserve = ctx.step.options(undo=lambda result: shop.do(f"release {result}"))
        held = reserve.run("reserve", shop.do, "reserve")
        ctx.step.run("charge", shop.do, "charge")
        ctx.step.run("send", shop.do, "send")
        return held

    return f


def test_what_is_kept_is_undone_if_the_rerun_fails(durable, shop):
    rt, f = durable(shop.app), with_undo(shop)
    run = rt.run(f)
    shop.broken = {"send"}
    new = again(rt, shop, run, from_step="send")
    assert (new.status, shop.done) == ("failed", ["send", "release reserve"])
    assert new.steps["undo/reserve"].status == "completed"


def test_what_was_undone_is_done_anew_and_so_is_what_came_after_it(durable, shop):
    rt, f = durable(shop.app), with_undo(shop)
    shop.broken = {"send"}
    run = failed(rt, f)
    assert shop.done[-1] == "release reserve"
    shop.broken = set()
    new = again(rt, shop, run, from_step="send")
    assert (new.status, shop.done) == ("completed", ["reserve", "charge", "send"])
    assert new.steps["look"].kept


def test_a_run_that_is_being_undone_is_done_again_when_that_is_over(durable, shop):
    rt, f = durable(shop.app), with_undo(shop)
    rt.stub("undo/reserve", takes="30s")
    shop.broken = {"send"}
    run = rt.start(f)
    rt.advance("5s")
    assert rt.get(run.run_id).status == "compensating"
    shop.broken = set()
    new = rt.client.rerun(run.run_id, from_step="send").run_id
    rt.drain()
    assert shop.done[-4:] == ["release reserve", "reserve", "charge", "send"]
    assert rt.get(new).status == "completed"


def test_outcomes_that_are_no_successes_are_kept_as_they_are(durable, shop):
    @shop.app.function("f")
    def f(ctx: Context) -> list:
        once = ctx.step.options(semantics="at_most_once")
        try:
            once.run("risky", shop.do, "risky")
        except Exception as error:
            caught = type(error).__name__
        return [caught, ctx.step.run("end", shop.do, "end")]

    rt = durable(shop.app)
    shop.broken = {"risky"}
    run = rt.run(f)
    shop.broken = set()
    new = again(rt, shop, run, from_step="end")
    assert (new.output, shop.done) == (run.output, ["end"])
    assert new.steps["risky"].error == run.steps["risky"].error


def test_random_numbers_are_those_that_led_to_what_is_kept(durable, shop):
    @shop.app.function("f")
    def f(ctx: Context) -> list:
        number = ctx.random.random()
        ctx.step.run("a", shop.do, "a")
        return [number, ctx.random.random(), ctx.step.run("b", shop.do, "b")]

    rt = durable(shop.app)
    run = rt.run(f)
    once = again(rt, shop, run, from_step="b")
    assert once.output == run.output
    assert again(rt, shop, once, from_step="b").output == run.output
    assert again(rt, shop, run).output != run.output


def test_a_step_done_anew_has_an_idempotency_key_of_its_own(durable, shop):
    keys = []

    @shop.app.function("f")
    def f(ctx: Context) -> None:
        ctx.step.run("a", lambda: keys.append(current_step().idempotency_key))

    rt = durable(shop.app)
    again(rt, shop, rt.run(f), from_step="a")
    assert len(set(keys)) == 2


def test_a_run_that_continued_as_new_is_done_again_from_its_present_round(durable, shop):
    @shop.app.function("f")
    def f(ctx: Context[dict]) -> int:
        round = ctx.event.data["round"]
        ctx.step.run("a", shop.do, f"a{round}")
        if round < 3:
            ctx.continue_as_new({"round": round + 1})
        return ctx.step.run("b", shop.do, f"b{round}", round)

    rt = durable(shop.app)
    run = rt.run(f, {"round": 1})
    assert again(rt, shop, run, from_step="b").output == 3
    assert shop.done == ["b3"]
    assert again(rt, shop, run).output == 3
    assert shop.done == ["a3", "b3"]


def test_batches_and_runs_of_schedules_are_done_again_with_their_events(durable):
    shop = Shop()

    @shop.app.function("batch", on_event("order"), batch=Batch(max_size=2, timeout="1m"))
    def batch(ctx: Context) -> list:
        return [event.data for event in ctx.events]

    @shop.app.function("nightly", cron("0 2 * * *"))
    def nightly(ctx: Context) -> str:
        return ctx.event.time.isoformat()

    rt = durable(shop.app)
    rt.send(Event("order", 1), Event("order", 2))
    rt.advance("1d")
    for function in (batch, nightly):
        (run,) = rt.runs(function)
        new = again(rt, shop, run)
        assert (new.output, new.events) == (rt.get(run.run_id).output, rt.get(run.run_id).events)
    (run,) = (each for each in rt.runs(batch) if rt.get(each.run_id).rerun_of)
    with pytest.raises(ConfigurationError, match="has a batch of 2 events"):
        rt.client.rerun(run.run_id, data=3)


def test_flow_control_is_that_of_a_direct_start_but_for_idempotency(durable):
    shop = Shop()
    flow = {"rate_limit": RateLimit(3, "1h"), "idempotency": Idempotency("event.data.order")}

    @shop.app.function("f", on_event("order"), **flow)
    def f(ctx: Context) -> str:
        return ctx.step.run("a", shop.do, "a")

    rt = durable(shop.app)
    rt.send(Event("order", {"order": 1}))
    rt.advance("1m")
    (run,) = rt.runs(f)
    statuses = [again(rt, shop, run).status for _ in range(3)]
    assert statuses == ["completed", "completed", "skipped"]
    rt.advance("1m")
    rt.send(Event("order", {"order": 1}))
    rt.advance("1m")
    assert rt.get(next(rt.runs(f)).run_id).duplicate_of == run.run_id


@pytest.mark.parametrize("kept", [False, True])
def test_a_rerun_that_can_not_begin_times_out_whatever_it_keeps(durable, kept):
    shop = Shop()

    @shop.app.function("f", concurrency=Concurrency(1, counts="runs"), timeouts=Timeouts(start="10m"))
    def f(ctx: Context[dict]) -> None:
        ctx.step.run("a", shop.do, "a")
        ctx.step.sleep("rest", ctx.event.data.get("rest", "1s"))

    rt = durable(shop.app)
    run = rt.run(f, {})
    rt.start(f, {"rest": "1h"})
    rt.advance("1m")
    new = rt.client.rerun(run.run_id, from_step="rest" if kept else None).run_id
    rt.advance("5m")
    assert rt.get(new).status == "queued"
    rt.advance("6m")
    assert (rt.get(new).status, rt.get(new).error.type) == ("failed", "lambda_durable.errors.RunTimeoutError")


def test_a_step_that_is_not_there_is_an_error_that_names_those_that_are(durable):
    shop = Shop()
    rt, f = durable(shop.app), in_a_row(shop)
    run = rt.run(f, {})
    with pytest.raises(ConfigurationError, match=r"no step 'g/z'; it has 'g/x', 'g/y'|'g/y', 'g/x'"):
        rt.client.rerun(run.run_id, from_step="g/z")
    for bad in ("", 3, ":undo/a", "undo/a"):
        with pytest.raises(ConfigurationError):
            rt.client.rerun(run.run_id, from_step=bad)
    with pytest.raises(RunNotFoundError):
        rt.client.rerun("nothing")
    assert len(list(rt.runs())) == 1


def test_ids_with_any_character_name_a_step(durable):
    shop = Shop()

    @shop.app.function("f")
    def f(ctx: Context) -> list:
        return [ctx.step.run(id, shop.do, id) for id in ("a/b", "a/b", "c[0]")]

    rt = durable(shop.app)
    run = rt.run(f)
    assert again(rt, shop, run, from_step="c[0]").output == run.output
    assert shop.done == ["c[0]"]
    again(rt, shop, run, from_step="a%2Fb:1")
    assert shop.done == ["a/b", "c[0]"]


def test_with_an_id_of_ones_own_it_happens_once(durable):
    shop = Shop()
    rt, f = durable(shop.app), in_a_row(shop)
    run = rt.run(f, {})
    shop.done.clear()
    for _ in range(2):
        rt.client.rerun(run.run_id, from_step="c", new_run_id="mine")
    rt.drain()
    assert (shop.done, rt.get("mine").status, rt.get(run.run_id).reruns) == (["c"], "completed", ("mine",))


def test_a_run_can_not_be_its_own_rerun(durable):
    shop = Shop()
    rt, f = durable(shop.app), in_a_row(shop)
    run = rt.run(f, {})
    with pytest.raises(ConfigurationError, match="names a new run"):
        rt.client.rerun(run.run_id, new_run_id=run.run_id)


def test_a_rerun_outlives_the_run_that_it_repeats(durable):
    shop = Shop()

    @shop.app.function("f")
    def f(ctx: Context) -> str:
        value = ctx.step.run("a", shop.do, "a", BIG)
        ctx.step.sleep("rest", "80d")
        return value[:3]

    rt = durable(shop.app)
    run = rt.start(f)
    rt.advance("30d")
    new = rt.client.rerun(run.run_id, from_step="rest").run_id
    rt.drain()
    assert rt.get(new).output == "xxx"


def test_of_a_run_that_is_expiring_no_step_is_taken_for_one_that_was_not_done(durable):
    shop = Shop()
    rt, f = durable(shop.app), in_a_row(shop)
    run = rt.run(f, {})
    world = rt.client._world
    late = message(world, world.store.get_header(run.run_id), "late", step="c")
    at = to_millis(rt.now() + timedelta(days=50))
    world.queue.send([Outgoing(replace(late, at=at).body())])
    shop.done.clear()
    rt.advance("49d")
    with pytest.raises(ConfigurationError, match="has expired"):
        rt.client.rerun(run.run_id, from_step="c")
    rt.advance("2d")
    assert "has expired" in rt.get("late").error.message
    assert shop.done == []


@pytest.mark.parametrize("steps", [250])
def test_a_long_journal_is_copied_in_few_calls(durable, steps):
    shop = Shop("all")

    @shop.app.function("f")
    def f(ctx: Context) -> int:
        for number in range(steps):
            ctx.step.run("s", lambda number=number: number)
        return ctx.step.run("end", shop.do, "end", 1)

    rt = durable(shop.app)
    run = rt.run(f)
    before = rt.calls.copy()
    again(rt, shop, run, from_step="end")
    cost = rt.calls - before
    assert cost["dynamodb:TransactWriteItems"] == -(-steps // 100)
    assert cost["dynamodb:PutItem"] == 2  # the header, and the step
    assert cost["dynamodb:UpdateItem"] == 3  # that it is linked, that all is kept, the end
    assert shop.done == ["end"]


def test_copying_that_runs_out_of_time_goes_on_where_it_stopped(durable, monkeypatch):
    shop = Shop("all")

    @shop.app.function("f")
    def f(ctx: Context) -> int:
        found = [ctx.step.run("s", lambda number=number: number) for number in range(250)]
        return sum(found) + ctx.step.run("end", shop.do, "end", 1)

    rt = durable(shop.app)
    run = rt.run(f)
    monkeypatch.setattr(
        rerunning, "MARGIN", 1.1
    )  # of the time there is, more than all is to be left: a look ends it
    calls, invocations = rt.calls.copy(), rt.invocations
    new = again(rt, shop, run, from_step="end")
    assert (new.status, new.output, shop.done) == ("completed", run.output, ["end"])
    assert (rt.calls - calls)["dynamodb:TransactWriteItems"] == 3  # of 100, 100 and 50: none is written twice
    assert rt.invocations - invocations == 5  # the start, one for each, and one that goes on from there


def test_a_crash_anywhere_leaves_one_whole_rerun(durable):
    shop = Shop(1)

    @shop.app.function("f")
    def f(ctx: Context) -> list:
        ctx.step.run("a", shop.do, "a")
        found = ctx.step.map("m", lambda item: shop.do(f"m{item}", item), range(3))
        return [found, ctx.step.run("b", shop.do, "b"), ctx.step.run("c", shop.do, "c")]

    def drive(rt, run):
        rt.drain()
        shop.done.clear()
        rt.client.rerun(run.run_id, from_step="b", new_run_id="again")
        rt.drain()
        new = rt.get("again")
        assert (new.status, new.output) == ("completed", [[0, 1, 2], "b", "c"])
        assert set(shop.done) == {"b", "c"}
        assert rt.get(run.run_id).reruns == ("again",)

    for crash in crash_everywhere(shop.app, f, drive=drive):
        assert crash.run.status == "completed", crash.point


class Hidden(Middleware):
    """Encodes what is kept by where it is, as encryption does: what is moved elsewhere can't be read."""

    def encode(self, text, place):
        return f"#{place}#{text[::-1]}"

    def decode(self, text, place):
        head = f"#{place}#"
        if not text.startswith(head):
            raise ValueError(f"{text!r} is not from {place}")
        return text.removeprefix(head)[::-1]


def test_what_middleware_encodes_is_read_and_encoded_anew(durable):
    shop = Shop(middleware=[Hidden()])
    rt, f = durable(shop.app), in_a_row(shop)
    shop.broken = {"y"}
    run = failed(rt, f, {"a": "first"})
    shop.broken = set()
    new = again(rt, shop, run, from_step="g/y")
    assert (new.status, new.output[0], shop.done) == ("completed", "first", ["y", "c"])
    edited = again(rt, shop, run, data={"a": "second"})
    assert edited.output[0] == "second"
    assert rt.client.search("f", "event.data.a == 'second'").runs[0].run_id == edited.run_id


def test_a_run_whose_function_is_gone_says_so(durable):
    shop = Shop()
    rt, f = durable(shop.app), in_a_row(shop)
    run = rt.run(f, {})
    rt.deploy(Durable("shop"))
    with pytest.raises(ConfigurationError, match="no function 'f'"):
        rt.client.rerun(run.run_id)


def test_a_rerun_runs_on_the_code_of_a_later_deploy(durable):
    shop, fixed = Shop(), Shop()

    @shop.app.function("f")
    def f(ctx: Context) -> str:
        ctx.step.run("a", shop.do, "a")
        raise NonRetriableError("a bug")

    @fixed.app.function("f")
    def g(ctx: Context) -> str:
        return ctx.step.run("a", fixed.do, "a") + ctx.step.run("b", fixed.do, "b")

    rt = durable(shop.app)
    run = failed(rt, f)
    rt.deploy(fixed.app)
    new = again(rt, fixed, run, from_step="a")
    assert (new.output, fixed.done) == ("ab", ["a", "b"])
