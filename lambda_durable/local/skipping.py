"""Skips, on the local cloud, the time until the next thing is due."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from .ahead import Ahead
from .stack import CONTINUATIONS, INGRESS, NAME, Clients

LONGEST_DELAY = timedelta(minutes=15)
"""Of a message in SQS, which does not say when it is due: what is due later has a schedule."""

_STEP = timedelta(seconds=1)
_BETWEEN_LOOKS = 0.1


class BusyError(Exception):
    """Something is at work: skipped now, its time would run out."""


class Skipper:
    """Moves the clock of the cloud at `endpoint` and of all who follow it."""

    def __init__(self, endpoint: str, ahead: Ahead) -> None:
        clients = Clients(endpoint)
        self._sqs = clients("sqs")
        self._scheduler = clients("scheduler")
        self._ahead = ahead

    def skip(self, *, patience: float) -> timedelta | None:
        """Skip to when the next run wakes, retries or times out; how much that was. None if nobody waits for a time:
        `cron` and `every`, which go on for ever, are no reason to skip. First, for up to `patience` seconds, what is
        at work may end. Raises BusyError."""
        self._await_quiet(patience)
        before = self._ahead.seconds
        due = min(self._schedules(), default=None)
        if not self._skip_to_message(due):
            if due is None:
                return None
            self._ahead.add(max(due - datetime.now(UTC), timedelta(0)))
            _until(lambda: due not in self._schedules(), patience)
            # A schedule comes a little early, to the minute as it is, and leaves the rest to a message.
            self._await_quiet(patience)
            self._skip_to_message(None)
        return timedelta(seconds=self._ahead.seconds - before)

    def _skip_to_message(self, due: datetime | None) -> bool:
        """Go on, second by second, until a delayed message comes, or it is `due`. Whether a message came."""
        delayed = self._count("Delayed")
        end = datetime.now(UTC) + LONGEST_DELAY
        while delayed and datetime.now(UTC) < min(end, due or end):
            self._ahead.add(_STEP)
            if self._count("Delayed") < delayed:
                return True
        return False

    def _await_quiet(self, patience: float) -> None:
        if not _until(lambda: self._count("") + self._count("NotVisible") == 0, patience):
            raise BusyError("something is at work, or comes back after a failure")

    def _count(self, which: str) -> int:
        name = f"ApproximateNumberOfMessages{which}"
        answers = (
            self._sqs.get_queue_attributes(
                QueueUrl=self._sqs.get_queue_url(QueueName=queue)["QueueUrl"], AttributeNames=[name]
            )
            for queue in (CONTINUATIONS, INGRESS)
        )
        return sum(int(answer["Attributes"][name]) for answer in answers)

    def _schedules(self) -> Iterator[datetime]:
        """When one-time schedules are due."""
        for page in self._scheduler.get_paginator("list_schedules").paginate(GroupName=NAME):
            for listed in page["Schedules"]:
                try:
                    schedule = self._scheduler.get_schedule(GroupName=NAME, Name=listed["Name"])
                except self._scheduler.exceptions.ResourceNotFoundException:  # it has just fired
                    continue
                if once := re.fullmatch(r"at\((.+)\)", schedule["ScheduleExpression"]):
                    yield datetime.fromisoformat(once[1]).replace(tzinfo=UTC)


def _until(true: Callable[[], bool], patience: float) -> bool:
    """Wait for up to `patience` seconds; whether it came true."""
    deadline = time.monotonic() + patience
    while not (reached := true()) and time.monotonic() < deadline:
        time.sleep(_BETWEEN_LOOKS)
    return reached
