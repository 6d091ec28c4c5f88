"""Queue, scheduler and bus with a way to look behind them: stand-ins of LocalRuntime, or AWS's API."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from lambda_durable.aws.clock import SystemClock
from lambda_durable.aws.eventbridge import EventBridgeBus
from lambda_durable.aws.scheduler import EventBridgeScheduler
from lambda_durable.aws.settings import Settings
from lambda_durable.aws.sqs import SqsQueue
from lambda_durable.ports import Delivery
from lambda_durable.testing.fakes import FakeBus, FakeQueue, FakeScheduler
from lambda_durable.testing.faults import Dice
from lambda_durable.testing.simulation import Simulation
from lambda_durable.testing.traffic import Traffic

PATIENCE = 20.0
"""Seconds in which whatever is on its way has come."""

Letter = tuple[str, str]  # its body, and why it is dead


class Fakes:
    """What LocalRuntime runs on, in virtual time."""

    def __init__(self) -> None:
        self._simulation = Simulation(0, datetime.now(UTC).replace(microsecond=0))
        dice = Dice(self._simulation, None)
        traffic = Traffic(self._simulation, dice)
        self._received: list[str] = []
        self._queue = FakeQueue(
            self._simulation,
            traffic,
            dice,
            visibility=timedelta(minutes=2),
            deliver=self._deliver,
            bury=self._deliver,
        )
        self.queue = self._queue
        self.scheduler = FakeScheduler(self._simulation, traffic, dice, self._queue)
        self.bus = FakeBus(self._simulation, traffic, self._queue)

    def now(self) -> datetime:
        return self._simulation.now

    def receive(self, expected: int) -> list[str]:
        self._simulation.run_until(self.now() + timedelta(seconds=1))
        received, self._received = self._received, []
        return received

    events = receive

    def dead_letters(self, expected: int) -> list[Letter]:
        return [(letter.body, letter.reason) for letter in self._queue.dead_letters]

    def fired(self, name: str, at: datetime) -> list[str]:
        """What a schedule sends: the messages of a minute from its time on."""
        self._simulation.run_until(at - timedelta(seconds=2))
        before = self.receive(0)
        self._simulation.run_until(at + timedelta(minutes=1))
        return [] if before else self.receive(1)

    def _deliver(self, delivery: Delivery, done: Callable[[str | None], None]) -> None:
        self._received.append(delivery.body)
        done(None)

    def close(self) -> None:
        self._simulation.close()


class Services:
    """SQS, Scheduler and EventBridge behind clients, with resources of its own."""

    def __init__(self, connect: Callable[[str], Any]) -> None:
        self._sqs, self._scheduler, self._events = map(connect, ("sqs", "scheduler", "events"))
        self._name = f"conformance-{uuid4()}"
        self._urls = {
            kind: self._sqs.create_queue(QueueName=f"{self._name}-{kind}")["QueueUrl"]
            for kind in ("own", "ingress", "dead")
        }
        arns = {kind: self._arn(url) for kind, url in self._urls.items()}
        self._scheduler.create_schedule_group(Name=self._name)
        self._events.create_event_bus(Name=self._name)
        self._events.put_rule(
            Name="all", EventBusName=self._name, EventPattern=json.dumps({"source": [{"prefix": ""}]})
        )
        self._events.put_targets(
            Rule="all", EventBusName=self._name, Targets=[{"Id": "ingress", "Arn": arns["ingress"]}]
        )
        settings = Settings(
            table="table",
            bucket="bucket",
            bus=self._name,
            queue_url=self._urls["own"],
            queue_arn=arns["own"],
            ingress_queue_arn=arns["ingress"],
            dead_letter_url=self._urls["dead"],
            dead_letter_arn=arns["dead"],
            schedule_group=self._name,
            scheduler_role_arn="arn:aws:iam::000000000000:role/scheduler",
        )
        self._settings = settings
        self.queue = SqsQueue(self._sqs, settings.queue_url, settings.dead_letter_url)
        self.scheduler = EventBridgeScheduler(self._scheduler, settings, SystemClock())
        self.bus = EventBridgeBus(self._events, settings.bus)

    def now(self) -> datetime:
        return datetime.now(UTC).replace(microsecond=0)

    def receive(self, expected: int) -> list[str]:
        return [message["Body"] for message in self._receive("own", expected)]

    def events(self, expected: int) -> list[str]:
        return [message["Body"] for message in self._receive("ingress", expected)]

    def dead_letters(self, expected: int) -> list[Letter]:
        return [
            (message["Body"], message["MessageAttributes"]["reason"]["StringValue"])
            for message in self._receive("dead", expected)
        ]

    def fired(self, name: str, at: datetime) -> list[str]:
        """What a schedule is to send, and that it is to do so then."""
        found = self._scheduler.get_schedule(Name=name, GroupName=self._name)
        assert found["ScheduleExpression"] == f"at({at.astimezone(UTC):%Y-%m-%dT%H:%M:%S})"
        assert found["ScheduleExpressionTimezone"] == "UTC"
        assert found["ActionAfterCompletion"] == "DELETE"
        assert found["Target"]["Arn"] == self._settings.queue_arn
        assert found["Target"]["DeadLetterConfig"] == {"Arn": self._settings.dead_letter_arn}
        return [found["Target"]["Input"]]

    def close(self) -> None:
        self._events.remove_targets(Rule="all", EventBusName=self._name, Ids=["ingress"])
        self._events.delete_rule(Name="all", EventBusName=self._name)
        self._events.delete_event_bus(Name=self._name)
        self._scheduler.delete_schedule_group(Name=self._name)
        for url in self._urls.values():
            self._sqs.delete_queue(QueueUrl=url)

    def _receive(self, kind: str, expected: int) -> list[Any]:
        """All messages: as many as are expected, however long it takes, and what else is there then."""
        messages: list[Any] = []
        deadline = time.monotonic() + PATIENCE
        while True:
            found = self._sqs.receive_message(
                QueueUrl=self._urls[kind], MaxNumberOfMessages=10, MessageAttributeNames=["All"]
            ).get("Messages", [])
            for message in found:
                self._sqs.delete_message(QueueUrl=self._urls[kind], ReceiptHandle=message["ReceiptHandle"])
            messages += found
            if not found and (len(messages) >= expected or time.monotonic() > deadline):
                return messages

    def _arn(self, url: str) -> str:
        answer = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        arn: str = answer["Attributes"]["QueueArn"]
        return arn
