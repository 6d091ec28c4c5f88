"""The implementations that keep the contracts of `lambda_durable.ports` and `lambda_durable.store`."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import boto3
import pytest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.httpsession import get_cert_path

from lambda_durable.aws.connections import Connections
from lambda_durable.aws.curl import Curl
from lambda_durable.aws.dynamodb import DynamoStore
from lambda_durable.aws.s3 import S3Blobs
from lambda_durable.aws.short_path import Http, shorten
from lambda_durable.aws.table import table_definition
from tests.conformance.clouds import ministack, stop_ministack
from tests.conformance.services import Fakes, Services

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# A second opinion on every expression, where the environment says that one runs.
DYNAMODB_LOCAL = os.environ.get("DYNAMODB_LOCAL_ENDPOINT")
CLOUDS = ["moto", "ministack"]
STORES = [*CLOUDS, *(["dynamodb-local"] if DYNAMODB_LOCAL else [])]


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


def pytest_sessionfinish() -> None:
    stop_ministack()


@cache  # to make a client reads and parses its service's model, which takes longer than most tests here
def connect_to(implementation: str, service: Any) -> Any:
    if implementation == "moto":
        return connect_moto(service)
    return connect(service, ministack() if implementation == "ministack" else DYNAMODB_LOCAL)


@pytest.fixture(scope="session", params=STORES)
def dynamodb(request: pytest.FixtureRequest) -> DynamoDBClient:
    client: DynamoDBClient = connect_to(request.param, "dynamodb")
    http = Http(connect_timeout=2, read_timeout=5, connections=2, authorities=get_cert_path(True))
    if request.param == "dynamodb-local":
        shorten(client, Curl(Credentials("test", "test"), http, service="dynamodb", region="us-east-1"))
    else:
        shorten(client, Connections(http))
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


@pytest.fixture(scope="session", params=CLOUDS)
def blobs(request: pytest.FixtureRequest) -> S3Blobs:
    client = connect_to(request.param, "s3")
    bucket = f"blobs-{uuid4()}"
    client.create_bucket(Bucket=bucket)
    return S3Blobs(client, bucket)


@pytest.fixture(params=["fakes", *CLOUDS])
def services(request: pytest.FixtureRequest) -> Iterator[Fakes | Services]:
    """Queue, scheduler and bus, as the stand-ins of LocalRuntime and the adapters have them."""
    made = Fakes() if request.param == "fakes" else Services(partial(connect_to, request.param))
    yield made
    made.close()
