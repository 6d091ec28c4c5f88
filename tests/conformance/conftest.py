"""The implementations that keep the contracts of `lambda_durable.ports`."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import boto3
import pytest
from botocore.config import Config

from lambda_durable.aws.dynamodb import DynamoStore
from lambda_durable.aws.s3 import S3Blobs
from lambda_durable.aws.table import table_definition

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# DynamoDB Local is a second opinion on every expression; where one runs is for the environment to say.
DYNAMODB_LOCAL = os.environ.get("DYNAMODB_LOCAL_ENDPOINT")
IMPLEMENTATIONS = ["moto", *(["dynamodb-local"] if DYNAMODB_LOCAL else [])]


class StoppedClock:
    def now(self) -> datetime:
        return datetime(2030, 1, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        return 0.0


def connect(service: Any, endpoint: str | None = None) -> Any:
    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1")
    return session.client(service, endpoint_url=endpoint, config=Config(retries={"max_attempts": 0}))


def connect_moto(service: Any) -> Any:
    """A client whose requests moto answers, in this process; other clients are left alone."""
    import moto.backends  # noqa: F401
    from moto.core.botocore_stubber import BotocoreStubber

    client = connect(service)
    stub = BotocoreStubber()
    stub.enabled = True
    client.meta.events.register_first("before-send", stub)
    return client


@pytest.fixture(scope="session", params=IMPLEMENTATIONS)
def dynamodb(request: pytest.FixtureRequest) -> DynamoDBClient:
    client: DynamoDBClient = (
        connect_moto("dynamodb") if request.param == "moto" else connect("dynamodb", DYNAMODB_LOCAL)
    )
    return client


@pytest.fixture
def table(dynamodb: DynamoDBClient) -> Iterator[str]:
    name = f"durable-{uuid4()}"
    dynamodb.create_table(**table_definition(name))
    yield name
    dynamodb.delete_table(TableName=name)


@pytest.fixture
def store(dynamodb: DynamoDBClient, table: str) -> DynamoStore:
    return DynamoStore(dynamodb, table, retention=timedelta(days=30), clock=StoppedClock())


@pytest.fixture
def calls(dynamodb: DynamoDBClient, store: DynamoStore) -> Iterator[Counter[str]]:
    """The operations asked of DynamoDB in this test."""
    seen: Counter[str] = Counter()

    def count(model: Any, **_: object) -> None:
        seen[model.name] += 1

    dynamodb.meta.events.register("before-call.dynamodb", count)
    yield seen
    dynamodb.meta.events.unregister("before-call.dynamodb", count)


@pytest.fixture(scope="session")
def blobs() -> S3Blobs:
    client = connect_moto("s3")
    client.create_bucket(Bucket="blobs")
    return S3Blobs(client, "blobs")
