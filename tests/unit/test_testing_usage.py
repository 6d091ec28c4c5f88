"""What DynamoDB would charge."""

from __future__ import annotations

import pytest

from lambda_durable.aws.sizes import item_size
from lambda_durable.testing.cloud import Cloud
from lambda_durable.testing.faults import Dice
from lambda_durable.testing.simulation import Simulation
from lambda_durable.testing.traffic import Traffic
from lambda_durable.testing.usage import Index, Usage

KEYS = [("pk", "HASH"), ("sk", "RANGE")]


@pytest.fixture
def usage():
    return Usage()


@pytest.fixture
def table(usage):
    from datetime import UTC, datetime

    sim = Simulation(0, datetime(2025, 1, 1, tzinfo=UTC))
    cloud = Cloud(Traffic(sim, Dice(sim, None)), usage)
    cloud.create_table(
        {
            "TableName": "t",
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name, _ in KEYS],
            "KeySchema": [{"AttributeName": name, "KeyType": type_} for name, type_ in KEYS],
        }
    )
    yield cloud.client("dynamodb")
    cloud.close()


def item(sort, size=0):
    """An item of `size` bytes."""
    found = {"pk": {"S": "p"}, "sk": {"S": sort}, "v": {"S": ""}}
    return found | {"v": {"S": "x" * (size - item_size(found))}}


def query(table, **more):
    return table.query(
        TableName="t",
        KeyConditionExpression="pk = :p",
        ExpressionAttributeValues={":p": {"S": "p"}},
        **more,
    )


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ({"S": "né"}, 3),
        ({"N": "12345"}, 4),
        ({"N": "-100"}, 3),
        ({"B": b"1234"}, 4),
        ({"BOOL": True}, 1),
        ({"NULL": True}, 1),
        ({"L": [{"S": "ab"}, {"NULL": True}]}, 8),
        ({"M": {"k": {"S": "ab"}}}, 7),
        ({"SS": ["a", "bc"]}, 3),
    ],
)
def test_sizes_of_values(value, size):
    assert item_size({"n": value}) == 1 + size


def test_a_write_costs_its_kilobytes_before_or_after(table, usage):
    table.put_item(TableName="t", Item=item("a", 1024))
    assert usage.write_units == 1
    table.put_item(TableName="t", Item=item("a", 3000))
    assert usage.write_units == 1 + 3
    table.put_item(TableName="t", Item=item("a", 100))
    assert usage.write_units == 4 + 3
    table.update_item(
        TableName="t",
        Key={"pk": {"S": "p"}, "sk": {"S": "a"}},
        UpdateExpression="SET v = :v",
        ExpressionAttributeValues={":v": {"S": "x" * 1500}},
    )
    assert usage.write_units == 7 + 2
    table.delete_item(TableName="t", Key={"pk": {"S": "p"}, "sk": {"S": "a"}})
    assert usage.write_units == 9 + 2


def test_a_failed_condition_costs_a_write(table, usage):
    for _ in range(2):
        try:
            table.put_item(TableName="t", Item=item("a", 100), ConditionExpression="attribute_not_exists(pk)")
        except table.exceptions.ConditionalCheckFailedException:
            pass
    assert usage.write_units == 2


def test_a_transaction_costs_twice(table, usage):
    table.transact_write_items(
        TransactItems=[{"Put": {"TableName": "t", "Item": item(sort, 100)}} for sort in "ab"]
    )
    assert usage.write_units == 4
    table.transact_get_items(
        TransactItems=[{"Get": {"TableName": "t", "Key": {"pk": {"S": "p"}, "sk": {"S": "a"}}}}]
    )
    assert (usage.read_units, usage.items_read) == (2, 1)


def test_a_query_rounds_up_the_sum(table, usage):
    for sort in "abc":
        table.put_item(TableName="t", Item=item(sort, 2000))
    query(table, ConsistentRead=True)
    assert (usage.read_units, usage.items_read, usage.bytes_read) == (2, 3, 6000)
    query(table)
    assert usage.read_units == 3


def test_reading_nothing_costs_the_least(table, usage):
    query(table)
    table.get_item(TableName="t", Key={"pk": {"S": "p"}, "sk": {"S": "a"}}, ConsistentRead=True)
    assert (usage.read_units, usage.items_read, usage.bytes_read) == (1.5, 0, 0)


def test_a_query_sees_its_partition_in_order_and_in_pages(table):
    for sort in "cab":
        table.put_item(TableName="t", Item=item(sort, 100))
        table.put_item(TableName="t", Item=item(sort, 100) | {"pk": {"S": "other"}})
    pages = table.get_paginator("query").paginate(
        TableName="t",
        KeyConditionExpression="pk = :p",
        ExpressionAttributeValues={":p": {"S": "p"}},
        PaginationConfig={"PageSize": 2},
    )
    assert [[found["sk"]["S"] for found in page["Items"]] for page in pages] == [["a", "b"], ["c"]]


def test_an_index_costs_a_write_where_something_of_it_changes_and_two_where_its_key_does():
    index = Index(frozenset({"g"}), frozenset({"pk", "sk", "g", "seen"}))
    before = {"pk": {"S": "p"}, "sk": {"S": "s"}, "g": {"S": "1"}, "seen": {"S": "a"}, "other": {"S": "b"}}
    assert index.units({}, before) == 1
    assert index.units(before, {**before, "other": {"S": "c"}}) == 0
    assert index.units(before, {**before, "seen": {"S": "c"}}) == 1
    assert index.units(before, {**before, "seen": {"S": "c" * 1024}}) == 2
    assert index.units(before, {**before, "g": {"S": "2"}}) == 2
    assert index.units(before, {name: value for name, value in before.items() if name != "g"}) == 1
    assert index.units({"pk": {"S": "p"}}, {"pk": {"S": "p"}, "sk": {"S": "s"}}) == 0
