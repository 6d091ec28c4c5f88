"""DynamoDB's transactions in a runtime: all or nothing. moto copies the whole table for each entry; this does not.

Transactions are handed to moto without botocore between, unless they are unusual: one parameter more makes them so."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError
from fake_worker import Bench
from moto.dynamodb.models.dynamo_type import Item

OWN = {"pk": "lambda-durable", "id": "a-user-s-own"}


@pytest.fixture(params=OWN)
def table(request):
    """An API for one table, whose key has two parts, or is one; and what makes a key of a name."""
    client = Bench(lambda *_: None).aws("dynamodb")
    name = OWN[request.param]
    if request.param == "id":
        client.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )

    def key(text):
        return {"id": {"S": text}} if request.param == "id" else {"pk": {"S": "p"}, "sk": {"S": text}}

    return client, name, key


def entries(name, key, *, holds):
    condition = "attribute_not_exists(n)" if holds else "attribute_exists(n)"
    return [
        {"Put": {"TableName": name, "Item": {**key("new"), "n": {"N": "1"}}}},
        {
            "Update": {
                "TableName": name,
                "Key": key("changed"),
                "UpdateExpression": "SET n = :n",
                "ExpressionAttributeValues": {":n": {"N": "1"}},
            }
        },
        {"Delete": {"TableName": name, "Key": key("deleted")}},
        {"ConditionCheck": {"TableName": name, "Key": key("other"), "ConditionExpression": condition}},
    ]


def contents(client, name, key):
    found = client.scan(TableName=name)["Items"]
    return {each[list(key(""))[-1]]["S"]: each.get("n", {}).get("N") for each in found}


def test_what_fails_leaves_all_as_it_was_and_what_succeeds_changes_all(table):
    client, name, key = table
    for text in ("changed", "deleted", "other"):
        client.put_item(TableName=name, Item=key(text))
    before = contents(client, name, key)
    with pytest.raises(ClientError, match="TransactionCanceled"):
        client.transact_write_items(TransactItems=entries(name, key, holds=False))
    assert contents(client, name, key) == before == dict.fromkeys(("changed", "deleted", "other"))
    client.transact_write_items(TransactItems=entries(name, key, holds=True))
    assert contents(client, name, key) == {"new": "1", "changed": "1", "other": None}


def test_it_copies_what_it_changes_and_nothing_else(table, monkeypatch):
    client, name, key = table
    for number in range(50):
        client.put_item(TableName=name, Item=key(f"there-{number}"))
    copied, copy = [], Item.__deepcopy__
    monkeypatch.setattr(Item, "__deepcopy__", lambda item, memo: copied.append(item) or copy(item, memo))
    puts = [{"Put": {"TableName": name, "Item": key(f"there-{number}")}} for number in range(10)]
    client.transact_write_items(TransactItems=puts)
    assert 10 <= len(copied) <= 3 * 10


def answer(client, transaction, **unusual):
    try:
        said = client.transact_write_items(TransactItems=transaction, **unusual)
    except ClientError as error:
        said = {"said": str(error), "kind": type(error), **error.response}
    return {name: value for name, value in said.items() if name != "ResponseMetadata"}


def test_it_is_answered_as_it_is_on_the_long_way():
    name, key = OWN["pk"], {"pk": {"S": "p"}, "sk": {"S": "there"}}
    there = {"TableName": name, "Key": key, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    two = {"ExpressionAttributeValues": {":two": {"N": "2"}}}
    transactions = [
        [{"Put": {"TableName": name, "Item": {**key, "n": {"N": "1"}, "b": {"B": b"\x00\xff"}}}}],
        [{"ConditionCheck": {**there, "ConditionExpression": "attribute_not_exists(n)"}}],
        [{"Update": {**there, "UpdateExpression": "SET m = :two REMOVE n", **two}}],
        [
            {
                "Delete": {
                    **there,
                    "ConditionExpression": "#m > :two",
                    "ExpressionAttributeNames": {"#m": "m"},
                    **two,
                }
            }
        ],
        [{"Delete": there}, {"Delete": there}],
        [{"Delete": {**there, "TableName": "none"}}],
        [{"Delete": there}],
    ]
    short, long = (Bench(lambda *_: None).aws("dynamodb") for _ in range(2))
    for transaction in transactions:
        assert answer(short, transaction) == answer(long, transaction, ReturnConsumedCapacity="NONE")
        assert short.scan(TableName=name)["Items"] == long.scan(TableName=name)["Items"]
