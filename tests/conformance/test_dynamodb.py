"""What `DynamoStore` promises beyond the port: calls, sizes, and what its items look like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from samples import BOOM, ME, NOW, RUN, ended, entry, event, failure, header, noise, pending, record, retrying

from lambda_durable.aws import items, table
from lambda_durable.aws.dynamodb import DynamoStore
from lambda_durable.engine.journal import Author, Claim, FanPlan, Kind, Payload, Record
from lambda_durable.parsing import written
from lambda_durable.store import Store

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

EXPIRY = int(datetime(2030, 2, 7, tzinfo=UTC).timestamp())  # the tests' clock, 30 days of retention, and 7


def item_size(item: Any) -> int:
    """DynamoDB: names and values in UTF-8; a number half a byte a digit, and one; 3 and 1 each for a list."""

    def value_size(value: dict[str, Any]) -> int:
        ((kind, content),) = value.items()
        if kind == "S":
            return len(content.encode())
        if kind == "N":
            return (len(content) + 1) // 2 + 1
        assert kind == "L"
        return 3 + sum(1 + value_size(each) for each in content)

    return sum(len(name) + value_size(value) for name, value in item.items())


def test_a_step_of_900_characters_is_one_write_unit() -> None:
    step = record("x" * 16, output=Payload(text='"' + "y" * 900 + '"'), author=Author(99, "Xy8abcde"))
    assert item_size(items.record_item(RUN, step, EXPIRY)) <= 1024


def test_a_step_in_a_branch_has_room_for_900_characters_too() -> None:
    step = record("orders[12]/" + "x" * 10, output=Payload(text='"' + "y" * 900 + '"'))
    assert item_size(items.record_item(RUN, step, EXPIRY)) <= 1024


def test_a_fan_out_without_keys_keeps_their_number_only() -> None:
    plan = FanPlan(tuple(map(str, range(10_000))), 100, "fingerprint")
    assert item_size(items.record_item(RUN, pending(kind=Kind.MAP, plan=plan), EXPIRY)) < 200


def test_an_index_key_takes_10_000_starts_a_second() -> None:
    shards = Counter(table.shard_of(f"01JZ8Q6Y7Z{i:016X}") for i in range(10_000))
    writes_at_start_and_end = 2 * max(shards.values())
    assert writes_at_start_and_end < 1000


def prepare_nothing(store: Store) -> None:
    pass


def prepare_a_run(store: Store) -> None:
    store.create_run(header())
    store.add_event(event(), dedupe_after=0)
    store.commit(RUN, record())
    store.append(RUN, "", entry(1))
    store.next_in_lane(RUN, "m", 0, 0, after=None, first=0, limit=2, tag="t")


@pytest.mark.parametrize("prepare", [prepare_nothing, prepare_a_run])
@pytest.mark.parametrize(
    ("operation", "call"),
    [
        ("PutItem", lambda store: store.add_event(event(), dedupe_after=0)),
        ("GetItem", lambda store: store.get_event("e1")),
        ("PutItem", lambda store: store.create_run(header())),
        ("Query", lambda store: store.load_run(RUN)),
        ("GetItem", lambda store: store.get_header(RUN)),
        ("Query", lambda store: store.load_scope(RUN, "m")),
        ("GetItem", lambda store: store.get_record(RUN, "charge")),
        ("PutItem", lambda store: store.register(RUN, pending())),
        ("PutItem", lambda store: store.commit(RUN, record())),
        ("PutItem", lambda store: store.commit(RUN, retrying(1))),
        ("PutItem", lambda store: store.claim(RUN, pending(), None)),
        ("PutItem", lambda store: store.append(RUN, "", entry(1))),
        ("PutItem", lambda store: store.save_failure(RUN, failure(1))),
        (
            "UpdateItem",
            lambda store: store.next_in_lane(RUN, "m", 0, 0, after=None, first=0, limit=2, tag="t"),
        ),
        (
            "UpdateItem",
            lambda store: store.close_lane(RUN, "m", 0, 0, after=0, first=0, tag="t", failed=True),
        ),
        ("UpdateItem", lambda store: store.fail_pool(RUN, "m", 0)),
        ("UpdateItem", lambda store: store.finish_pool(RUN, "m", 0)),
    ],
)
def test_each_method_is_one_call_conflict_or_not(
    store: DynamoStore,
    calls: Counter[str],
    prepare: Callable[[Store], None],
    operation: str,
    call: Callable[[Store], object],
) -> None:
    prepare(store)
    calls.clear()
    call(store)
    assert calls == {operation: 1}


def test_an_end_is_one_call_conflict_or_not(store: DynamoStore, calls: Counter[str]) -> None:
    store.create_run(header())
    for _ in range(2):
        calls.clear()
        store.end_run(ended())
        assert calls == {"UpdateItem": 1}


def test_every_item_is_born_with_an_expiry(store: DynamoStore, dynamodb: DynamoDBClient, table: str) -> None:
    prepare_a_run(store)
    store.save_failure(RUN, failure(1))
    store.fail_pool(RUN, "n", 0)
    store.finish_pool(RUN, "m", 0)
    store.close_lane(RUN, "o", 0, 0, after=None, first=0, tag="t", failed=False)
    found = dynamodb.scan(TableName=table)["Items"]
    assert len(found) == 9
    assert {item["x"]["N"] for item in found} == {str(EXPIRY)}


def test_reads_ignore_what_a_newer_release_wrote(
    store: DynamoStore, dynamodb: DynamoDBClient, table: str
) -> None:
    prepare_a_run(store)
    for item in dynamodb.scan(TableName=table)["Items"]:
        dynamodb.put_item(TableName=table, Item={**item, "new": {"M": {"a": {"BOOL": True}}}})
    for sort in ("!b", "!zzz", "~new"):
        dynamodb.put_item(TableName=table, Item={"pk": {"S": RUN}, "sk": {"S": sort}, "y": {"S": "?"}})
    loaded = store.load_run(RUN)
    assert loaded
    assert loaded[0] == header()
    assert loaded[1].records == {"charge": record()}
    assert loaded[1].log == [entry(1)]
    assert store.get_event("e1") == event()
    assert store.next_in_lane(RUN, "m", 0, 0, after=0, first=0, limit=2, tag="t")[0]


def test_a_log_entry_is_read_before_the_outcomes_that_it_names() -> None:
    log = items.log_item(RUN, "", entry(999_999), EXPIRY)
    for path in ("!", " ", "\x00", "a", "a" * 2000, "💥" * 256):
        assert log["sk"]["S"] < items.record_item(RUN, record(path), EXPIRY)["sk"]["S"]


@pytest.mark.parametrize(
    "written",
    [
        record(),
        record("💥" * 256),
        retrying(3, claim=Claim(1, NOW, "t")),
        record(output=Payload(key="k"), error=BOOM),
    ],
)
def test_a_record_is_its_item_and_back(written: Record) -> None:
    assert items.record(items.record_item(RUN, written, EXPIRY), "") == written


def test_an_item_is_readable_in_the_console() -> None:
    assert items.record_item(RUN, retrying(2, "m[0]/pay", author=ME, claim=Claim(3, NOW, "t")), EXPIRY) == {
        "pk": {"S": f"{RUN}/m[0]"},
        "sk": {"S": ".pay"},
        "k": {"S": "run"},
        "s": {"S": "retrying"},
        "m": {"S": "12.Xy8abcde"},
        "b": {"N": str(NOW)},
        "n": {"N": "2"},
        "w": {"N": str(NOW + 1000)},
        "c": {"S": f"3:{NOW}:t"},
        "e": {"S": written(BOOM)},
        "x": {"N": str(EXPIRY)},
    }


def test_what_is_no_conflict_is_raised(dynamodb: DynamoDBClient, store: DynamoStore, table: str) -> None:
    with pytest.raises(ClientError, match="ValidationException"):
        store.create_run(header(""))
    with pytest.raises(ClientError, match="ValidationException"):
        store.commit(RUN, record(output=Payload(text=noise(600_000))))
