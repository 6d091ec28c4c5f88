"""What may be left in table and schedule group: all waiters, all that is collected, and all one-time schedules.

This reads everything there is: the table in a Scan, each schedule with a call of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from .attributes import integer, number, read_text, text
from .collector_store import STATE
from .table_calls import there_instead

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_scheduler import EventBridgeSchedulerClient


@dataclass(frozen=True, slots=True)
class FoundWaiter:
    """A waiter's item: of which run (its journal's id), at which path, and its key."""

    run_id: str
    path: str
    pk: str
    sk: str


@dataclass(frozen=True, slots=True)
class FoundCollector:
    """A burst or batch that was `opened` then (milliseconds), for which a `wake` is known to be on its way; and the
    order of the `last` event of a burst."""

    name: str
    opened: int
    wake: int
    last: str


@dataclass(frozen=True, slots=True)
class FoundSchedule:
    """A one-time schedule and the message that it sends."""

    name: str
    body: str


class Leftovers:
    def __init__(
        self, dynamodb: DynamoDBClient, table: str, scheduler: EventBridgeSchedulerClient | Any, group: str
    ) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._scheduler = scheduler
        self._group = group

    def scanned(self) -> Iterator[FoundWaiter | FoundCollector]:
        """All waiters, and all bursts and batches that nobody has written down to be over."""
        pages = self._dynamodb.get_paginator("scan").paginate(
            TableName=self._table,
            FilterExpression="((begins_with(pk, :w) OR begins_with(pk, :s)) AND attribute_exists(g)) OR "
            "(begins_with(pk, :d) AND sk = :state AND (attribute_exists(o) OR n > :zero))",
            ExpressionAttributeValues={
                ":w": text("w#"),
                ":s": text("s#"),
                ":d": text("d#"),
                ":state": text(STATE),
                ":zero": number(0),
            },
            ProjectionExpression="pk, sk, u, p, o, w, l",
        )
        for page in pages:
            for item in page["Items"]:
                kind, *names = item["pk"]["S"].split("#")
                if kind != "d":
                    yield FoundWaiter(item["u"]["S"], item["p"]["S"], item["pk"]["S"], item["sk"]["S"])
                    continue
                opened = int(names[1]) if len(names) > 1 else integer(item, "o")
                if opened is not None:
                    yield FoundCollector(names[0], opened, integer(item, "w") or 0, read_text(item, "l"))

    def remove_waiter(self, waiter: FoundWaiter) -> None:
        """If it is still the one that was found."""
        try:
            self._dynamodb.delete_item(
                TableName=self._table,
                Key={"pk": text(waiter.pk), "sk": text(waiter.sk)},
                ConditionExpression="u = :u AND p = :p",
                ExpressionAttributeValues={":u": text(waiter.run_id), ":p": text(waiter.path)},
            )
        except ClientError as error:
            there_instead(error)

    def schedules(self) -> Iterator[FoundSchedule]:
        if not self._group:
            return
        for page in self._scheduler.get_paginator("list_schedules").paginate(GroupName=self._group):
            for listed in page["Schedules"]:
                try:
                    found = self._scheduler.get_schedule(Name=listed["Name"], GroupName=self._group)
                except self._scheduler.exceptions.ResourceNotFoundException:
                    continue  # it has fired since
                if found["ScheduleExpression"].startswith("at("):
                    yield FoundSchedule(found["Name"], found["Target"].get("Input", ""))

    def remove_schedule(self, schedule: FoundSchedule) -> None:
        try:
            self._scheduler.delete_schedule(Name=schedule.name, GroupName=self._group)
        except self._scheduler.exceptions.ResourceNotFoundException:
            pass
