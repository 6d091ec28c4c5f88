"""One-time schedules on EventBridge Scheduler."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_scheduler import EventBridgeSchedulerClient
    from mypy_boto3_scheduler.type_defs import TargetTypeDef

    from .settings import Settings


class EventBridgeScheduler:
    """The `Scheduler` port: schedules in the stack's group, which send to the app's own queue.

    What Scheduler can't deliver goes to the dead-letter queue that people look at.
    """

    def __init__(self, client: EventBridgeSchedulerClient, settings: Settings) -> None:
        self._client = client
        self._settings = settings

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
            if error.response["Error"]["Code"] != "ConflictException":
                raise
            existing = self._expression(name)
            if existing not in (None, expression):
                raise ValueError(f"schedule {name} exists, for {existing} and not {expression}") from None

    def _expression(self, name: str) -> str | None:
        """When a schedule fires; None for one that has fired meanwhile, and is deleted."""
        try:
            found = self._client.get_schedule(Name=name, GroupName=self._settings.schedule_group)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
            return None
        return found["ScheduleExpression"]

    def _target(self, queue_arn: str, body: str) -> TargetTypeDef:
        return {
            "Arn": queue_arn,
            "RoleArn": self._settings.scheduler_role_arn,
            "Input": body,
            "DeadLetterConfig": {"Arn": self._settings.dead_letter_arn},
        }
