"""The table's definition, and its indexes.

Each run is in `begun` from its start on, for lists; that says of one that goes on whether nobody has looked after it
yet (check_store.py). Once somebody has, it is in `due` as long as it goes on, by when it is looked after again.
`standing` lists, by its status, every run that has neither completed nor is running since its start, not yet looked
after: those are found in `begun`, among what began lately. So each run is found by how it stands with a look at few
others, and one that runs for a few minutes and completes costs two writes of an index.

A table of before these indexes has others, and lists from it fail, naming the index.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from zlib import crc32

from . import keys

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import CreateTableInputTypeDef

RUNS_INDEX = "begun"
STANDING_INDEX = "standing"
CHECKS_INDEX = "due"
EVENTS_INDEX = "events"
EXPIRY = "x"  # the attribute to name in TimeToLiveSpecification: epoch seconds

SHARDS = 24
"""Index keys of one function. A run is written to its index when it is created and when it ends: 10,000 starts a second
are 20,000 writes a second, and a key takes 1,000 (DynamoDB: one partition). 20 would be the bare minimum; a list costs
one Query for each."""

LABEL_SHARDS = 12
"""Keys of one label of a function, which a run is written to once."""

EVENT_SHARDS = 4
"""Index keys of one event name, which so takes 4,000 a second."""

LINE_SHARDS = 8
"""Index keys of the gates that somebody waits at."""

_LAST_MILLISECOND = 10**13 - 1  # in the year 2286
_LONGEST_INDEX_SORT = keys.LONGEST_SORT - 32  # leaves room for a status


def table_definition(name: str) -> CreateTableInputTypeDef:
    """What `create_table` takes. Time to live, on `EXPIRY`, is a call of its own."""
    return {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [
            {"AttributeName": name, "AttributeType": "N" if name == "ks" else "S"}
            for name in ("pk", "sk", "gp", "gs", "hs", "kp", "ks", "ep", "es")
        ],
        "KeySchema": [
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        "GlobalSecondaryIndexes": [
            {
                "IndexName": RUNS_INDEX,
                "KeySchema": [
                    {"AttributeName": "gp", "KeyType": "HASH"},
                    {"AttributeName": "gs", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["u", "k"]},
            },
            {
                "IndexName": STANDING_INDEX,
                "KeySchema": [
                    {"AttributeName": "gp", "KeyType": "HASH"},
                    {"AttributeName": "hs", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["u", "w"]},
            },
            {
                "IndexName": CHECKS_INDEX,
                "KeySchema": [
                    {"AttributeName": "kp", "KeyType": "HASH"},
                    {"AttributeName": "ks", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["u"]},
            },
            {
                "IndexName": EVENTS_INDEX,
                "KeySchema": [
                    {"AttributeName": "ep", "KeyType": "HASH"},
                    {"AttributeName": "es", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["u"]},
            },
        ],
    }


def shard_of(run_id: str, shards: int = SHARDS) -> int:
    return crc32(run_id.encode()) % shards


def index_partition(function_id: str, shard: int) -> str:
    return f"{function_id}#{shard}"


def events_partition(name: str, shard: int) -> str:
    return f"{name}#{shard}"


def checks_partition(shard: int) -> str:
    return f"check#{shard}"


def lines_partition(shard: int) -> str:
    return f"lines#{shard}"


def index_sort(created: int, run_id: str) -> str:
    """By time first: a run's id need not sort by it, since users may choose one."""
    key = f"{created:013d}#{run_id}"
    return key if keys.fits(key, _LONGEST_INDEX_SORT) else f"{created:013d}#{keys.digest(run_id)}"


def standing_sort(standing: str, index_sort: str) -> str:
    """The key in the index of how runs stand; that of one that is running is its time alone, so that an update finds
    it in the item."""
    return f"{standing}#{index_sort}" if standing else index_sort


def index_range(since: int | None, until: int | None) -> tuple[str, str]:
    """The sort keys between which lie the runs created from `since` to `until`, both included."""
    first = max(since or 0, 0)
    last = _LAST_MILLISECOND if until is None else min(until, _LAST_MILLISECOND)
    return f"{first:013d}", f"{last:013d}$"  # "$" is what follows "#"
