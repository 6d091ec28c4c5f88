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

LAMBDA_TIMEOUT = 60
"""Seconds that an invocation may take, as the template says where nobody says otherwise."""

VISIBILITY = 20
"""Seconds after which the message of a failed invocation comes back. On AWS it is the timeout + 60; here a
person waits for it, and a worker that was killed is known to be dead."""

MOST_RECEIVES = 20

_ROLE = "arn:aws:iam::000000000000:role/lambda-durable-dev"  # ministack checks none
_THERE = (
    "ResourceInUseException",
    "BucketAlreadyOwnedByYou",
    "ResourceAlreadyExistsException",
    "ConflictException",
)


def create_stack(endpoint: str) -> Settings:
    """Make what is not there yet; its settings."""
    made = _Maker(endpoint)
    dead_letter_url, dead_letter_arn = made.queue("dead-letters", {})
    _, failed_arn = made.queue("failed", _redrive(dead_letter_arn))
    queue_url, queue_arn = made.queue("continuations", _redrive(failed_arn))
    _, ingress_arn = made.queue("ingress", _redrive(dead_letter_arn))
    made.table()
    made.bucket()
    made.bus(ingress_arn)
    made.schedule_group()
    return Settings(
        table=NAME,
        bucket=NAME,
        queue_url=queue_url,
        bus=NAME,
        queue_arn=queue_arn,
        ingress_queue_arn=ingress_arn,
        failed_queue_arn=failed_arn,
        dead_letter_url=dead_letter_url,
        dead_letter_arn=dead_letter_arn,
        schedule_group=NAME,
        scheduler_role_arn=_ROLE,
    )


def variables(settings: Settings) -> dict[str, str]:
    """The settings as environment variables of a worker or a client."""
    return {
        variable(field): str(value)
        for field in Settings.__dataclass_fields__
        if field != "retention" and (value := getattr(settings, field))
    }


def client(endpoint: str, service: str) -> Any:
    """A boto3 client on the local cloud, whatever this machine's own AWS configuration is."""
    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)
    create: Any = session.client
    config = Config(retries={"total_max_attempts": 2}, read_timeout=30, s3={"addressing_style": "path"})
    return create(service, endpoint_url=endpoint, config=config)


class _Maker:
    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._sqs = client(endpoint, "sqs")

    def queue(self, name: str, attributes: dict[str, str]) -> tuple[str, str]:
        url = self._sqs.create_queue(
            QueueName=f"{NAME}-{name}", Attributes={"VisibilityTimeout": str(VISIBILITY), **attributes}
        )["QueueUrl"]
        found = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return url, found["Attributes"]["QueueArn"]

    def table(self) -> None:
        dynamodb = client(self._endpoint, "dynamodb")
        _make(lambda: dynamodb.create_table(**table_definition(NAME)))
        life = {"Enabled": True, "AttributeName": EXPIRY}
        dynamodb.update_time_to_live(TableName=NAME, TimeToLiveSpecification=life)

    def bucket(self) -> None:
        s3 = client(self._endpoint, "s3")
        _make(lambda: s3.create_bucket(Bucket=NAME))

    def bus(self, target: str) -> None:
        events = client(self._endpoint, "events")
        _make(lambda: events.create_event_bus(Name=NAME))
        account = target.split(":")[4]
        events.put_rule(Name=NAME, EventBusName=NAME, EventPattern=json.dumps({"account": [account]}))
        events.put_targets(Rule=NAME, EventBusName=NAME, Targets=[{"Id": "ingress", "Arn": target}])

    def schedule_group(self) -> None:
        scheduler = client(self._endpoint, "scheduler")
        _make(lambda: scheduler.create_schedule_group(Name=NAME))


def _redrive(arn: str) -> dict[str, str]:
    policy = {"deadLetterTargetArn": arn, "maxReceiveCount": MOST_RECEIVES}
    return {"RedrivePolicy": json.dumps(policy)}


def _make(call: Any) -> None:
    try:
        call()
    except ClientError as error:
        if error.response["Error"]["Code"] not in _THERE:
            raise
