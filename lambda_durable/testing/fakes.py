"""Queue, scheduler and bus in virtual time, as strict as the services whose place they take."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from ..aws.batches import PartlyRefusedError, batches
from ..aws.sqs import LARGEST_BATCH, NOT_IN_SQS
from ..durations import to_millis
from ..ports import Delivery, Outgoing, Recurring
from .faults import Dice
from .recurrence import recurrence
from .simulation import Simulation
from .traffic import Traffic

_SCHEDULE_NAME = re.compile(r"[0-9A-Za-z\-_.]{1,64}", re.ASCII)
_OF_AN_EVENT = ("id", "detail-type", "source", "time", "detail")
_SCHEDULED_TIME = "<aws.scheduler.scheduled-time>"
_NOTHING = timedelta()


class Misuse(AssertionError):
    """A call that AWS would refuse: a bug in the caller, so it ends the test, not just the invocation."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that was given up: by the worker, or received too often. `reason` says why."""

    body: str
    message_id: str
    receive_count: int
    reason: str


class VirtualClock:
    def __init__(self, simulation: Simulation, skew: timedelta = _NOTHING) -> None:
        self._simulation = simulation
        self._skew = skew

    def now(self) -> datetime:
        return self._simulation.now + self._skew

    def monotonic(self) -> float:
        return self._simulation.monotonic()


@dataclass(slots=True)
class SentMessage:
    """A message that the queue holds, or has held."""

    body: str
    id: str
    received: int = 0
    first_received: int | None = None
    sent: int | None = None
    deleted: bool = False

    def receive(self, now: datetime) -> None:
        self.received += 1
        self.first_received = self.first_received or to_millis(now)

    def delivery(self) -> Delivery:
        return Delivery(self.body, self.id, self.received, self.first_received, self.sent)


Deliver = Callable[[Delivery, Callable[[str | None], None]], None]


class FakeQueue:
    """SQS with a Lambda behind it: `deliver` starts an invocation with one message, and calls what it is
    given when that has ended: with None to delete the message, or with why it failed. A message that was
    received too often goes to a queue of its own, with `bury` behind it in the same way."""

    def __init__(
        self,
        simulation: Simulation,
        traffic: Traffic,
        dice: Dice,
        *,
        visibility: timedelta,
        deliver: Deliver,
        bury: Deliver,
        max_receive_count: int = 20,
    ) -> None:
        self.dead_letters: list[DeadLetter] = []
        self._simulation = simulation
        self._traffic = traffic
        self._dice = dice
        self._visibility = visibility
        self._deliver = deliver
        self._bury = bury
        self._max_receive_count = max_receive_count
        self._ids = simulation.random("message ids")
        self._failures: dict[str, str] = {}

    def send(self, messages: Sequence[Outgoing]) -> None:
        for message in messages:
            _check_message(message)
        if len(messages) == 1:
            self._traffic.call("sqs:SendMessage", lambda: self._accept(messages))
            return
        for batch in batches(messages, lambda message: len(message.body.encode()), LARGEST_BATCH):
            self._traffic.call("sqs:SendMessageBatch", lambda batch=batch: self._accept_batch(batch))  # type: ignore[misc]

    def copy(self, message: SentMessage) -> None:
        """Let a message come once more, now."""
        self._simulation.at(self._simulation.now, lambda: self._receive_copy(message))

    def dead_letter(self, delivery: Delivery, reason: str) -> None:
        if failure := self._failures.get(delivery.message_id):
            reason += f"; the last time, it {failure}"
        letter = DeadLetter(delivery.body, delivery.message_id, delivery.receive_count, reason)
        self._traffic.call("sqs:SendMessage", lambda: self.dead_letters.append(letter))

    def backlog(self) -> int:
        return self._traffic.call("sqs:GetQueueAttributes", lambda: 0)

    def put(self, body: str) -> None:
        """A message from another service, which sends at least once."""
        self._accept([Outgoing(body)])
        if (later := self._dice.copy_after()) is not None:
            self._simulation.at(self._simulation.now + later, lambda: self._accept([Outgoing(body)]))

    def _accept_batch(self, messages: Sequence[Outgoing]) -> None:
        if self._dice.refuses():
            taken = self._dice.some(messages)
            self._accept(taken)
            raise PartlyRefusedError(
                f"simulated: {len(messages) - len(taken)} of {len(messages)} were refused"
            )
        self._accept(messages)

    def _accept(self, messages: Sequence[Outgoing]) -> None:
        for outgoing in messages:
            message = SentMessage(outgoing.body, random_uuid(self._ids), sent=to_millis(self._simulation.now))
            if _drives_a_run(outgoing.body) and self._dice.loses():
                continue
            due = self._simulation.now + timedelta(seconds=outgoing.delay) + self._dice.lateness()
            self._simulation.at(due, lambda message=message: self._receive(message))  # type: ignore[misc]
            if (later := self._dice.copy_after()) is not None:
                self._simulation.at(due + later, lambda message=message: self._receive_copy(message))  # type: ignore[misc]

    def _receive(self, message: SentMessage) -> None:
        if message.deleted:
            return
        if message.received >= 2 * self._max_receive_count:  # the queue of the buried gives up, too
            message.deleted = True
            reason = f"received {message.received} times"
            self.dead_letter(message.delivery(), reason)
            return
        visible_again = self._simulation.now + self._visibility
        if self._dice.refuses():  # no room for another invocation, and the message was received all the same
            message.receive(self._simulation.now)
            self._simulation.at(visible_again, lambda: self._receive(message))
            return

        def done(failure: str | None) -> None:
            if failure is None:
                message.deleted = True
            else:
                self._failures[message.id] = failure
                self._simulation.at(visible_again, lambda: self._receive(message))

        self._invoke(message, done)

    def _receive_copy(self, message: SentMessage) -> None:
        """SQS delivers twice, also what was just deleted. Should the copy's invocation fail, it is not the
        copy that comes back: its original does, or was deleted."""

        def done(failure: str | None) -> None:
            message.deleted |= failure is None

        self._invoke(message, done)

    def _invoke(self, message: SentMessage, done: Callable[[str | None], None]) -> None:
        message.receive(self._simulation.now)
        take = self._deliver if message.received <= self._max_receive_count else self._bury
        take(message.delivery(), done)


class FakeScheduler:
    """EventBridge Scheduler. One-time schedules are deleted once they have fired; recurring ones fire in `fire`
    alone, since nothing that waits for the end of all things may wait for them."""

    def __init__(self, simulation: Simulation, traffic: Traffic, dice: Dice, queue: FakeQueue) -> None:
        self._simulation = simulation
        self._traffic = traffic
        self._dice = dice
        self._queue = queue
        self._schedules: dict[str, datetime] = {}
        self._recurring: dict[str, Recurring] = {}

    def schedule(self, name: str, at: datetime, body: str) -> None:
        _check_schedule_name(name)
        if at.utcoffset() is None:
            raise Misuse(f"schedule {name}: {at!r} has no time zone")
        _check_message(Outgoing(body))
        # `at(yyyy-mm-ddThh:mm:ss)` holds no fractions of a second.
        time = at.astimezone(UTC).replace(microsecond=0)
        self._traffic.call("scheduler:CreateSchedule", lambda: self._create(name, time, body))

    def _create(self, name: str, at: datetime, body: str) -> None:
        existing = self._schedules.get(name)
        if existing == at:
            return
        if existing is not None:
            raise ValueError(f"schedule {name} exists, for {existing.isoformat()} and not {at.isoformat()}")
        minute = at.replace(second=0)
        now = self._simulation.now
        if minute + timedelta(minutes=1) <= now:
            raise ValueError(f"schedule {name} would never fire: the minute of {at.isoformat()} is past")
        self._schedules[name] = at
        last = minute + timedelta(seconds=59)
        due = max(now, min(last, max(now, minute) + self._dice.second_of_minute()))
        self._simulation.at(due, lambda: self._fire(name, body))

    def _fire(self, name: str, body: str) -> None:
        del self._schedules[name]
        self._queue.put(body)

    def put_recurring(self, schedule: Recurring) -> None:
        _check_schedule_name(schedule.name)
        _check_message(Outgoing(schedule.body))
        try:
            recurrence(schedule.expression, schedule.timezone)
        except (ValueError, KeyError) as error:
            raise Misuse(f"schedule {schedule.name}: {error}") from None
        self._recurring[schedule.name] = schedule

    def recurring(self, prefix: str) -> Iterator[str]:
        return iter([name for name in self._recurring if name.startswith(prefix)])

    def delete_recurring(self, name: str) -> None:
        self._recurring.pop(name, None)

    def next_due(self, after: datetime) -> datetime | None:
        """When a recurring schedule is due next."""
        times = (recurrence(each.expression, each.timezone).after(after) for each in self._recurring.values())
        return min((time for time in times if time is not None), default=None)

    def fire(self, due: datetime) -> None:
        """Fire the recurring schedules that are due at this minute, within it."""
        for schedule in list(self._recurring.values()):
            before = due - timedelta(microseconds=1)
            if recurrence(schedule.expression, schedule.timezone).after(before) == due:
                body = schedule.body.replace(_SCHEDULED_TIME, f"{due:%Y-%m-%dT%H:%M:%SZ}")
                when = self._simulation.now + self._dice.second_of_minute()
                self._simulation.at(when, lambda body=body: self._queue.put(body))  # type: ignore[misc]


class FakeBus:
    """EventBridge with one rule, which sends every event to the queue."""

    def __init__(self, simulation: Simulation, traffic: Traffic, queue: FakeQueue) -> None:
        self._simulation = simulation
        self._traffic = traffic
        self._queue = queue
        self._ids = simulation.random("event ids")

    def put(self, entries: Sequence[dict[str, str]]) -> None:
        for entry in entries:
            _check_entry(entry)
        for start in range(0, len(entries), 10):
            chunk = entries[start : start + 10]
            self._traffic.call("events:PutEvents", lambda chunk=chunk: self._accept(chunk))  # type: ignore[misc]

    def deliver(self, event: Mapping[str, Any]) -> None:
        """An event that is not ours: an AWS service's own, as a rule passes it on."""
        if missing := [key for key in _OF_AN_EVENT if key not in event]:
            raise Misuse(f"EventBridge: an event has {', '.join(_OF_AN_EVENT)}, and this has no {missing[0]}")
        self._queue.put(json.dumps(event))

    def _accept(self, entries: Sequence[dict[str, str]]) -> None:
        for entry in entries:
            event = {
                "version": "0",
                "id": random_uuid(self._ids),
                "detail-type": entry["DetailType"],
                "source": entry["Source"],
                "account": "123456789012",
                "time": self._simulation.now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "region": "us-east-1",
                "resources": [],
                "detail": json.loads(entry["Detail"]),
            }
            self._queue.put(json.dumps(event))


def _drives_a_run(body: str) -> bool:
    return '"kind":"continue"' in body


def random_uuid(random: Random) -> str:
    return str(UUID(int=random.getrandbits(128), version=4))


def _check_schedule_name(name: str) -> None:
    if not _SCHEDULE_NAME.fullmatch(name):
        raise Misuse(f"a schedule's name is 1 to 64 of [0-9A-Za-z-_.], and this is {name!r}")


def _check_message(message: Outgoing) -> None:
    if not isinstance(message.delay, int) or not 0 <= message.delay <= 900:
        raise Misuse(f"SQS: DelaySeconds is 0 to 900 whole seconds, and this is {message.delay!r}")
    if not message.body or NOT_IN_SQS.search(message.body):
        raise Misuse(f"SQS refuses an empty message, and characters that XML has not: {message.body[:200]!r}")
    if (size := len(message.body.encode())) > LARGEST_BATCH:
        raise Misuse(f"SQS: a message is at most 1 MiB, and this has {size} bytes: {message.body[:200]!r}")


def _check_entry(entry: dict[str, str]) -> None:
    if not all(entry.get(field) for field in ("DetailType", "Detail", "Source")):
        raise Misuse(f"PutEvents: an entry has DetailType, Detail and Source, and this is {entry!r}")
    if not isinstance(json.loads(entry["Detail"]), dict):
        raise Misuse(f"PutEvents: Detail is a JSON object, and this is {entry['Detail'][:200]}")
    if (size := sum(len(text.encode()) for text in entry.values())) > LARGEST_BATCH:
        raise Misuse(f"PutEvents: an entry is at most 1 MiB, and {entry['DetailType']} has {size} bytes")
