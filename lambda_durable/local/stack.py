"""An app's resources on the local cloud: what template.yaml makes, without its Lambda."""

from __future__ import annotations

import json
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from ..aws.settings import Settings, variable
from ..aws.table import EXPIRY, table_definition
from .cloud import REGION

NAME = "lambda-durable-dev"

CONTINUATIONS, INGRESS, FAILED, DEAD_LETTERS = (
    f"{NAME}-{queue}" for queue in ("continuations", "ingress", "failed", "dead-letters")
)

LAMBDA_TIMEOUT = 60
"""Seconds that an invocation may take, as the template says where nobody says otherwise."""

VISIBILITY = 20
"""Seconds after which the message of a failed invocation comes back. On AWS it is the timeout + 60; here a
person waits for it, and a worker that was killed is known to be dead."""

MOST_RECEIVES = 20

_ACCOUNT = "000000000000"
_THERE = (
    "ResourceInUseException",
    "BucketAlreadyOwnedByYou",
    "ResourceAlreadyExistsException",
    "ConflictException",
)


def settings_of(endpoint: str) -> Settings:
    """What the stack on a cloud is called, whether it was made yet or not."""
    return Settings(
        table=NAME,
        bucket=NAME,
        queue_url=_url(endpoint, CONTINUATIONS),
        bus=NAME,
        queue_arn=_arn(CONTINUATIONS),
        ingress_queue_arn=_arn(INGRESS),
        failed_queue_arn=_arn(FAILED),
        dead_letter_url=_url(endpoint, DEAD_LETTERS),
        dead_letter_arn=_arn(DEAD_LETTERS),
        schedule_group=NAME,
        scheduler_role_arn=f"arn:aws:iam::{_ACCOUNT}:role/{NAME}",  # ministack checks none
    )


def create_stack(endpoint: str) -> None:
    """Make what is not there yet."""
    clients = Clients(endpoint)
    _make_queues(clients("sqs"))
    _make_table(clients("dynamodb"))
    _make_bus(clients("events"))
    _make(lambda: clients("s3").create_bucket(Bucket=NAME))
    _make(lambda: clients("scheduler").create_schedule_group(Name=NAME))


def variables(settings: Settings) -> dict[str, str]:
    """The settings as environment variables of a worker or a client."""
    return {
        variable(field): str(value)
        for field in Settings.__dataclass_fields__
        if field != "retention" and (value := getattr(settings, field))
    }


class Clients:
    """boto3 clients on the local cloud, whatever this machine's own AWS configuration is."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._session = boto3.Session(
            aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION
        )

    def __call__(self, service: str) -> Any:
        create: Any = self._session.client
        config = Config(retries={"total_max_attempts": 2}, read_timeout=30, s3={"addressing_style": "path"})
        return create(service, endpoint_url=self._endpoint, config=config)


def _make_queues(sqs: Any) -> None:
    for name, letters in (
        (DEAD_LETTERS, None),
        (FAILED, DEAD_LETTERS),
        (CONTINUATIONS, FAILED),
        (INGRESS, FAILED),
    ):
        redrive = {} if letters is None else {"RedrivePolicy": _redrive(_arn(letters))}
        sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": str(VISIBILITY), **redrive})


def _make_table(dynamodb: Any) -> None:
    _make(lambda: dynamodb.create_table(**table_definition(NAME)))
    life = {"Enabled": True, "AttributeName": EXPIRY}
    dynamodb.update_time_to_live(TableName=NAME, TimeToLiveSpecification=life)


def _make_bus(events: Any) -> None:
    _make(lambda: events.create_event_bus(Name=NAME))
    events.put_rule(Name=NAME, EventBusName=NAME, EventPattern=json.dumps({"account": [_ACCOUNT]}))
    events.put_targets(Rule=NAME, EventBusName=NAME, Targets=[{"Id": "ingress", "Arn": _arn(INGRESS)}])


def _url(endpoint: str, queue: str) -> str:
    return f"{endpoint}/{_ACCOUNT}/{queue}"


def _arn(queue: str) -> str:
    return f"arn:aws:sqs:{REGION}:{_ACCOUNT}:{queue}"


def _redrive(arn: str) -> str:
    return json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": MOST_RECEIVES})


def _make(call: Any) -> None:
    try:
        call()
    except ClientError as error:
        if error.response["Error"]["Code"] not in _THERE:
            raise
