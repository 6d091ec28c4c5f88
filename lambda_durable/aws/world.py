"""The world outside, on AWS."""

from __future__ import annotations

from typing import Any, cast

from ..errors import ConfigurationError
from ..ports import Clock, Executor, World
from .clients import Clients, Lazy
from .clock import SystemClock
from .dynamodb import DynamoStore
from .eventbridge import EventBridgeBus
from .s3 import S3Blobs
from .scheduler import EventBridgeScheduler
from .settings import Settings
from .sqs import SqsQueue


def connect(
    settings: Settings,
    executor: Executor,
    *,
    clients: Clients | None = None,
    clock: Clock | None = None,
    at_once: int = 1,
) -> World:
    """The ports on AWS. What every invocation needs, DynamoDB and SQS, is made now; the rest on first use. Shards of
    lists are read so many `at_once`. The `clock` is the host's unless another is given.

    Raises ConfigurationError where boto3 finds no region, say.
    """
    made = Clients(settings) if clients is None else clients
    clock = clock or SystemClock()
    return World(
        clock=clock,
        store=DynamoStore(
            made.dynamodb, settings.table, retention=settings.retention, clock=clock, at_once=at_once
        ),
        blobs=S3Blobs(_lazy(lambda: made.s3), settings.bucket),
        queue=SqsQueue(made.sqs, settings.queue_url, settings.dead_letter_url),
        scheduler=EventBridgeScheduler(_lazy(lambda: made.scheduler), settings, clock),
        bus=EventBridgeBus(_lazy(lambda: made.events), settings.bus),
        executor=executor,
    )


def check(world: World, settings: Settings, clients: Clients) -> None:
    """See that table and queue are there, and may be used. Raises ConfigurationError if not.

    It costs a cold start nothing: the connections that it opens are those of the first invocation, and what it reads
    that invocation needs.
    """
    for look in (
        lambda: world.pauses.learn(world.store.pauses(), world.clock.now()),
        lambda: clients.sqs.get_queue_attributes(QueueUrl=settings.queue_url, AttributeNames=["QueueArn"]),
    ):
        try:
            look()
        except ConfigurationError:
            raise
        except Exception:
            return  # throttled, say: what the first invocation meets is for it to say


def _lazy(make: Any) -> Any:
    return cast(Any, Lazy(make))
