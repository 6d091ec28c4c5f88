"""Registration: an app's schedules become what its code says, and CloudFormation always gets an answer."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from lambda_durable import Context, Durable, cron, every, on_event
from lambda_durable.ports import Recurring
from lambda_durable.runtime.messages import Scheduled, parse
from lambda_durable.runtime.registration import RegistrationError, handle, register, schedules_of, unregister

URL = "https://cloudformation.example/answer?signature=secret"


class Schedules:
    """The port, in memory. `fails` names the calls that raise."""

    def __init__(self) -> None:
        self.all: dict[str, Recurring] = {}
        self.fails: set[str] = set()
        self.calls: list[str] = []

    def schedule(self, name: str, at: datetime, body: str) -> None:
        raise AssertionError("one-time schedules are not registered")

    def put_recurring(self, schedule: Recurring) -> None:
        self._called(f"put {schedule.name}")
        self.all[schedule.name] = schedule

    def recurring(self, prefix: str) -> Iterator[str]:
        self._called("list")
        return iter([name for name in self.all if name.startswith(prefix)])

    def delete_recurring(self, name: str) -> None:
        self._called(f"delete {name}")
        self.all.pop(name, None)

    def _called(self, call: str) -> None:
        self.calls.append(call)
        if any(call.startswith(each) for each in self.fails):
            raise RuntimeError("Scheduler is on strike")


@pytest.fixture
def schedules() -> Schedules:
    return Schedules()


def app_with(**functions: Any) -> Durable:
    app = Durable("app")
    for id, triggers in functions.items():

        @app.function(id, triggers)
        def handler(ctx: Context[Any]) -> None: ...

    return app


class TestASchedule:
    def test_says_when_and_what(self):
        app = app_with(
            nightly=[on_event("x"), cron("0 1 * * *", "Europe/Paris", jitter="10m")], hourly=every("1h")
        )

        nightly, hourly = schedules_of(app, "owner")

        assert (nightly.expression, nightly.timezone) == ("cron(0 1 * * ? *)", "Europe/Paris")
        assert (hourly.expression, hourly.timezone) == ("rate(60 minutes)", "UTC")
        assert json.loads(nightly.body) == {
            "kind": "scheduled",
            "function": "nightly",
            "schedule": "0 1 * * *",
            "timezone": "Europe/Paris",
            "jitter": 600,
            "time": "<aws.scheduler.scheduled-time>",
        }

    def test_is_a_message_once_scheduler_has_put_the_time_into_it(self):
        (schedule,) = schedules_of(app_with(f=cron("0 1 * * *")), "owner")

        message = parse(schedule.body.replace("<aws.scheduler.scheduled-time>", "2025-03-22T01:00:00Z"))

        assert isinstance(message, Scheduled)
        assert message.time == datetime.fromisoformat("2025-03-22T01:00:00+00:00")

    def test_takes_two_where_either_of_two_days_suffices(self):
        one, other = schedules_of(app_with(f=cron("0 9 13 * FRI")), "owner")

        assert one.body == other.body
        assert one.name != other.name

    def test_has_a_name_that_scheduler_takes_and_a_person_reads(self):
        long = "a" * 128
        app = app_with(**{"in.voice_s-1": every("1h"), long: every("1h"), f"{long[:-1]}b": every("1h")})

        names = [schedule.name for schedule in schedules_of(app, "owner")]

        assert names[0].startswith("cron-")
        assert names[0].endswith("-in.voice_s-1-1")
        assert len(set(names)) == 3
        assert all(len(name) <= 64 for name in names)


class TestRegistering:
    def test_makes_the_schedules_those_of_the_code(self, schedules):
        register(app_with(a=cron("0 1 * * *"), b=every("1h")), schedules, "owner")
        first = dict(schedules.all)

        names = register(app_with(a=cron("0 2 * * *"), c=every("2h")), schedules, "owner")

        assert list(schedules.all) == names
        assert [each.expression for each in schedules.all.values()] == [
            "cron(0 2 * * ? *)",
            "rate(120 minutes)",
        ]
        assert names[0] in first, "a changed trigger changes its schedule"

    def test_does_nothing_more_the_second_time(self, schedules):
        app = app_with(a=[cron("0 1 * * *"), every("1h")])
        register(app, schedules, "owner")
        before = dict(schedules.all)

        register(app, schedules, "owner")

        assert schedules.all == before
        assert not [call for call in schedules.calls if call.startswith("delete")]

    def test_puts_the_new_before_it_deletes_the_old(self, schedules):
        register(app_with(old=every("1h")), schedules, "owner")
        schedules.calls.clear()

        register(app_with(new=every("1h")), schedules, "owner")

        assert [call.split()[0] for call in schedules.calls] == ["put", "list", "delete"]

    def test_leaves_the_schedules_of_others_alone(self, schedules):
        foreign = Recurring(name="cron-nightly-1", expression="rate(1 day)", timezone="UTC", body="{}")
        schedules.put_recurring(foreign)
        register(app_with(a=every("1h")), schedules, "one")
        register(app_with(a=every("1h")), schedules, "other")

        unregister(schedules, "one")

        assert len(schedules.all) == 2
        assert foreign.name in schedules.all

    def test_names_the_schedule_that_failed(self, schedules):
        schedules.fails = {"put"}
        with pytest.raises(
            RegistrationError, match=r"could not put schedule cron-.*-a-1, rate\(60 minutes\) in UTC:.*strike"
        ):
            register(app_with(a=every("1h")), schedules, "owner")

    def test_stops_in_time_to_say_so(self, schedules):
        seconds = iter([30, 20, 4])
        app = app_with(a=every("1h"), b=every("1h"), c=every("1h"))
        with pytest.raises(RegistrationError, match=r"no time left to put schedule .*-c-1.*deploy again"):
            register(app, schedules, "owner", remaining=lambda: next(seconds))
        assert len(schedules.all) == 2


class CloudFormation:
    """Asks as CloudFormation does, and keeps the answers."""

    def __init__(self, schedules: Schedules) -> None:
        self.schedules = schedules
        self.requests = 0

    def ask(self, app: Durable, what: str, *, logical: str = "Registration", **fields: Any) -> dict[str, Any]:
        self.requests += 1
        answers: list[tuple[str, bytes]] = []
        request = {
            "RequestType": what,
            "ResponseURL": URL,
            "StackId": "arn:aws:cloudformation:eu-west-1:123456789012:stack/shop/1",
            "RequestId": f"request-{self.requests}",
            "ResourceType": "AWS::CloudFormation::CustomResource",
            "LogicalResourceId": logical,
            "ResourceProperties": {},
            **fields,
        }
        handle(request, app, self.schedules, lambda url, body: answers.append((url, body)))
        ((url, body),) = answers
        assert url == URL
        assert len(body) <= 4096
        answer: dict[str, Any] = json.loads(body)
        assert [answer[key] for key in ("StackId", "RequestId", "LogicalResourceId")] == [
            request[key] for key in ("StackId", "RequestId", "LogicalResourceId")
        ]
        return answer


@pytest.fixture
def cloudformation(schedules: Schedules) -> CloudFormation:
    return CloudFormation(schedules)


class TestTheCustomResource:
    def test_lives_from_create_to_delete_under_one_id(self, cloudformation, schedules):
        created = cloudformation.ask(app_with(a=every("1h")), "Create")
        id = created["PhysicalResourceId"]
        assert created["Status"] == "SUCCESS"
        assert len(schedules.all) == 1

        updated = cloudformation.ask(app_with(b=every("2h")), "Update", PhysicalResourceId=id)
        assert (updated["Status"], updated["PhysicalResourceId"]) == ("SUCCESS", id)
        assert [each.expression for each in schedules.all.values()] == ["rate(120 minutes)"]

        deleted = cloudformation.ask(app_with(b=every("2h")), "Delete", PhysicalResourceId=id)
        assert (deleted["Status"], deleted["PhysicalResourceId"]) == ("SUCCESS", id)
        assert not schedules.all

    def test_has_the_same_id_when_a_request_comes_twice(self, cloudformation):
        app = app_with(a=every("1h"))
        assert (
            cloudformation.ask(app, "Create")["PhysicalResourceId"]
            == cloudformation.ask(app, "Create")["PhysicalResourceId"]
        )

    def test_that_was_replaced_takes_its_own_schedules_with_it(self, cloudformation, schedules):
        app = app_with(a=every("1h"))
        old = cloudformation.ask(app, "Create", logical="Old")["PhysicalResourceId"]
        cloudformation.ask(app, "Create", logical="New")
        assert len(schedules.all) == 2, "what is due by both starts one run"

        cloudformation.ask(app, "Delete", logical="Old", PhysicalResourceId=old)

        assert len(schedules.all) == 1

    def test_can_be_deleted_when_it_never_was(self, cloudformation):
        answer = cloudformation.ask(app_with(), "Delete", PhysicalResourceId="2025/03/22/[$LATEST]abc")
        assert answer["Status"] == "SUCCESS"

    @pytest.mark.parametrize("fails", ["put", "list"])
    def test_that_fails_says_why_in_the_stack_s_events(self, cloudformation, schedules, fails, caplog):
        schedules.fails = {fails}
        with caplog.at_level(logging.CRITICAL):
            answer = cloudformation.ask(app_with(a=every("1h")), "Create")
        assert answer["Status"] == "FAILED"
        assert "Scheduler is on strike" in answer["Reason"]
        assert answer["PhysicalResourceId"]

    def test_answers_even_what_it_does_not_know(self, cloudformation):
        answer = cloudformation.ask(app_with(), "Rename")
        assert answer["Status"] == "FAILED"
        assert "'Rename'" in answer["Reason"]

    @pytest.mark.parametrize("reason", ["x" * 9000, "é" * 3000, "\N{SNAKE}" * 2000])
    def test_cuts_a_long_reason_to_what_cloudformation_takes(self, cloudformation, schedules, reason):
        def refuse(schedule: Recurring) -> None:
            raise RuntimeError(reason)

        schedules.put_recurring = refuse
        answer = cloudformation.ask(app_with(a=every("1h")), "Create")
        assert answer["Status"] == "FAILED"
        assert len(answer["Reason"]) > 300
        assert answer["Reason"].endswith("...")

    def test_without_a_place_for_the_answer_is_an_error(self, schedules):
        with pytest.raises(ValueError, match="no ResponseURL"):
            handle({"RequestType": "Create"}, app_with(), schedules, lambda *_: None)

    def test_does_not_log_the_url_which_is_a_credential(self, cloudformation, schedules, caplog):
        schedules.fails = {"put"}
        cloudformation.ask(app_with(a=every("1h")), "Create")
        assert caplog.records
        assert "secret" not in caplog.text
