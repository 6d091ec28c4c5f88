"""Payloads that are packed, because their items would be written for more units."""

from __future__ import annotations

import json
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from samples import RUN, ended, event, header, noise, record

from lambda_durable.aws.packing import LARGEST, packed
from lambda_durable.aws.sizes import item_size
from lambda_durable.cli.samples import sample
from lambda_durable.engine.journal import Payload
from lambda_durable.errors import DamagedItemError
from lambda_durable.store import Store

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def order(size: int) -> str:
    return json.dumps(sample(size), ensure_ascii=False, separators=(",", ":"))


def only_item(dynamodb: DynamoDBClient, table: str) -> Any:
    (item,) = dynamodb.scan(TableName=table)["Items"]
    return item


@pytest.mark.parametrize("text", [order(1_000), order(20_000), "é" * 600, noise(30_000), '"' + "x" * 900])
def test_what_is_packed_is_read_as_it_was(store: Store, text: str) -> None:
    kept = Payload(text=text)
    store.add_event(replace(event(), payload=kept), dedupe_after=0)
    store.create_run(header(event=kept))
    store.commit(RUN, record("a", output=kept))
    store.end_run(ended(event=kept, output=kept))
    loaded = store.load_run(RUN)
    assert loaded is not None
    found, top = loaded
    assert (found.event, found.output, top.records["a"].output) == (kept, kept, kept)
    there = store.get_event(event().id)
    assert there is not None
    assert there.payload == kept


def test_a_text_that_fits_stays_one_that_people_can_read(
    store: Store, dynamodb: DynamoDBClient, table: str
) -> None:
    """900 bytes are a unit with what is beside them; so are a few more, packed."""
    store.commit(RUN, record("a", output=Payload(text=order(900))))
    item = only_item(dynamodb, table)
    assert item["o"] == {"S": order(900)}
    assert item_size(item) <= 1024
    store.commit(RUN, record("b", output=Payload(text=order(1_000))))
    other = next(each for each in dynamodb.scan(TableName=table)["Items"] if each["sk"] != item["sk"])
    assert set(other["o"]) == {"B"}
    assert item_size(other) <= 1024


def test_one_that_costs_as_much_packed_stays_as_it_is() -> None:
    assert packed(noise(1_200), 100) == {"S": noise(1_200)}
    assert packed(order(600), 1_024) == {"S": order(600)}
    assert packed("x" * 100, 2_000) == {"S": "x" * 100}


def test_a_header_stays_one_unit_with_an_event_and_an_output_that_are_packed(
    store: Store, dynamodb: DynamoDBClient, table: str
) -> None:
    kept = Payload(text=order(900))
    store.create_run(header(event=kept))
    assert item_size(only_item(dynamodb, table)) <= 1024
    store.end_run(ended(event=kept, output=Payload(text=order(500))))
    assert item_size(only_item(dynamodb, table)) <= 1024


@pytest.mark.parametrize("damage", [lambda kept: kept[:-8], lambda kept: b"?" + kept[1:]])
def test_a_packed_one_that_is_damaged_is_told_of(
    store: Store, dynamodb: DynamoDBClient, table: str, damage: Any
) -> None:
    store.commit(RUN, record("a", output=Payload(text=order(1_000))))
    item = only_item(dynamodb, table)
    item["o"] = {"B": damage(item["o"]["B"])}
    dynamodb.put_item(TableName=table, Item=item)
    with pytest.raises(DamagedItemError, match="packed"):
        store.load_scope(RUN, "")


def test_no_more_is_unpacked_than_was_ever_packed(store: Store, dynamodb: DynamoDBClient, table: str) -> None:
    store.commit(RUN, record("a"))
    item = only_item(dynamodb, table)
    item["o"] = {"B": zlib.compress(b" " * (LARGEST + 1))}
    dynamodb.put_item(TableName=table, Item=item)
    with pytest.raises(DamagedItemError, match="larger"):
        store.load_scope(RUN, "")
