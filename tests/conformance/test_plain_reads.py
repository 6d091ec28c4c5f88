"""What DynamoDB answers to reads, on the short path and as botocore reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

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
