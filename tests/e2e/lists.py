"""How long a page of a list takes with a hundred thousand runs in the table.

    python -m tests.e2e.lists ENDPOINT [RUNS]

They are those of three functions, one in ten failed, one in a hundred has the label. A page has 20. Prints, as JSON,
for each kind of list its Queries and the median and the worst of its milliseconds. A table that is there is used as it
is.
"""

# ruff: noqa: T201
from __future__ import annotations

import json
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import boto3

from lambda_durable.aws import headers
from lambda_durable.aws.clock import SystemClock
from lambda_durable.aws.dynamodb import DynamoStore
from lambda_durable.aws.table import table_definition
from lambda_durable.client import Client
from lambda_durable.connected import SHARDS_AT_ONCE
from lambda_durable.durations import to_millis
from lambda_durable.engine.journal import Author, Header, Payload, RunStatus
from lambda_durable.ports import World
from lambda_durable.runtime.run_ids import run_id

TABLE = "lists"
PAGE = 20
ROUNDS = 15
FUNCTIONS = ("order", "order", "order", "order", "order", "order", "order", "order", "audit", "report")
"""Eight in ten are of one function."""


def main(endpoint: str, runs: int = 100_000) -> int:
    dynamodb = boto3.client(
        "dynamodb",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    calls: Counter[str] = Counter()
    if TABLE not in dynamodb.list_tables()["TableNames"]:
        dynamodb.create_table(**table_definition(TABLE))
        fill(dynamodb, runs)
    dynamodb.meta.events.register("before-call.dynamodb.*", lambda model, **_: calls.update([model.name]))
    clock = SystemClock()
    store = DynamoStore(dynamodb, TABLE, retention=timedelta(days=30), clock=clock, at_once=SHARDS_AT_ONCE)
    unused: Any = None
    world = World(clock, store, unused, unused, unused, unused, unused)
    measured = {}
    for name, look in lists(Client(world=world), clock.now()):
        measured[name] = measure(look, calls)
        print(name, measured[name], file=sys.stderr, flush=True)
    print(json.dumps({"runs": runs, "page": PAGE, "lists": measured}, indent=2))
    return 0


def fill(dynamodb: Any, runs: int) -> None:
    """Put runs into the table that began one each ten seconds, the last one just now."""
    began = to_millis(datetime.now().astimezone()) - runs * 10_000
    with ThreadPoolExecutor(4) as pool:
        batches = (range(start, min(start + 25, runs)) for start in range(0, runs, 25))
        list(pool.map(partial(_put, dynamodb, began), batches))


def _put(dynamodb: Any, began: int, numbers: range) -> None:
    requests = [
        {"PutRequest": {"Item": headers.header_item(_header(number, began), 1 << 40)}} for number in numbers
    ]
    while requests:
        answer = dynamodb.batch_write_item(RequestItems={TABLE: requests})
        requests = answer["UnprocessedItems"].get(TABLE, [])


def _header(number: int, began: int) -> Header:
    created = began + number * 10_000
    status = RunStatus.FAILED if number % 10 == 3 else RunStatus.COMPLETED
    status = RunStatus.CANCELLED if number % 10_000 == 7 else status
    event = {
        "name": "order",
        "data": {"n": number},
        "id": str(number),
        "time": "2030-01-01T00:00:00+00:00",
        "source": "s",
    }
    return Header(
        run_id=run_id(created, str(number)),
        function_id=FUNCTIONS[number // 10 % len(FUNCTIONS)],
        status=status,
        event=Payload(text=json.dumps(event)),
        author=Author(0, "0123456789ab"),
        created=created,
        ended=created + 1000,
        labels=("rare",) if number % 100 == 42 else (f"o-{number}",),
    )


def lists(client: Client, now: datetime) -> Iterator[tuple[str, Callable[[], int]]]:
    """Each kind of list, and what reads a page of it and says how many runs it has."""

    def page(**filters: Any) -> int:
        return len(list(client.runs("order", limit=PAGE, **filters)))

    yield "the newest", page
    yield "of a day, a while ago", lambda: page(since=now - timedelta(days=4), until=now - timedelta(days=3))
    yield "failed, one in ten", lambda: page(status="failed")
    yield "with a label, one in a hundred", lambda: page(label="rare")
    yield "cancelled, one in ten thousand", lambda: page(status="cancelled")
    yield "by an expression", lambda: len(client.search("order", "event.data.n % 2 == 0").runs)
    yield "by an expression that none has", lambda: client.search("order", "event.data.n < 0").looked_at


def measure(look: Callable[[], int], calls: Counter[str]) -> dict[str, Any]:
    look()
    calls.clear()
    found = look()
    queries = dict(calls)
    took = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        look()
        took.append((time.perf_counter() - began) * 1000)
    return {
        "found": found,
        "calls": queries,
        "median_ms": round(statistics.median(took)),
        "worst_ms": round(max(took)),
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], *map(int, sys.argv[2:])))
