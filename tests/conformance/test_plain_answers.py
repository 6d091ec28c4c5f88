"""What reads of DynamoDB answer, with botocore's walk along its model and without."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from zlib import crc32

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError

from lambda_durable.aws.clients import Clients

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

EVERYTHING: Any = {
    "pk": {"S": "p"},
    "sk": {"S": "ü/🙂\u2028"},
    "n": {"N": "3.14"},
    "B": {"B": b"\x00\xff"},
    "BS": {"BS": [b"a", b"b\x00"]},
    "s": {"SS": ["a", "b"]},
    "on": {"BOOL": True},
    "nothing": {"NULL": True},
    "list": {"L": [{"B": b"c"}, {"M": {"B": {"S": "B"}, "BS": {"L": []}}}]},
}
KEY: Any = {"pk": EVERYTHING["pk"], "sk": EVERYTHING["sk"]}


def query(dynamodb: DynamoDBClient, table: str) -> Any:
    values: Any = {":pk": EVERYTHING["pk"]}
    return dynamodb.query(
        TableName=table,
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues=values,
        ConsistentRead=True,
    )


@pytest.mark.parametrize("without", [(), ("B", "BS", "list")])
def test_an_item_is_read_as_botocore_reads_it(
    dynamodb: DynamoDBClient, table: str, without: tuple[str, ...]
) -> None:
    item = {name: value for name, value in EVERYTHING.items() if name not in without}
    dynamodb.put_item(TableName=table, Item=item)
    (scanned,) = dynamodb.scan(TableName=table)["Items"]  # which is left to botocore
    found = query(dynamodb, table)
    assert found["Items"] == [scanned]
    assert (found["Count"], found["ResponseMetadata"]["HTTPStatusCode"]) == (1, 200)
    assert dynamodb.get_item(TableName=table, Key=KEY)["Item"] == scanned


def test_what_is_not_there_is_not_in_the_answer(dynamodb: DynamoDBClient, table: str) -> None:
    found = query(dynamodb, table)
    assert (found["Items"], found["Count"]) == ([], 0)
    assert "LastEvaluatedKey" not in found
    assert "Item" not in dynamodb.get_item(TableName=table, Key=KEY)


def answering(
    monkeypatch: pytest.MonkeyPatch, *answers: tuple[int, bytes, dict[str, str]]
) -> tuple[DynamoDBClient, Iterator[Any]]:
    """The client of a worker, and what it is answered, response by response."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)
    left = iter(answers)

    def answer(request: Any, **_: object) -> AWSResponse:
        status, body, headers = next(left)
        raw: Any = io.BytesIO(body)
        raw.stream = lambda: iter([body])
        return AWSResponse(request.url, status, headers, raw)

    client = Clients().dynamodb
    client.meta.events.register("before-send.dynamodb", answer)
    return client, left


def page(*items: Any) -> bytes:
    return json.dumps({"Items": items, "Count": len(items), "LastEvaluatedKey": None}).encode()


def test_an_answer_that_was_damaged_on_its_way_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """DynamoDB: x-amz-crc32 is that of the body."""
    whole = page({"o": {"B": "eA=="}})
    crc = {"x-amz-crc32": str(crc32(whole))}
    client, left = answering(
        monkeypatch, (200, whole[:-4], crc), (200, whole.replace(b"e", b"f"), crc), (200, whole, crc)
    )
    found: Any = query(client, "t")
    assert found["Items"] == [{"o": {"B": b"x"}}]
    assert "LastEvaluatedKey" not in found
    assert found["ResponseMetadata"]["RetryAttempts"] == 2
    assert list(left) == []


def test_an_error_is_the_one_that_botocore_makes_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    body = json.dumps({"__type": "com.amazonaws.dynamodb.v20120810#ValidationException", "message": "no"})
    client, _ = answering(monkeypatch, (400, body.encode(), {}))
    with pytest.raises(ClientError, match="ValidationException"):
        query(client, "t")
