"""Runs that lost what drives them, and messages that were given up: found again, and brought to an end."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest

from lambda_durable import AsyncContext, Context, Durable, Event, NonRetriableError, on_event
from lambda_durable.aws import check_store
from lambda_durable.durations import to_millis
from lambda_durable.ports import Delivery, Invocation, Outgoing
from lambda_durable.runtime import reconciler
from lambda_durable.runtime.messages import Continuation, Start
from lambda_durable.runtime.starting import start_message
from lambda_durable.testing import Faults, LocalRuntime


def purge(rt):
    """What `aws sqs purge-queue` and the deletion of all schedules do."""
    rt._simulation._events.clear()
    rt._scheduler._schedules.clear()


def look_after(rt, minutes=60):
    """What a deployed app does by itself."""
    for _ in range(minutes // 5):
        rt.advance("5m")
        rt.reconcile()
    rt.advance("0s")


@pytest.fixture
def app():
    return Durable("app", steps_per_invocation=1)


@pytest.fixture
def done():
    return []


@pytest.fixture
def two_steps(app, done):
    @app.function("two-steps", on_event("go"))
    def two_steps(ctx: Context) -> str:
        ctx.step.run("one", done.append, "one")
        ctx.step.run("two", done.append, "two")
        return "done"

    return two_steps


@pytest.mark.parametrize("eagerly", [True, False])
def test_a_purged_queue_costs_minutes_and_no_run(app, two_steps, done, eagerly):
    rt = LocalRuntime(app)
    rt._eager = eagerly
    run = rt.start(two_steps)
    rt._simulation._step()
    purge(rt)
    rt.drain()
    assert rt.get(run.run_id).status == "running"

    look_after(rt, minutes=50)

    assert (rt.get(run.run_id).output, done) == ("done", ["one", "two"])


@pytest.mark.parametrize("most", [reconciler.MOST, 3])
def test_runs_of_many_functions_are_found_some_functions_and_some_runs_at_a_time(app, monkeypatch, most):
    monkeypatch.setattr(reconciler, "MOST", most)
    for number in range(2 * reconciler.FUNCTIONS + 3):

        @app.function(f"f-{number}")
        def f(ctx: Context) -> None:
            ctx.step.run("one", int)
            ctx.step.run("two", int)

    rt, runs = LocalRuntime(app), []
    for function in app.functions.values():
        runs.append(rt.start(function).run_id)
        rt._simulation._step()
        purge(rt)
    look_after(rt, minutes=120)

    assert {rt.get(run).status for run in runs} == {"completed"}


def headers(rt):
    items = rt.aws("dynamodb").scan(TableName="lambda-durable")["Items"]
    return [item for item in items if item["sk"]["S"] == "!" and "f" in item]


def begin(rt, function):
    """A run whose header has just been written."""
    run, there = rt.start(function), len(headers(rt))
    while len(headers(rt)) == there:
        rt._simulation._step()
    return run


def test_a_run_of_a_function_that_no_code_has_is_looked_after(app):
    """The code that looks for those to be looked after for the first time does not know of that one."""
    rt = LocalRuntime(app)
    rt._eager = False
    world = rt.client._world
    world.queue.send([Outgoing(start_message(world, "nobody", "r1", {}, rt.now()).body())])
    while not headers(rt):
        rt._simulation._step()
    purge(rt)
    assert rt.get("r1").status == "running"
    look_after(rt)

    assert rt.get("r1").status == "failed"


def test_what_an_old_version_begins_is_looked_after_long_after_its_function_is_gone(app, done):
    @app.function("fails", pin=True)
    def fails(ctx: Context) -> None:
        ctx.step.sleep("long", "3d")
        raise NonRetriableError("no")

    @fails.on_failure
    def handle(ctx: Context) -> None:
        ctx.step.run("tell", done.append, "failed")

    rt = LocalRuntime(app)
    rt._eager = False
    rt.start(fails)
    rt.advance("1h")
    rt.reconcile()
    rt.deploy(Durable("app", steps_per_invocation=1))
    for _ in range(70):
        rt.advance("1h")
        rt.reconcile()
    while len(headers(rt)) == 1:
        rt._simulation._step()
    purge(rt)
    assert done == []
    look_after(rt)

    assert done == ["failed"]


def test_a_schedule_that_was_deleted_costs_minutes_too(app, done):
    @app.function("sleeper")
    def sleeper(ctx: Context) -> str:
        ctx.step.sleep("long", "90d")
        ctx.step.run("wake", done.append, "awake")
        return "done"

    rt = LocalRuntime(app)
    run = rt.start(sleeper)
    rt.advance("1h")
    rt.reconcile()  # it sleeps: to be looked after when it should be awake
    rt.advance("1m")
    purge(rt)
    for _ in range(100):
        rt.advance("1d")
        rt.reconcile()
        rt.advance("0s")
        if rt.now() < run.created_at + timedelta(days=90):
            assert done == []

    assert rt.get(run.run_id).output == "done"


def test_a_run_that_sleeps_is_left_alone(app):
    @app.function("sleeper")
    def sleeper(ctx: Context) -> None:
        ctx.step.sleep("long", "30d")

    rt = LocalRuntime(app, lambda_timeout="60s")
    rt.start(sleeper)
    rt.advance("0s")
    invocations = rt.invocations
    look_after(rt, minutes=24 * 60)

    assert rt.invocations == invocations + 1  # one look, which says when to look again
    rt.drain()
    assert rt.invocations <= invocations + 4


def test_a_step_that_takes_long_is_not_run_beside_itself(app, two_steps, done):
    rt = LocalRuntime(app)
    rt.stub("one", lambda _: done.append("one"), takes="14m")
    run = rt.start(two_steps)
    rt.advance("0s")
    look_after(rt)

    assert (rt.get(run.run_id).status, done) == ("completed", ["one", "two"])


def test_runs_that_are_in_time_cost_the_reconciler_nothing(app, two_steps):
    rt = LocalRuntime(app)
    for _ in range(30):
        rt.run(two_steps)
    before = rt.calls.copy()
    rt.advance("20m")
    rt.reconcile()

    made = rt.calls - before
    assert set(made) == {"dynamodb:Query", "dynamodb:GetItem", "dynamodb:PutItem", "sqs:GetQueueAttributes"}
    assert made["dynamodb:Query"] == 24 * (1 + len(app.functions))


def test_a_long_queue_is_no_reason_to_make_it_longer(app, two_steps, monkeypatch):
    rt = LocalRuntime(app)
    rt.start(two_steps)
    rt.advance("0s")
    world = rt._world(rt.client._world.clock, rt.client._world.executor)
    monkeypatch.setattr(type(world.queue), "backlog", lambda _: reconciler.BUSY + 1)
    purge(rt)
    rt.advance("1h")

    assert reconciler.reconcile(world, app.functions) == 0


def test_looks_that_have_no_time_go_on_from_where_they_were(app, two_steps, monkeypatch):
    """Much has begun since the last one: the queue was long for hours."""
    monkeypatch.setattr(check_store, "MOST_AT_ONCE", 4)
    rt = LocalRuntime(app)
    rt._eager = False
    for _ in range(150):
        rt.start(two_steps)
        rt.advance("1m")
    run = begin(rt, two_steps)
    purge(rt)
    rt.advance("1h")
    reconciler.reconcile(rt.client._world, app.functions, until=0)
    rt.advance("1m")
    assert rt.get(run.run_id).status == "running"
    for _ in range(12):
        reconciler.reconcile(rt.client._world, app.functions, until=0)
    rt.advance("1m")

    assert rt.get(run.run_id).status == "completed"


def test_those_looked_after_before_leave_time_for_others(app, two_steps, monkeypatch):
    monkeypatch.setattr(reconciler, "MOST", 1)
    rt = LocalRuntime(app)
    rt._eager = False
    store = rt.client._world.store
    store.move_check(begin(rt, two_steps).run_id, to_millis(rt.now()))
    run = begin(rt, two_steps)
    purge(rt)
    rt.advance("20m")
    rt.reconcile()

    assert store.get_header(run.run_id).check_at > to_millis(rt.now())


def test_a_cancellation_whose_message_was_lost_is_carried_out(app, two_steps):
    rt = LocalRuntime(app)
    run = rt.start(two_steps)
    rt._simulation._step()
    assert rt.client.cancel(run.run_id)
    purge(rt)
    look_after(rt, minutes=20)

    assert rt.get(run.run_id).status == "cancelled"


def test_the_lanes_of_a_map_are_taken_up_where_they_were(app, done):
    @app.function("wide")
    def wide(ctx: Context) -> list[int]:
        return ctx.step.map("m", lambda n: done.append(n) or n * n, list(range(20)), max_concurrency=3)

    rt = LocalRuntime(app)
    run = rt.start(wide)
    while rt.invocations < 8:
        rt._simulation._step()
    purge(rt)
    look_after(rt, minutes=40)

    assert rt.get(run.run_id).output == [n * n for n in range(20)]
    assert sorted(done) == list(range(20))


# -- messages that were given up ----------------------------------------------------------------------


def test_a_run_that_kills_every_invocation_fails_in_the_end_and_says_so(app):
    @app.function("deadly")
    def deadly(ctx: Context) -> None:
        ctx.step.run("one", int)
        raise SystemExit

    class Dying(LocalRuntime):
        def _handle(self, world, delivery, invocation):
            if delivery.body.count("generation") and '"generation":1,' not in delivery.body:
                raise RuntimeError("killed")
            super()._handle(world, delivery, invocation)

    rt = Dying(app, lambda_timeout="60s")
    run = rt.start(deadly)
    rt.drain()

    ended = rt.get(run.run_id)
    assert ended.status == "failed"
    assert "dead-letter queue" in ended.error.message
    assert rt.dead_letters == []
    assert rt.invocations < 50


def test_a_dead_letter_brings_its_run_back_once_an_outage_is_over(app, two_steps, done):
    outage = [True]

    class Down(LocalRuntime):
        def _handle(self, world, delivery, invocation):
            if outage[0] and '"continue"' in delivery.body:
                raise RuntimeError("the table is away")
            super()._handle(world, delivery, invocation)

    rt = Down(app, lambda_timeout="60s")
    run = rt.start(two_steps)
    rt.advance("35m")
    outage[0] = False
    rt.drain()

    assert (rt.get(run.run_id).status, done) == ("completed", ["one", "two"])


@pytest.mark.parametrize("kind", ["fails", "invoked", "renews"])
@pytest.mark.parametrize("outage", ["50m", "100m"])  # given up once, and again after it was brought back
def test_what_follows_is_done_when_the_message_that_was_to_do_it_is_given_up(app, kind, outage):
    """A run's end, or its going on as new, is written down; then every delivery of the message that did it fails."""
    handled = []

    @app.function("fails")
    def fails(ctx: Context) -> None:
        raise NonRetriableError("no")

    @fails.on_failure
    def handle(ctx: Context) -> None:
        ctx.step.run("tell", handled.append, "failed")

    @app.function("child")
    def child(ctx: Context) -> str:
        return "told"

    @app.function("invoked")
    def invoked(ctx: Context) -> None:
        handled.append(ctx.step.invoke("child", child, {}))

    @app.function("renews")
    def renews(ctx: Context[dict]) -> None:
        if not ctx.event.data:
            ctx.continue_as_new({"again": True})
        ctx.step.run("tell", handled.append, "renewed")

    class Down(LocalRuntime):
        is_over = False

        def _handle(self, world, delivery, invocation):
            if self.is_over or '"continue"' not in delivery.body:
                super()._handle(world, delivery, invocation)
                return
            sent, world.queue.send = world.queue.send, self._refuse
            try:
                super()._handle(world, delivery, invocation)
            finally:
                world.queue.send = sent

        def _refuse(self, messages):
            raise OSError("the queue takes nothing")

    rt = Down(app, lambda_timeout="60s")
    run = rt.start(app.functions[kind], {})
    if kind == "invoked":  # its own messages are sent; those of the run that it invokes are not
        rt.is_over = True
        rt._simulation._step()
        rt._simulation._step()
        rt.is_over = False
    rt.advance(outage)
    rt.is_over = True
    rt.drain()

    assert rt.get(run.run_id).status == ("failed" if kind == "fails" else "completed")
    assert len(handled) == 1


def test_a_stale_dead_letter_fails_no_healthy_run(app, two_steps, done):
    rt = LocalRuntime(app)
    run = rt.start(two_steps)
    rt._simulation._step()
    worker = rt._make_worker(rt.client._world)
    for revived in (0, 1):
        worker.dead_letter(
            Delivery(Continuation(run=run.run_id, revived=revived).body(), "stale", 21), Invocation(900, 900)
        )
    rt.drain()

    assert (rt.get(run.run_id).status, done) == ("completed", ["one", "two"])


def test_a_dead_letter_of_a_run_that_is_over_or_unknown_does_no_harm(app, two_steps, done):
    rt = LocalRuntime(app)
    run = rt.run(two_steps)
    worker = rt._make_worker(rt.client._world)
    for id in (run.run_id, "nobody"):
        for revived in (0, 1):
            worker.dead_letter(
                Delivery(Continuation(run=id, revived=revived).body(), "stale", 21), Invocation(900, 900)
            )
    rt.drain()

    assert (rt.get(run.run_id), done) == (run, ["one", "two"])
    assert {letter.reason for letter in rt.dead_letters} == {"there is no run 'nobody'"}


def test_a_dead_letter_of_a_step_that_has_ended_lets_its_run_go_on(app):
    @app.function("wide")
    async def wide(ctx: AsyncContext) -> list[int]:
        return await asyncio.gather(*(ctx.step.run(f"s{number}", int) for number in range(3)))

    rt = LocalRuntime(app)
    run = rt.start(wide)
    taken = []
    take = rt._queue._deliver

    def deliver(delivery, done):
        if '"leaf"' in delivery.body:
            taken.append(delivery)
        take(delivery, done)

    rt._queue._deliver = deliver
    while not taken:
        rt._simulation._step()
    purge(rt)
    rt.advance("1h")
    died = json.dumps(json.loads(taken[0].body) | {"revived": 1})
    rt._make_worker(rt.client._world).dead_letter(
        Delivery(died, taken[0].message_id, 21), Invocation(900, 900)
    )
    rt.drain()
    look_after(rt)

    assert rt.get(run.run_id).output == [0, 0, 0]


def test_a_dead_letter_that_is_no_continuation_is_put_aside_for_people(app, two_steps):
    rt = LocalRuntime(app)
    rt._make_worker(rt.client._world).dead_letter(
        Delivery(Start(function="f", run="r").body(), "id", 21), Invocation(900, 900)
    )

    (letter,) = rt.dead_letters
    assert "every invocation" in letter.reason


# -- starting later -----------------------------------------------------------------------------------


def test_an_event_of_tomorrow_starts_its_run_tomorrow(app, two_steps, done):
    rt = LocalRuntime(app)
    tomorrow = rt.now() + timedelta(days=1, seconds=7)
    rt.send(Event("go", {}, time=tomorrow))
    rt.advance("1d")

    (summary,) = rt.runs(status="queued")
    queued = rt.get(summary.run_id)
    assert (queued.status, queued.started_at, done) == ("queued", None, [])
    assert list(rt.runs(status="running")) == []
    rt.advance("7s")
    ended = rt.get(summary.run_id)
    assert (ended.status, ended.started_at) == ("completed", tomorrow)


def test_a_run_that_has_yet_to_start_can_be_cancelled(app, two_steps, done):
    rt = LocalRuntime(app)
    rt.send(Event("go", {}, time=rt.now() + timedelta(days=1)))
    rt.advance("1h")
    (summary,) = rt.runs()
    assert rt.client.cancel(summary.run_id)
    rt.drain()

    assert (rt.get(summary.run_id).status, done) == ("cancelled", [])


def test_the_first_message_of_a_run_that_starts_later_may_be_lost(app, two_steps, done):
    rt = LocalRuntime(app, faults=Faults(lose=1))
    rt.send(Event("go", {}, time=rt.now() + timedelta(hours=3)))
    rt.drain()

    (summary,) = rt.runs()
    assert (summary.status, done) == ("completed", ["one", "two"])
    assert rt.now() >= datetime(2025, 1, 1, 3, tzinfo=UTC)


# -- state that would expire --------------------------------------------------------------------------


def lives_of_objects(rt):
    """Whose objects are in the bucket, and how long they live there."""
    s3, bucket = rt.aws("s3"), rt._bucket
    return {
        (
            found["Key"].partition("/")[0],
            s3.get_object_tagging(Bucket=bucket, Key=found["Key"])["TagSet"][0]["Value"],
        )
        for found in s3.list_objects_v2(Bucket=bucket)["Contents"]
    }


def test_what_a_run_needs_after_months_of_sleep_is_kept_for_it(app):
    @app.function("patient", on_event("go"))
    def patient(ctx: Context) -> int:
        def inside() -> int:
            return len(ctx.step.run("large", lambda: "x" * 50_000))

        ctx.step.group("g", inside)
        ctx.step.map("m", lambda n: n, [1, 2])
        ctx.step.sleep("long", "200d")
        return 1

    rt = LocalRuntime(app)
    rt.send(Event("go", {"padding": "y" * 5_000}))
    rt.advance("1h")
    (summary,) = rt.runs()

    wake = rt.get(summary.run_id).steps["long"].wake_at
    items = rt.aws("dynamodb").scan(TableName="lambda-durable")["Items"]
    ours = [item for item in items if item["pk"]["S"].startswith(summary.run_id)]
    assert len(ours) >= 6
    assert min(int(item["x"]["N"]) for item in ours) > (wake + timedelta(days=30)).timestamp()
    assert lives_of_objects(rt) == {(summary.run_id, "long")}

    rt.drain()
    assert rt.get(summary.run_id).output == 1


def live(rt, run_id, days):
    """Let days pass in which nothing of a run may expire, and the reconciler comes now and then."""
    for _ in range(days):
        rt.advance("1d")
        rt.reconcile()
        rt.advance("0s")
        items = rt.aws("dynamodb").scan(TableName="lambda-durable")["Items"]
        ours = [item for item in items if item["pk"]["S"].startswith(run_id)]
        assert min(int(item["x"]["N"]) for item in ours) > rt.now().timestamp()


@pytest.mark.parametrize("mode", [1, "all"])
def test_what_was_written_after_a_run_was_stamped_anew_does_not_expire_either(app, mode):
    reminded = []

    @app.function("reminding")
    async def reminding(ctx: AsyncContext) -> None:
        async def remind() -> None:
            for week in range(8):
                await ctx.step.run("remind", lambda week=week: reminded.append(week))
                await ctx.step.sleep("a week", "7d")

        await asyncio.gather(ctx.step.sleep("long", "60d"), remind(), ctx.step.run("once", list))

    rt = LocalRuntime(app, steps_per_invocation=mode)
    run_id = rt.start(reminding).run_id
    live(rt, run_id, days=59)
    rt.drain()

    assert rt.get(run_id).status == "completed"
    assert reminded == list(range(8))


@pytest.mark.parametrize("mode", [1, "all"])
def test_a_large_output_lives_as_long_as_its_run(app, mode):
    @app.function("patient")
    async def patient(ctx: AsyncContext) -> None:
        async def beside() -> None:
            await ctx.step.sleep("a day", "1d")
            await ctx.step.run("large", lambda: "x" * 50_000)

        await asyncio.gather(ctx.step.wait_for_event("long", "paid", timeout="60d"), beside())

    rt = LocalRuntime(app, steps_per_invocation=mode)
    run_id = rt.start(patient).run_id
    rt.advance("2d")

    assert lives_of_objects(rt) == {(run_id, "long")}


def test_a_run_is_kept_while_it_waits_for_one_that_it_invoked(app):
    @app.function("child")
    def child(ctx: Context) -> int:
        ctx.step.sleep("long", "60d")
        return 1

    @app.function("parent")
    def parent(ctx: Context) -> int:
        return ctx.step.invoke("child", child, {})

    rt = LocalRuntime(app)
    run_id = rt.start(parent).run_id
    live(rt, run_id, days=59)
    rt.drain()

    assert rt.get(run_id).output == 1


def test_what_is_written_by_who_had_loaded_the_run_before_does_not_expire_either(app):
    @app.function("f")
    def function(ctx: Context) -> None:
        def sleeps() -> None:
            ctx.step.run("first", int)
            ctx.step.sleep("nap", "60d")

        ctx.step.parallel("p", sleeps, lambda: ctx.step.run("slow", int))

    rt = LocalRuntime(app, steps_per_invocation=1)
    rt.stub("p[0]/first", takes="1m")
    rt.stub("p[1]/slow", takes="10m")
    run = rt.start(function)
    rt.advance("2h")
    assert rt.get(run.run_id).steps["p[1]/slow"].status == "completed"
    items = rt.aws("dynamodb").scan(TableName="lambda-durable")["Items"]
    ours = [item for item in items if item["pk"]["S"].startswith(run.run_id)]
    late = (rt.now() + timedelta(days=61)).timestamp()
    assert {item["sk"]["S"] for item in ours if int(item["x"]["N"]) < late} == set()


def test_waits_side_by_side_stamp_a_run_anew_once(app):
    @app.function("waiting")
    async def waiting(ctx: AsyncContext) -> None:
        await asyncio.gather(*(ctx.step.wait_for_event(f"w{n}", "paid", timeout="60d") for n in range(9)))

    rt = LocalRuntime(app)
    rt.start(waiting)
    rt.advance("1h")

    # A load, and what stamping takes: two reads of the top level, and one of what it has published. And all of it once
    # more, when all are gone that had loaded the run before.
    assert rt.calls["dynamodb:Query"] == 8


def test_a_run_of_days_stamps_nothing_anew(app):
    @app.function("usual")
    def usual(ctx: Context) -> None:
        ctx.step.sleep("days", "20d")

    rt = LocalRuntime(app)
    rt.run(usual)

    assert rt.calls["dynamodb:UpdateItem"] == 1  # its end


def test_what_a_check_hands_out_begins_at_once(app):
    done = []

    @app.function("f")
    async def f(ctx: AsyncContext) -> str:
        await ctx.step.run("one", done.append, "one")
        await asyncio.gather(*(ctx.step.run(name, done.append, name) for name in ("two", "three")))
        return "done"

    rt = LocalRuntime(app, lambda_timeout="60s", steps_per_invocation=1)
    rt._eager = False
    run = rt.start(f)
    rt._simulation._step()
    rt._simulation._events.clear()
    rt.advance("20m")
    rt.reconcile()
    rt.advance("1m")

    run = rt.get(run.run_id)
    assert (run.output, sorted(done)) == ("done", ["one", "three", "two"])
    assert run.ended_at - run.steps["one"].ended_at < timedelta(seconds=10)
