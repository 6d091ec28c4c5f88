"""What the doctor finds in an app, and that its repair is one."""

from __future__ import annotations

import asyncio
import json
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from lambda_durable import AsyncContext, Context, Durable, Event, NonRetriableError, on_event
from lambda_durable.aws.dead_letters import Letter
from lambda_durable.aws.leftovers import FoundSchedule, Leftovers
from lambda_durable.aws.table import LINE_SHARDS, SHARDS
from lambda_durable.doctor.examination import Patient, examine, examine_run
from lambda_durable.durations import to_millis
from lambda_durable.encryption import Encryption, RawKey
from lambda_durable.findings import Level
from lambda_durable.ports import Outgoing
from lambda_durable.runtime import reconciler, renewal
from lambda_durable.runtime.messages import Arrival, Continuation, Scheduled, Start
from lambda_durable.runtime.sealing import sealed
from lambda_durable.seals import PLAIN
from lambda_durable.store import Waiter
from lambda_durable.testing import LocalRuntime

done: list[str] = []


class Letters:
    """The dead-letter queue of a LocalRuntime."""

    def __init__(self, rt, *more):
        self.rt = rt
        self.letters = [*more]

    @contextmanager
    def taken(self):
        yield [*self.letters]

    def remove(self, letter):
        self.letters.remove(letter)


class Left(Leftovers):
    """What is left in a LocalRuntime's table, and in its scheduler."""

    def __init__(self, rt):
        super().__init__(rt.aws("dynamodb"), "lambda-durable", None, "")
        self.rt = rt
        self.bodies = {}

    def schedules(self):
        yield from [FoundSchedule(name, body) for name, body in self.bodies.items()]

    def remove_schedule(self, schedule):
        del self.bodies[schedule.name]


@pytest.fixture
def app():
    done.clear()
    app = Durable("app", steps_per_invocation=1)

    @app.function("two-steps", on_event("go"))
    def two_steps(ctx: Context) -> str:
        ctx.step.run("one", done.append, "one")
        ctx.step.run("two", done.append, "two")
        return "done"

    @app.function("waits", on_event("wait"))
    def waits(ctx: Context) -> str:
        ctx.step.wait_for_event("paid", "payment", match="data.order", timeout="20d")
        return "paid"

    @app.function("parent")
    def parent(ctx: Context) -> str:
        return ctx.step.invoke("child", "waits", {"order": 1})

    return app


@pytest.fixture
def rt(app):
    return LocalRuntime(app, lambda_timeout="60s")


def patient(rt, *letters, **more):
    return Patient(world=rt.client._world, letters=Letters(rt, *letters), left=Left(rt), **more)


def purge(rt):
    rt._simulation._events.clear()
    rt._scheduler._schedules.clear()


def look(who, **how):
    return list(examine(who, **how))


def letter(body, *, age=timedelta(), rt=None, **attributes):
    sent = to_millis(rt.now() - age) if rt is not None else 0
    return Letter(
        body=body if isinstance(body, str) else json.dumps(body),
        message_id="m",
        sent=sent,
        attributes=attributes,
    )


def event(id="e", name="go", **data):
    return {
        "detail-type": name,
        "source": "shop",
        "id": id,
        "time": "2025-01-01T00:00:00Z",
        "detail": data,
    }


# -- runs


def test_an_app_at_work_has_nothing_stuck_and_is_left_alone(rt, app):
    rt.start(app.functions["waits"], {"order": 1})
    rt.start(app.functions["two-steps"])
    rt.advance("0s")
    before = rt.calls.copy()

    assert look(patient(rt), fix=True) == []
    made = rt.calls - before
    assert set(made) == {"dynamodb:Query", "dynamodb:GetItem"}
    of_functions = SHARDS * len(app.functions)  # what began lately
    assert made["dynamodb:Query"] == SHARDS + of_functions + LINE_SHARDS  # what is overdue, and lines
    assert made["dynamodb:GetItem"] == 2 + 1  # what is paused, and since when runs began lately


def test_a_run_that_lost_its_message_is_found_and_brought_on(rt, app):
    run = rt.start(app.functions["two-steps"]).run_id
    while rt.invocations < 1:
        rt._simulation._step()
    purge(rt)
    rt.advance("1h")

    (found,) = look(patient(rt))
    assert (found.level, found.subject) == (Level.STUCK, f"run {run} of 'two-steps'")
    assert "nothing has brought it on for 0:45:00" in found.why
    assert "--fix" in found.way_out
    rt.advance("1h")
    assert rt.get(run).status == "running"

    (fixed,) = look(patient(rt), fix=True)
    assert not fixed.open
    rt.drain()
    assert (rt.get(run).output, done) == ("done", ["one", "two"])
    assert look(patient(rt), fix=True) == []


def test_a_run_that_was_due_a_moment_ago_is_the_reconcilers(rt, app):
    rt.start(app.functions["two-steps"])
    while rt.invocations < 1:
        rt._simulation._step()
    purge(rt)
    rt.advance("17m")

    (found,) = look(patient(rt))
    assert (found.level, found.kind) == (Level.WAITS, "due")


def test_behind_a_long_queue_nothing_is_sent(rt, app, monkeypatch):
    rt.start(app.functions["two-steps"])
    rt._simulation._step()
    purge(rt)
    rt.advance("1h")
    who = patient(rt)
    monkeypatch.setattr(type(who.world.queue), "backlog", lambda _: reconciler.BUSY + 1)
    sent = rt.calls["sqs:SendMessage"]

    (found,) = look(who, fix=True)
    assert found.open
    assert "1,001 messages wait in the queue" in found.why
    assert rt.calls["sqs:SendMessage"] == sent


def test_one_run_says_what_it_waits_for_and_since_when(rt, app):
    run = rt.start(app.functions["waits"], {"order": 1}).run_id
    rt.advance("1h")

    (found,) = examine_run(patient(rt), run)
    assert (found.level, found.kind) == (Level.WAITS, "waits")
    assert (
        "step 'paid' waits for the event 'payment' since 2025-01-01 00:00:00 UTC, until 2025-01-21"
        in found.why
    )


def test_a_run_that_waits_for_one_whose_end_it_was_not_told_of_is_told(rt, app):
    run = rt.start(app.functions["parent"]).run_id
    rt.advance("1m")
    child = rt.get(run).steps["child"].waiting_for.names[0]
    rt.client.cancel(child)
    while rt.get(child).status != "cancelled":
        rt._simulation._step()
    header = rt.client._world.store.get_header(run)
    # Who ended it died for good before it could tell: its outcome is taken back, and its messages are lost.
    table = rt.aws("dynamodb")
    key = {"pk": {"S": run}, "sk": {"S": ".child"}}
    table.update_item(
        TableName="lambda-durable",
        Key=key,
        UpdateExpression="SET s = :w REMOVE t, e",
        ExpressionAttributeValues={":w": {"S": "waiting"}},
    )
    purge(rt)
    rt.advance("1h")
    assert header is not None

    (found,) = [each for each in look(patient(rt), deep=True) if each.kind == "end-untold"]
    assert found.open
    assert f"waits for run {child}, which has cancelled at" in found.why
    fixed = look(patient(rt), deep=True, fix=True)
    assert any("told it how run" in each.done for each in fixed)
    rt.drain()
    assert rt.get(run).status == "failed"


def test_a_run_whose_parent_is_over_is_cancelled(rt, app):
    run = rt.start(app.functions["parent"]).run_id
    rt.advance("1m")
    child = rt.get(run).steps["child"].waiting_for.names[0]
    rt.client.cancel(run)
    while rt.get(run).status != "cancelled":
        rt._simulation._step()
    table = rt.aws("dynamodb")
    table.update_item(
        TableName="lambda-durable",
        Key={"pk": {"S": child}, "sk": {"S": "!"}},
        UpdateExpression="SET s = :r REMOVE t, z",
        ExpressionAttributeValues={":r": {"S": "running"}},
    )
    purge(rt)
    assert next(examine_run(patient(rt), child)).level is Level.WAITS  # its cancellation may be on its way
    rt.advance("1h")

    (found,) = [each for each in examine_run(patient(rt), child) if each.kind == "orphan"]
    assert f"run {run} invoked it, has cancelled" in found.why
    assert next(examine_run(patient(rt), child, fix=True)).done == "cancelled it"
    rt.drain()
    assert rt.get(child).status == "cancelled"


def test_a_step_whose_lambda_died_is_told_of(rt, app):
    run = rt.start(app.functions["two-steps"]).run_id
    while rt.invocations < 1:
        rt._simulation._step()
    purge(rt)
    world = rt.client._world
    rt.aws("dynamodb").put_item(
        TableName="lambda-durable",
        Item={
            "pk": {"S": run},
            "sk": {"S": ".two"},
            "k": {"S": "run"},
            "s": {"S": "running"},
            "m": {"S": "2.abc"},
            "b": {"N": str(to_millis(rt.now()))},
            "c": {"S": f"1:{to_millis(rt.now()) + 60_000}:abc"},
            "x": {"N": "1800000000"},
        },
    )
    assert next(examine_run(patient(rt), run)).kind == "at-work"
    rt.advance("1h")

    (found,) = look(patient(rt))
    assert "attempt 1 of step 'two' said nothing, and its Lambda was gone by" in found.why
    look(patient(rt), fix=True)
    rt.drain()
    assert rt.get(run).status == "completed"
    assert world is rt.client._world


def test_a_pinned_run_whose_version_was_deleted_cannot_be_repaired_and_says_so(app):
    @app.function("pinned", pin=True)
    def pinned(ctx: Context) -> None:
        ctx.step.sleep("long", "30d")

    rt = LocalRuntime(app)
    run = rt.start(pinned).run_id
    rt.advance("1h")

    who = patient(rt, is_gone=lambda version: version == "1")
    (found,) = look(who, deep=True, fix=True)
    assert (found.kind, found.open) == ("version-gone", True)
    assert f"run {run}" in found.subject
    assert "version 1, which was deleted" in found.why
    assert look(patient(rt, is_gone=lambda _: False), deep=True)[0].kind == "sleeps"


def test_a_payload_that_is_gone_is_named(rt, app):
    run = rt.start(app.functions["waits"], {"order": 1, "padding": "x" * 9_000}).run_id
    rt.advance("1m")
    s3 = rt.aws("s3")
    for each in s3.list_objects_v2(Bucket=rt._bucket)["Contents"]:
        s3.delete_object(Bucket=rt._bucket, Key=each["Key"])

    (found,) = examine_run(patient(rt), run, fix=True)
    assert (found.kind, found.open) == ("payload-gone", True)
    assert f"lay in S3 as {run}/" in found.why
    assert f"cancel {run}," in found.way_out


def test_a_run_that_has_ended_is_told_of_where_it_is_asked_for():
    app = Durable("app")

    @app.function("fine")
    def fine(ctx: Context) -> None: ...

    @app.function("fails")
    def fails(ctx: Context) -> None:
        raise NonRetriableError("no")

    rt = LocalRuntime(app)
    ended = [rt.start(function).run_id for function in (fine, fails)]
    rt.drain()

    found = [next(examine_run(patient(rt), run)) for run in ended]
    assert [(each.level, each.why) for each in found] == [
        (Level.ENDED, "it has completed"),
        (Level.ENDED, "it has failed: lambda_durable.errors.NonRetriableError"),
    ]


def test_the_reason_for_a_dead_letter_is_told_once_and_what_to_do_with_it(rt):
    (told,) = look(patient(rt, letter("{", rt=rt, reason="the message is no JSON: nor ever was")))
    assert told.why == (
        "nobody can make sense of it; the worker put it aside: the message is no JSON: nor ever was"
    )
    assert told.way_out.endswith("delete the letter (dead-letter queue in SQS's console: Poll for messages)")

    (found,) = look(patient(rt, letter("{", rt=rt)))
    assert found.why.startswith("nobody can make sense of it: the message is no JSON: ")


def test_a_damaged_item_of_a_stuck_run_is_named_and_hides_no_other(rt, app):
    runs = [rt.start(app.functions["two-steps"]).run_id for _ in range(2)]
    while rt.invocations < 2:
        rt._simulation._step()
    purge(rt)
    rt.aws("dynamodb").update_item(
        TableName="lambda-durable",
        Key={"pk": {"S": runs[0]}, "sk": {"S": "!"}},
        UpdateExpression="REMOVE v",
    )
    rt.advance("1h")

    found = {each.kind: each for each in look(patient(rt), fix=True)}
    assert found["damaged-item"].open
    assert f"pk {runs[0]!r}, sk '!'" in found["damaged-item"].why
    rt.drain()
    assert rt.get(runs[1]).status == "completed"


# -- dead letters


def test_a_deep_look_asks_what_is_overdue_once(rt, app):
    looks = SHARDS * (1 + len(app.functions))
    queries = rt.calls["dynamodb:Query"]
    look(patient(rt), deep=True)
    every = 2 * looks + LINE_SHARDS  # what is overdue, every run, and the lines
    assert rt.calls["dynamodb:Query"] - queries == every


def test_a_dead_letter_of_a_run_brings_it_on_and_is_removed(rt, app):
    run = rt.start(app.functions["two-steps"]).run_id
    rt._simulation._step()
    purge(rt)
    rt.advance("5m")
    who = patient(rt, letter(Continuation(run=run, generation=1, revived=1, idle=99).body(), rt=rt))

    (found,) = look(who)
    assert found.open
    assert "this message was to go on with it" in found.why
    assert len(who.letters.letters) == 1
    (fixed,) = look(who, fix=True)
    assert (fixed.open, fixed.done, who.letters.letters) == (False, "sent a check that brings it on", [])
    rt.drain()
    assert (rt.get(run).output, done) == ("done", ["one", "two"])


def test_a_dead_letter_whose_run_is_at_work_doubles_nothing(rt, app):
    run = rt.start(app.functions["two-steps"]).run_id
    for _ in range(3):
        look(patient(rt, letter(Continuation(run=run, generation=1).body(), rt=rt)), fix=True)
        rt._simulation._step()
    rt.drain()
    assert (rt.get(run).output, done) == ("done", ["one", "two"])


def test_what_follows_the_end_of_a_run_is_done_when_its_last_message_was_given_up(app):
    failed = []

    @app.function("fails")
    def fails(ctx: Context) -> None:
        raise ValueError

    @fails.on_failure
    def handle(ctx: Context) -> None:
        ctx.step.run("tell", failed.append, ctx.event.data.run_id)

    class Down(LocalRuntime):
        last = None

        def _handle(self, world, delivery, invocation):
            try:
                super()._handle(world, delivery, invocation)
            finally:
                header = world.store.get_header("bad")
                if header is not None and header.status.ended and Down.last is None:
                    Down.last = delivery
                    self._simulation._events.clear()

    rt = Down(app, lambda_timeout="60s")
    rt.start(fails, run_id="bad")
    rt.drain()
    assert (rt.get("bad").status, failed) == ("failed", [])

    gave_up = Letter(body=Down.last.body, message_id=Down.last.message_id)
    (found,) = look(patient(rt, gave_up), fix=True)
    assert found.done == "had it do what follows the end of its run"
    rt.drain()
    assert failed == ["bad"]
    look(patient(rt, gave_up), fix=True)
    rt.drain()
    assert failed == ["bad"]


def test_an_event_that_was_given_up_starts_what_it_was_to_start_once(rt):
    who = patient(
        rt, letter(event(), rt=rt, RULE_ARN="r", ERROR_CODE="NO_PERMISSIONS", ERROR_MESSAGE="denied")
    )
    (found,) = look(who)
    assert found.subject == "event 'go' (e)"
    assert "EventBridge could not deliver it: NO_PERMISSIONS: denied" in found.why
    look(who, fix=True)
    rt.drain()
    assert done == ["one", "two"]

    look(patient(rt, letter(event(), rt=rt)), fix=True)
    rt.drain()
    assert done == ["one", "two"]


def test_an_event_that_was_left_half_done_days_ago_is_finished_and_starts_nothing_twice(rt, app):
    @app.function("other", on_event("go"))
    def other(ctx: Context) -> None:
        ctx.step.run("three", done.append, "three")

    rt.deliver(event())
    rt.advance("1m")
    assert sorted(done) == ["one", "three", "two"]
    (begun,) = rt.runs("two-steps")
    (lost,) = rt.runs("other")
    rt.aws("dynamodb").delete_item(
        TableName="lambda-durable", Key={"pk": {"S": lost.run_id}, "sk": {"S": "!"}}
    )
    rt.aws("dynamodb").delete_item(
        TableName="lambda-durable", Key={"pk": {"S": lost.run_id}, "sk": {"S": ".three"}}
    )
    rt.advance("3d")

    (found,) = look(patient(rt, letter(event(), age=timedelta(days=3), rt=rt)), fix=True)
    assert found.done == "had the runs begin that had not, under their own ids"
    rt.drain()
    assert sorted(done) == ["one", "three", "three", "two"]
    assert [run.run_id for run in rt.runs("two-steps")] == [begun.run_id]
    assert [run.run_id for run in rt.runs("other")] == [lost.run_id]


def test_a_letter_older_than_what_is_remembered_is_for_a_person(rt):
    who = patient(rt, letter(event(), age=timedelta(days=9), rt=rt), retention=timedelta(days=1))
    (found,) = look(who, fix=True)
    assert found.open
    assert "older (9 days) than what the state remembers" in found.why
    assert len(who.letters.letters) == 1


@pytest.mark.parametrize(
    ("body", "subject"),
    [
        (
            Start(function="two-steps", run="r", event=None, key=f"inbox/{'0' * 64}").body(),
            "the start of run r",
        ),
        ("{", "message m"),
        ({"detail-type": "go"}, "message m"),
        ({"kind": "new"}, "message m"),
    ],
)
def test_what_makes_no_sense_is_left_where_it_is(rt, body, subject):
    who = patient(rt, letter(body, rt=rt, reason="because"))
    (found,) = look(who, fix=True)
    assert found.open
    assert found.subject.startswith(subject)
    assert "the worker put it aside: because" in found.why
    assert "delete the letter" in found.way_out
    assert len(who.letters.letters) == 1


def test_a_schedule_that_could_not_be_delivered_starts_its_run_once(rt):
    scheduled = Scheduled(function="two-steps", schedule="0 9 * * *", time=rt.now()).body()
    for _ in range(2):
        who = patient(rt, letter(scheduled, rt=rt, SCHEDULE_ARN="s", ERROR_CODE="X", ERROR_MESSAGE="y"))
        (found,) = look(who, fix=True)
        assert "Scheduler could not deliver it: X: y" in found.why
        rt.drain()
    assert done == ["one", "two"]


def test_a_message_of_nobody_is_removed(rt):
    who = patient(rt, letter(Continuation(run="nobody").body()), letter(Arrival(event="gone").body()))
    found = look(who, fix=True)
    assert [(each.level, each.done) for each in found] == [(Level.LEFT, "removed it")] * 2
    assert who.letters.letters == []


# -- leftovers


def test_waiters_and_schedules_of_runs_that_have_ended_are_removed_and_no_others(rt, app):
    waiting = rt.start(app.functions["waits"], {"order": 1}).run_id
    over = rt.start(app.functions["two-steps"]).run_id
    rt.advance("1h")
    store = rt.client._world.store
    store.add_waiter(Waiter(name="payment", run_id=over, path="paid", resume="{}"))
    store.hold_signal(Waiter(name="stop", run_id=over, path="stop", resume="{}"), instead_of=None)
    who = patient(rt)
    who.left.bodies = {
        "old": Continuation(run=over).body(),
        "stands": Continuation(run=over, stands_for="x").body(),
        "live": Continuation(run=waiting).body(),
        "odd": "?",
    }

    def left():
        return [each for each in look(who, deep=True) if each.level is Level.LEFT]

    assert sorted(each.kind for each in left()) == ["leftover-schedule", "leftover-waiter", "leftover-waiter"]
    assert all(not each.open for each in left())
    look(who, deep=True, fix=True)
    assert left() == []
    assert sorted(who.left.bodies) == ["live", "odd", "stands"]
    rt.send(Event("payment", {"order": 1}))
    rt.drain()
    assert rt.get(waiting).output == "paid"


def test_nothing_is_written_without_fix(rt, app):
    rt.start(app.functions["two-steps"])
    while rt.invocations < 1:
        rt._simulation._step()
    purge(rt)
    rt.advance("1h")
    rt.client._world.queue.send([Outgoing(Continuation(run="x").body(), 900)])
    before = rt.calls.copy()
    look(patient(rt, letter(event(), rt=rt)), deep=True)
    assert not [
        name for name in rt.calls - before if name.startswith(("sqs:Send", "dynamodb:Put", "dynamodb:Update"))
    ]


# -- what can't be read, and what is large


def damage(rt, run):
    rt.aws("dynamodb").update_item(
        TableName="lambda-durable", Key={"pk": {"S": run}, "sk": {"S": "!"}}, UpdateExpression="REMOVE v"
    )


def forget(rt, *runs):
    for run in runs:
        for sk in ("!", ".one", ".two"):
            rt.aws("dynamodb").delete_item(
                TableName="lambda-durable", Key={"pk": {"S": run.run_id}, "sk": {"S": sk}}
            )


def test_a_dead_letter_of_a_damaged_run_stays_and_the_next_is_looked_at(rt, app):
    run = rt.start(app.functions["two-steps"]).run_id
    rt._simulation._step()
    purge(rt)
    damage(rt, run)
    who = patient(rt, letter(Continuation(run=run, generation=1).body()), letter(event(), rt=rt))

    damaged, other = look(who, fix=True)
    assert damaged.open
    assert f"pk {run!r}, sk '!'" in damaged.why
    assert other.done == "sent it again"
    assert len(who.letters.letters) == 1


def test_waiters_and_schedules_of_a_damaged_run_are_left(rt, app):
    run = rt.start(app.functions["waits"], {"order": 1}).run_id
    rt.advance("1s")
    damage(rt, run)
    who = patient(rt)
    who.left.bodies["wake"] = Continuation(run=run).body()

    assert [found.kind for found in look(who, fix=True, deep=True)] == ["damaged-item"]
    assert list(who.left.bodies) == ["wake"]


def test_a_run_that_can_not_be_decrypted_is_named_and_hides_no_other():
    def app_with(key):
        app = Durable(
            "app", steps_per_invocation=1, middleware=[Encryption(RawKey("key", key), required=True)]
        )

        @app.function("sleeps")
        def sleeps(ctx: Context, /) -> None:
            ctx.step.run("large", lambda: "x" * 300_000)
            ctx.step.sleep("rest", "1h")

        return app

    rt = LocalRuntime(app_with(b"0" * 32))
    rt.start("sleeps")
    rt.start("sleeps")
    rt.advance("1m")
    rt.deploy(app_with(b"1" * 32))

    found = look(patient(rt), fix=True, deep=True)
    assert [(each.kind, each.level) for each in found] == [("sealed-item", Level.UNSEEN)] * 2
    purge(rt)
    rt.advance("1h")
    late = look(patient(rt))  # and the worker has not gone on with them either
    assert [(each.kind, each.level) for each in late] == [("sealed-item", Level.STUCK)] * 2


def test_a_large_event_that_was_left_half_done_is_finished_by_way_of_the_bucket(rt):
    rt.send(Event("go", {"large": "x" * 2_000_000}, id="e"))
    rt.drain()
    (lost,) = rt.runs("two-steps")
    forget(rt, lost)
    rt.advance("3d")

    (found,) = look(patient(rt, letter(event(), age=timedelta(days=3), rt=rt)), fix=True)
    assert found.done == "had the runs begin that had not, under their own ids"
    rt.drain()
    assert [run.run_id for run in rt.runs("two-steps")] == [lost.run_id]
    assert len(rt.get(lost.run_id).event.data["large"]) == 2_000_000
    assert done == ["one", "two"] * 2


def test_an_event_whose_time_is_yet_to_come_begins_nothing_before(rt):
    later = event() | {"time": "2025-01-10T00:00:00Z"}
    rt.deliver(later)
    rt.advance("2d")
    forget(rt, *rt.runs())
    purge(rt)
    who = patient(rt, letter(later, age=timedelta(days=2), rt=rt))

    (found,) = look(who, fix=True)
    assert found.way_out.endswith("after 2025-01-10 00:00:00 UTC")
    rt.advance("6d")
    assert done == []
    rt.advance("1d")
    look(who, fix=True)
    rt.drain()
    assert (done, who.letters.letters) == (["one", "two"], [])


def test_an_event_whose_data_is_gone_from_the_bucket_is_left_for_a_person(rt):
    rt.deliver(event(large="x" * 300_000))
    rt.advance("3d")
    for kept in rt.aws("s3").list_objects_v2(Bucket=rt._bucket)["Contents"]:
        rt.aws("s3").delete_object(Bucket=rt._bucket, Key=kept["Key"])
    who = patient(rt, letter(event(), age=timedelta(days=3), rt=rt))

    (found,) = look(who, fix=True)
    assert found.open
    assert "its data lay in S3 as events/" in found.why
    assert len(who.letters.letters) == 1


def test_what_follows_a_going_on_as_new_is_done_when_its_message_was_given_up(app, monkeypatch):
    @app.function("renews")
    async def renews(ctx: AsyncContext, /) -> str:
        if ctx.event.data == "again":
            await ctx.step.sleep("long", "1d")
            return "renewed"
        waiting = asyncio.create_task(ctx.step.invoke("child", "waits", {"order": 1}))
        await asyncio.wait(
            [waiting, asyncio.create_task(ctx.step.sleep("rest", "1m"))],
            timeout=None,
            return_when="FIRST_COMPLETED",
        )
        return ctx.continue_as_new("again")

    gave_up = []

    class Down(LocalRuntime):
        def _handle(self, world, delivery, invocation):
            try:
                super()._handle(world, delivery, invocation)
            except ConnectionError:
                gave_up.append(Letter(body=delivery.body, message_id=delivery.message_id))
                purge(self)

    def fail(*_):
        raise ConnectionError

    rt = Down(app, lambda_timeout="60s")
    run = rt.start(renews, "first").run_id
    rt.advance("30s")
    (child,) = rt.runs("waits")
    with monkeypatch.context() as patched:
        patched.setattr(renewal, "let_go", fail)
        rt.advance("5m")
    assert (len(gave_up), rt.get(run).continuations, rt.get(child.run_id).status) == (1, 1, "running")

    look(patient(rt, *gave_up), fix=True)
    rt.advance("5m")
    assert rt.get(child.run_id).status == "cancelled"
    rt.drain()
    assert rt.get(run).output == "renewed"


@pytest.mark.parametrize("with_app", [True, False])
def test_a_doctor_without_the_app_tells_nobody_what_it_can_not_read(with_app):
    app = Durable("app", steps_per_invocation=1, middleware=[Encryption(RawKey("key", b"0" * 32))])

    @app.function("child")
    def child(ctx: Context, /) -> str:
        return "what it made"

    @app.function("parent")
    def parent(ctx: Context, /) -> str:
        return ctx.step.invoke("child", child, {})

    rt = LocalRuntime(app, lambda_timeout="60s")
    run = rt.start(parent).run_id
    while not (ended := [each for each in rt.runs("child") if each.status == "completed"]):
        rt._simulation._step()
    rt.aws("dynamodb").update_item(
        TableName="lambda-durable",
        Key={"pk": {"S": run}, "sk": {"S": ".child"}},
        UpdateExpression="SET s = :w REMOVE t, o",
        ExpressionAttributeValues={":w": {"S": "waiting"}},
    )
    purge(rt)
    rt.advance("1h")

    world = rt.client._world
    if not with_app:
        bare = replace(world, store=world.store._store, blobs=world.blobs._blobs, seal=PLAIN)
        world = sealed(bare, None)
    (found,) = examine_run(Patient(world=world), run, fix=True)
    assert (found.open, "--app" in found.way_out) == (not with_app, not with_app)
    rt.drain()
    if with_app:
        assert rt.get(run).output == "what it made"
    else:
        assert rt.get(run).steps["child"].output is None
    assert len(ended) == 1
