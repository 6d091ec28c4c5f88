"""The `Scheduler` port's recurring schedules: on the stand-in of LocalRuntime, and on AWS's API as moto and
ministack have it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from lambda_durable import Durable, cron, every
from lambda_durable.aws.scheduler import EventBridgeScheduler
from lambda_durable.aws.settings import Settings
from lambda_durable.ports import Recurring, Scheduler
from lambda_durable.runtime.registration import schedules_of
from lambda_durable.testing import LocalRuntime
from tests.conformance.conftest import CLOUDS, StoppedClock, connect_to

SETTINGS = Settings(
    table="table",
    bucket="bucket",
    queue_url="https://sqs/continuations",
    bus="bus",
    queue_arn="arn:aws:sqs:us-east-1:123456789012:continuations",
    ingress_queue_arn="arn:aws:sqs:us-east-1:123456789012:ingress",
    dead_letter_arn="arn:aws:sqs:us-east-1:123456789012:dead",
    scheduler_role_arn="arn:aws:iam::123456789012:role/scheduler",
)
NIGHTLY = Recurring(
    name="cron-abc-nightly-1",
    expression="cron(0 1 * * ? *)",
    timezone="Europe/Paris",
    body='{"time":"<aws.scheduler.scheduled-time>"}',
)
HOURLY = Recurring(name="cron-abc-hourly-1", expression="rate(60 minutes)", timezone="UTC", body='{"n":1}')


class Group:
    """A schedule group on AWS, and the calls made on it."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.settings = replace(SETTINGS, schedule_group=f"group-{uuid4()}")
        self.scheduler = EventBridgeScheduler(client, self.settings, StoppedClock())
        self.calls: list[str] = []
        client.create_schedule_group(Name=self.settings.schedule_group)
        client.meta.events.register("before-call.scheduler", self._count, unique_id="count")

    def _count(self, model: Any, **_: object) -> None:
        self.calls.append(model.name)

    def get(self, name: str) -> Any:
        return self.client.get_schedule(Name=name, GroupName=self.settings.schedule_group)

    def close(self) -> None:
        self.client.meta.events.unregister("before-call.scheduler", unique_id="count")
        self.client.delete_schedule_group(Name=self.settings.schedule_group)


@pytest.fixture(scope="session")
def client() -> Any:
    return connect_to("moto", "scheduler")


@pytest.fixture
def group(client: Any) -> Iterator[Group]:
    group = Group(client)
    yield group
    group.close()


@pytest.fixture(params=["fakes", *CLOUDS])
def scheduler(request: pytest.FixtureRequest) -> Iterator[Scheduler]:
    if request.param != "fakes":
        group = Group(connect_to(request.param, "scheduler"))
        yield group.scheduler
        group.close()
        return
    runtime = LocalRuntime(Durable("app"))
    yield runtime._scheduler
    runtime.close()


class TestThePort:
    def test_finds_what_was_put_by_its_prefix(self, scheduler):
        for schedule in (NIGHTLY, HOURLY, replace(HOURLY, name="cron-xyz-hourly-1")):
            scheduler.put_recurring(schedule)
        assert sorted(scheduler.recurring("cron-abc-")) == [HOURLY.name, NIGHTLY.name]
        assert len(list(scheduler.recurring("cron-"))) == 3
        assert list(scheduler.recurring("cron-abc-m")) == []

    def test_replaces_one_of_the_same_name(self, scheduler):
        scheduler.put_recurring(NIGHTLY)
        scheduler.put_recurring(replace(NIGHTLY, expression="cron(0 2 * * ? *)"))
        scheduler.put_recurring(replace(NIGHTLY, expression="cron(0 2 * * ? *)"))
        assert list(scheduler.recurring("cron-")) == [NIGHTLY.name]

    def test_deletes_one_and_again(self, scheduler):
        scheduler.put_recurring(NIGHTLY)
        scheduler.put_recurring(HOURLY)
        scheduler.delete_recurring(NIGHTLY.name)
        scheduler.delete_recurring(NIGHTLY.name)
        assert list(scheduler.recurring("cron-")) == [HOURLY.name]

    def test_does_not_count_a_sleeper_s_schedule(self, scheduler):
        scheduler.schedule("0123abcd", datetime(2030, 2, 1, tzinfo=UTC), "{}")
        assert list(scheduler.recurring("cron-")) == []

    def test_takes_what_the_triggers_of_an_app_ask_for(self, scheduler):
        app = Durable("app")
        app.function("f", [cron("*/7 1-5,9 13 JAN-MAR FRI", "America/St_Johns"), every("1m"), every("365d")])(
            lambda ctx: None
        )
        wanted = list(schedules_of(app, "owner"))
        for schedule in wanted:
            scheduler.put_recurring(schedule)
        assert sorted(scheduler.recurring("cron-")) == sorted(schedule.name for schedule in wanted)
        assert len(wanted) == 4

    def test_with_many_finds_them_all(self, scheduler, request):
        if "ministack" in request.node.name:
            pytest.skip("ministack lists a hundred schedules, and no second page")
        for number in range(120):
            scheduler.put_recurring(replace(HOURLY, name=f"cron-abc-{number}"))
        assert len(set(scheduler.recurring("cron-abc-"))) == 120


class TestOnAws:
    def test_a_schedule_sends_its_body_to_the_ingress_queue(self, group):
        group.scheduler.put_recurring(NIGHTLY)

        found = group.get(NIGHTLY.name)

        assert (found["ScheduleExpression"], found["ScheduleExpressionTimezone"]) == (
            "cron(0 1 * * ? *)",
            "Europe/Paris",
        )
        assert (found["State"], found["FlexibleTimeWindow"]) == ("ENABLED", {"Mode": "OFF"})
        target = found["Target"]
        assert target["Arn"] == SETTINGS.ingress_queue_arn
        assert target["RoleArn"] == SETTINGS.scheduler_role_arn
        assert target["DeadLetterConfig"] == {"Arn": SETTINGS.dead_letter_arn}
        assert target["Input"] == NIGHTLY.body

    def test_a_rate_counts_from_the_epoch_and_not_from_the_deployment(self, group):
        for minutes in (60, 7, 525600):
            schedule = replace(HOURLY, expression=f"rate({minutes} minutes)")
            group.scheduler.put_recurring(schedule)
            start = group.get(HOURLY.name)["StartDate"]
            now = StoppedClock().now()
            assert start.timestamp() % (minutes * 60) == 0
            assert now < start <= now + timedelta(minutes=minutes)

    def test_what_is_as_it_should_be_costs_one_call(self, group):
        for schedule in (NIGHTLY, HOURLY):
            group.scheduler.put_recurring(schedule)
            group.calls.clear()
            group.scheduler.put_recurring(schedule)
            assert group.calls == ["GetSchedule"]

    @pytest.mark.parametrize(
        "change",
        [{"expression": "cron(5 1 * * ? *)"}, {"timezone": "UTC"}, {"body": "{}"}],
        ids=["expression", "timezone", "body"],
    )
    def test_what_changed_is_updated(self, group, change):
        group.scheduler.put_recurring(NIGHTLY)
        group.calls.clear()
        group.scheduler.put_recurring(replace(NIGHTLY, **change))
        assert group.calls == ["GetSchedule", "UpdateSchedule"]
        group.scheduler.put_recurring(replace(NIGHTLY, **change))
        assert group.calls == ["GetSchedule", "UpdateSchedule", "GetSchedule"]

    def test_what_a_person_disabled_or_a_stack_moved_is_mended(self, group):
        group.scheduler.put_recurring(NIGHTLY)
        found = group.get(NIGHTLY.name)
        moved = {**found["Target"], "Arn": SETTINGS.queue_arn}
        for broken in ({"State": "DISABLED"}, {"Target": moved}):
            kept = (
                "ScheduleExpression",
                "ScheduleExpressionTimezone",
                "FlexibleTimeWindow",
                "Target",
                "State",
            )
            group.client.update_schedule(
                Name=NIGHTLY.name,
                GroupName=group.settings.schedule_group,
                **{**{key: found[key] for key in kept}, **broken},
            )

            group.scheduler.put_recurring(NIGHTLY)

            mended = group.get(NIGHTLY.name)
            assert mended["State"] == "ENABLED"
            assert mended["Target"]["Arn"] == SETTINGS.ingress_queue_arn

    def test_one_that_another_creates_meanwhile_is_updated(self, group, monkeypatch):
        group.scheduler.put_recurring(replace(NIGHTLY, body="{}"))
        monkeypatch.setattr(group.scheduler, "_get", lambda name: None)  # read before it was there
        group.scheduler.put_recurring(NIGHTLY)
        assert group.get(NIGHTLY.name)["Target"]["Input"] == NIGHTLY.body

    def test_where_the_group_is_gone_there_are_none(self, client):
        def gone(model: Any, **_: object) -> Any:
            raise ClientError(
                {"Error": {"Code": "ResourceNotFoundException", "Message": "no group"}}, model.name
            )

        client.meta.events.register("before-call.scheduler", gone, unique_id="gone")
        try:
            scheduler = EventBridgeScheduler(client, replace(SETTINGS, schedule_group="gone"), StoppedClock())
            assert list(scheduler.recurring("cron-")) == []
            scheduler.delete_recurring("cron-1")
        finally:
            client.meta.events.unregister("before-call.scheduler", unique_id="gone")

    def test_another_refusal_is_an_error(self, client):
        def denied(model: Any, **_: object) -> Any:
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, model.name)

        client.meta.events.register("before-call.scheduler", denied, unique_id="denied")
        try:
            scheduler = EventBridgeScheduler(client, replace(SETTINGS, schedule_group="g"), StoppedClock())
            for call in (
                lambda: scheduler.put_recurring(NIGHTLY),
                lambda: list(scheduler.recurring("cron-")),
                lambda: scheduler.delete_recurring("cron-1"),
            ):
                with pytest.raises(ClientError, match="AccessDenied"):
                    call()
        finally:
            client.meta.events.unregister("before-call.scheduler", unique_id="denied")
