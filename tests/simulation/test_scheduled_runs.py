"""`cron` and `every` in a LocalRuntime: what is due starts one run, whatever happens on the way."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from pydantic import BaseModel

from lambda_durable import (
    AsyncContext,
    Context,
    Durable,
    Event,
    Schedule,
    cron,
    every,
    on_event,
)
from lambda_durable.testing import Faults
from lambda_durable.testing.recurrence import recurrence

START = datetime(2025, 1, 1, tzinfo=UTC)


class Night(BaseModel):
    accounts: int


def an_app(*triggers: Any) -> tuple[Durable, Any]:
    app = Durable("app")

    @app.function("job", list(triggers))
    def job(ctx: Context[Any]) -> str:
        return ctx.step.run("work", lambda: f"{ctx.event.time:%m-%dT%H:%M}")

    return app, job


def due(rt: Any) -> list[str]:
    """The scheduled times of the runs, in order."""
    return sorted(f"{rt.get(run.run_id).event.time:%m-%dT%H:%M}" for run in rt.runs())


def test_a_cron_starts_a_run_whenever_it_is_due(durable):
    app, job = an_app(cron("0 9 * * MON-FRI", timezone="Europe/Paris"))
    rt = durable(app)

    rt.advance("7d")

    assert due(rt) == ["01-01T08:00", "01-02T08:00", "01-03T08:00", "01-06T08:00", "01-07T08:00"]
    newest = rt.get(next(rt.runs(job)).run_id)
    assert (newest.status, newest.output) == ("completed", "01-07T08:00")
    assert newest.created_at == datetime(2025, 1, 7, 8, tzinfo=UTC)


def test_the_event_says_which_schedule_it_was(durable):
    app = Durable("app")

    @app.function("job", cron("30 0 1 * *", timezone="Africa/Lagos"))
    async def job(ctx: AsyncContext[Schedule]) -> list[str]:
        event = ctx.event
        return [event.name, event.source, event.data.schedule, event.data.timezone]

    rt = durable(app)
    rt.advance("31d")

    run = rt.get(next(rt.runs()).run_id)
    assert run.output == ["lambda_durable/scheduled", "lambda_durable", "30 0 1 * *", "Africa/Lagos"]
    assert run.event.time == datetime(2025, 1, 31, 23, 30, tzinfo=UTC)


def test_every_is_due_at_the_multiples_of_its_interval(durable):
    app, _ = an_app(every("6h"))
    rt = durable(app, start=START + timedelta(hours=1))

    rt.advance("1d")

    assert due(rt) == ["01-01T06:00", "01-01T12:00", "01-01T18:00", "01-02T00:00"]


def test_a_moment_that_is_past_is_not_due_again(durable):
    app, _ = an_app(every("1h"))
    rt = durable(app)
    for _ in range(6):
        rt.advance("30m")
    rt.advance("0s")
    assert due(rt) == ["01-01T01:00", "01-01T02:00", "01-01T03:00"]


def test_either_of_two_days_starts_one_run_where_both_fall_together(durable):
    app, _ = an_app(cron("0 12 13 * FRI"))
    rt = durable(app, start=datetime(2025, 6, 1, tzinfo=UTC))

    rt.advance("30d")

    assert due(rt) == ["06-06T12:00", "06-13T12:00", "06-20T12:00", "06-27T12:00"]  # the 13th is a Friday


def test_two_schedules_of_one_function_are_two_runs(durable):
    app, _ = an_app(cron("0 12 * * *"), every("12h"))
    rt = durable(app)
    rt.advance("1d")
    assert due(rt) == ["01-01T12:00", "01-01T12:00", "01-02T00:00"]


def test_summer_time_moves_a_schedule_and_skips_what_is_not_there(durable):
    app, _ = an_app(cron("30 2,9 * * *", timezone="Europe/Paris"))
    rt = durable(app, start=datetime(2025, 3, 29, 12, tzinfo=UTC))
    rt.advance("2d")
    assert due(rt) == ["03-30T07:30", "03-31T00:30", "03-31T07:30"]


def test_a_schedule_beside_an_event(durable):
    app = Durable("app")

    @app.function("nightly", [on_event("billing/night.began", Night), cron("0 1 * * *")])
    def nightly(ctx: Context[Night | Schedule]) -> str:
        data = ctx.event.data
        return f"scheduled {data.schedule}" if isinstance(data, Schedule) else f"{data.accounts} accounts"

    rt = durable(app)
    rt.send(Event("billing/night.began", {"accounts": 3}))
    rt.advance("1d")

    assert sorted(rt.get(run.run_id).output for run in rt.runs()) == ["3 accounts", "scheduled 0 1 * * *"]


def test_a_function_with_a_schedule_can_be_started_by_hand(durable):
    app = Durable("app")

    @app.function("typed", cron("0 1 * * *"))
    def typed(ctx: Context[Schedule]) -> str:
        return f"{ctx.event.name} {ctx.event.data.schedule!r}"

    @app.function("plain", every("1h"))
    def plain(ctx: Context[dict[str, Any]]) -> dict[str, Any]:
        return ctx.event.data

    rt = durable(app)
    assert rt.run(typed).output == "lambda_durable/invoked ''"
    assert rt.run(typed, Schedule(schedule="mine")).output == "lambda_durable/invoked 'mine'"
    assert rt.run(plain, {"n": 1}).output == {"n": 1}
    rt.advance("1h")
    assert rt.get(next(rt.runs(plain)).run_id).output == {"schedule": "every 1h", "timezone": "UTC"}


def test_what_is_neither_the_event_s_data_nor_a_schedule_is_refused(durable):
    app = Durable("app")

    @app.function("nightly", [on_event("billing/night.began", Night), cron("0 1 * * *")])
    def nightly(ctx: Context[Night | Schedule]) -> None: ...

    rt = durable(app)
    rt.send(Event("billing/night.began", {"accounts": "many"}))
    rt.drain()
    run = rt.get(next(rt.runs()).run_id)
    assert run.status == "failed"
    assert "data.Night.accounts" in run.error.message


def test_drain_ends_what_was_started_and_starts_nothing(durable):
    app = Durable("app")

    @app.function("job", every("1h"))
    def job(ctx: Context[Schedule]) -> None:
        ctx.step.sleep("long", "10d")

    rt = durable(app)
    rt.advance("2h")
    rt.drain()

    assert [run.status for run in rt.runs()] == ["completed", "completed"]
    assert rt.now() == START + timedelta(days=10, hours=2)
    rt.advance("1h")
    assert len(list(rt.runs())) == 3, "what was due while drain skipped the time is left out"


def test_with_messages_that_get_lost_drain_starts_nothing_either(durable):
    app, job = an_app(every("1m"))
    rt = durable(app, faults=Faults(lose=1.0))
    rt.advance("1m")
    rt.drain()
    assert [run.status for run in rt.runs()] == ["completed"]


def test_who_waits_for_a_run_lets_schedules_fall_due(durable):
    app, job = an_app(every("1h"))

    @app.function("slow")
    def slow(ctx: Context[Any]) -> str:
        ctx.step.sleep("nap", "3h")
        return "slept"

    rt = durable(app)
    assert rt.client.result(rt.start(slow).run_id, timeout="1d") == "slept"
    assert len(list(rt.runs(job))) in (2, 3)
    rt.advance("1h")
    assert due(rt)[-1] == "01-01T04:00"


def test_a_deployment_changes_the_schedules(durable):
    old, _ = an_app(cron("0 9 * * *"), every("12h"))
    new, _ = an_app(cron("0 10 * * *"))
    rt = durable(old)
    rt.advance("1d")
    assert due(rt) == ["01-01T09:00", "01-01T12:00", "01-02T00:00"]

    rt.deploy(new)
    rt.advance("2d")

    assert due(rt)[3:] == ["01-02T10:00", "01-03T10:00"]


def test_a_run_of_a_function_that_is_gone_says_so(durable):
    app, _ = an_app(every("1h"))
    rt = durable(app)
    rt.advance("59m")
    (schedule,) = rt._scheduler._recurring.values()
    rt.deploy(Durable("app"))

    rt._queue.put(
        schedule.body.replace("<aws.scheduler.scheduled-time>", "2025-01-01T01:00:00Z")
    )  # on its way
    rt.advance("1m")

    run = rt.client.get(next(rt.runs("job")).run_id)
    assert run.status == "failed"
    assert "has no function 'job'" in run.error.message


def test_a_scheduled_run_costs_what_a_started_one_does(durable):
    app, job = an_app(every("1h"))
    rt = durable(app, steps_per_invocation="all")
    rt.advance("0s")
    before = rt.calls.copy()
    rt.advance("1h")
    scheduled = rt.calls - before
    assert scheduled == {"dynamodb:PutItem": 2, "dynamodb:UpdateItem": 1}


@pytest.mark.parametrize(
    "body",
    [
        '{"kind":"scheduled","function":"job","schedule":"x","time":"<aws.scheduler.scheduled-time>"}',
        '{"kind":"scheduled","function":"job","schedule":"x","time":"2025-01-01T01:00:00"}',
        '{"kind":"scheduled","function":"","schedule":"x","time":"2025-01-01T01:00:00Z"}',
        '{"kind":"scheduled","function":"job","time":"2025-01-01T01:00:00Z"}',
        '{"kind":"scheduled","function":"job","schedule":"x","jitter":-1,"time":"2025-01-01T01:00:00Z"}',
    ],
)
def test_what_is_no_schedule_s_message_is_put_aside(durable, body):
    app, _ = an_app(every("1h"))
    rt = durable(app)
    rt._queue.put(body)
    rt.advance("1m")
    (letter,) = rt.dead_letters
    assert "none of ours" in letter.reason
    assert not list(rt.runs())


class TestJitter:
    def starts(self, durable: Any, **options: Any) -> list[timedelta]:
        app, _ = an_app(cron("0 * * * *", jitter="30m"))
        rt = durable(app, **options)
        rt.advance("1d")
        rt.drain()
        runs = [rt.get(run.run_id) for run in rt.runs()]
        assert len(runs) == 24
        assert {run.status for run in runs} == {"completed"}
        assert all(run.event.time.minute == 0 for run in runs), "the event's time is the one that was due"
        return [run.started_at - run.event.time for run in runs]

    def test_puts_each_start_off_by_a_part_of_it(self, durable):
        delays = self.starts(durable)
        assert all(timedelta() <= delay <= timedelta(minutes=30) for delay in delays)
        assert len(set(delays)) == 24
        assert max(delays) > timedelta(minutes=20)
        assert min(delays) < timedelta(minutes=10)

    def test_is_the_same_for_the_same_function_and_time(self, durable):
        assert self.starts(durable, seed=1) == self.starts(durable, seed=2)

    def test_a_run_that_is_put_off_is_queued(self, durable):
        app, _ = an_app(cron("0 * * * *", jitter="30m"))
        rt = durable(app)
        rt.advance("1h")
        assert [run.status for run in rt.runs()] == ["queued"]
        rt.advance("30m")
        assert [run.status for run in rt.runs()] == ["completed"]


TRIGGERS = [
    cron("*/20 * * * *"),
    cron("0 */3 * * *", timezone="America/New_York"),
    cron("15 12 2 * THU"),  # 2 January 2025 is a Thursday
    cron("10,50 6 * * *", timezone="Asia/Kolkata", jitter="20m"),
    every("45m"),
    every("4h", jitter="1h"),
]


def expected(trigger: Any, until: datetime) -> set[datetime]:
    times = set()
    for expression in trigger.expressions:
        time: datetime | None = START
        while (time := recurrence(expression, trigger.timezone).after(time)) is not None and time <= until:
            times.add(time)
    return times


@pytest.mark.parametrize("seed", range(40))
def test_each_scheduled_time_starts_exactly_one_run_whatever_happens(durable, seed):
    random = Random(seed)
    chosen = random.sample(TRIGGERS, 2)
    app = Durable("app")
    done: Counter[str] = Counter()
    for number, trigger in enumerate(chosen):

        @app.function(f"job-{number}", trigger)
        def job(ctx: Context[Schedule]) -> str:
            ctx.step.run("work", done.update, [ctx.run_id])
            ctx.step.sleep("nap", "20m")
            return ctx.event.time.isoformat()

    rt = durable(app, faults=Faults(), seed=seed, steps_per_invocation=random.choice([1, "all", "auto"]))
    for _ in range(random.randint(1, 4)):
        rt.advance(f"{random.randint(1, 20) * 37}m")
    until = rt.now()
    rt.drain()

    for number, trigger in enumerate(chosen):
        runs = [rt.get(run.run_id) for run in rt.runs(f"job-{number}")]
        assert sorted(run.event.time for run in runs) == sorted(expected(trigger, until))
        assert {run.status for run in runs} <= {"completed"}
        assert all(run.output == run.event.time.isoformat() for run in runs)
        assert all(before.created_at >= after.created_at for before, after in pairwise(runs)), "newest first"
        assert all(done[run.run_id] for run in runs)
    assert not rt.dead_letters
