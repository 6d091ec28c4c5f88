"""Schedules on EventBridge Scheduler."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from ..ports import Clock, Recurring

if TYPE_CHECKING:
    from mypy_boto3_scheduler import EventBridgeSchedulerClient
    from mypy_boto3_scheduler.type_defs import (
        CreateScheduleInputTypeDef,
        GetScheduleOutputTypeDef,
        TargetTypeDef,
    )

    from .settings import Settings

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RATE = re.compile(r"rate\((\d+) minutes?\)")


class EventBridgeScheduler:
    """The `Scheduler` port: schedules in the stack's group. One-time ones send to the app's own queue, recurring
    ones to the ingress queue.

    What Scheduler can't deliver goes to the dead-letter queue that people look at.
    """

    def __init__(self, client: EventBridgeSchedulerClient, settings: Settings, clock: Clock) -> None:
        self._client = client
        self._settings = settings
        self._clock = clock

    def schedule(self, name: str, at: datetime, body: str) -> None:
        expression = f"at({at.astimezone(UTC):%Y-%m-%dT%H:%M:%S})"
        try:
            self._client.create_schedule(
                Name=name,
                GroupName=self._settings.schedule_group,
                ScheduleExpression=expression,
                ScheduleExpressionTimezone="UTC",
                FlexibleTimeWindow={"Mode": "OFF"},
                ActionAfterCompletion="DELETE",
                Target=self._target(self._settings.queue_arn, body),
            )
        except ClientError as error:
            if _code(error) != "ConflictException":
                raise
            existing = self._get(name)  # None: it has fired meanwhile, and is deleted
            if existing is not None and existing["ScheduleExpression"] != expression:
                raise ValueError(
                    f"schedule {name} exists, for {existing['ScheduleExpression']} and not {expression}"
                ) from None

    def put_recurring(self, schedule: Recurring) -> None:
        wanted: CreateScheduleInputTypeDef = {
            "Name": schedule.name,
            "GroupName": self._settings.schedule_group,
            "ScheduleExpression": schedule.expression,
            "ScheduleExpressionTimezone": schedule.timezone,
            "State": "ENABLED",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "Target": self._target(self._settings.ingress_queue_arn, schedule.body),
        }
        existing = self._get(schedule.name)
        if existing is not None and _is(existing, wanted):
            return
        if (start := _start(schedule.expression, self._clock.now())) is not None:
            wanted["StartDate"] = start
        if existing is not None:
            self._client.update_schedule(**wanted)
            return
        try:
            self._client.create_schedule(**wanted)
        except ClientError as error:
            if _code(error) != "ConflictException":
                raise
            self._client.update_schedule(**wanted)  # another one was quicker, or a lost response

    def recurring(self, prefix: str) -> Iterator[str]:
        pages = self._client.get_paginator("list_schedules").paginate(
            GroupName=self._settings.schedule_group, NamePrefix=prefix
        )
        try:
            for page in pages:
                yield from (schedule["Name"] for schedule in page["Schedules"])
        except ClientError as error:
            if _code(error) != "ResourceNotFoundException":
                raise

    def delete_recurring(self, name: str) -> None:
        try:
            self._client.delete_schedule(Name=name, GroupName=self._settings.schedule_group)
        except ClientError as error:
            if _code(error) != "ResourceNotFoundException":
                raise

    def _get(self, name: str) -> GetScheduleOutputTypeDef | None:
        try:
            return self._client.get_schedule(Name=name, GroupName=self._settings.schedule_group)
        except ClientError as error:
            if _code(error) != "ResourceNotFoundException":
                raise
            return None

    def _target(self, queue_arn: str, body: str) -> TargetTypeDef:
        return {
            "Arn": queue_arn,
            "RoleArn": self._settings.scheduler_role_arn,
            "Input": body,
            "DeadLetterConfig": {"Arn": self._settings.dead_letter_arn},
        }


def _is(existing: GetScheduleOutputTypeDef, wanted: CreateScheduleInputTypeDef) -> bool:
    """Whether a schedule is as it should be. Scheduler adds defaults of its own to a target (RetryPolicy)."""
    target = existing["Target"]
    fields = ("ScheduleExpression", "ScheduleExpressionTimezone", "State", "FlexibleTimeWindow")
    return all(existing.get(name) == wanted.get(name) for name in fields) and all(
        target.get(name) == value for name, value in wanted["Target"].items()
    )


def _start(expression: str, now: datetime) -> datetime | None:
    """The first time of a rate: the next multiple of it. Scheduler would count from now on, so that each
    deployment moved it."""
    rate = _RATE.fullmatch(expression)
    if rate is None:
        return None
    interval = timedelta(minutes=int(rate[1]))
    return now + interval - (now - _EPOCH) % interval


def _code(error: ClientError) -> str:
    return error.response["Error"]["Code"]
