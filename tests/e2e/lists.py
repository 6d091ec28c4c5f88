"""How long a page of a list takes with a hundred thousand runs in the table.

    python -m tests.e2e.lists ENDPOINT [RUNS]

They are those of three functions: one in ten failed, one in a hundred has the label, one in a thousand is running, for
long or since just now, and a few are cancelled, cancelling or in line. A page has 20. Prints, as JSON,
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
from lambda_durable.aws.labels import label_items
from lambda_durable.aws.table import table_definition
from lambda_durable.client import Client
from lambda_durable.connected import SHARDS_AT_ONCE
from lambda_durable.durations import to_millis
from lambda_durable.engine.journal import Author, Header, Payload, RunStatus
from lambda_durable.ports import World
from lambda_durable.runtime.run_ids import run_id
from lambda_durable.store import FIRST_CHECK

TABLE = "lists"
PAGE = 20
EXPIRY = 1 << 40
RARE = {
    7: RunStatus.CANCELLED,
    17: RunStatus.CANCELLING,
    27: RunStatus.QUEUED,
    37: RunStatus.SKIPPED,
    47: RunStatus.COMPENSATING,
}
"""How one in ten thousand stands."""
LATELY = timedelta(minutes=20)
"""Since then nobody has looked after a run."""
ROUNDS = 15
FUNCTIONS = ("order", "order", "order", "order", "order", "order", "order", "order", "audit", "report")
"""Eight in ten are of one function."""


def main(endpoint: str, runs: int = 100_000) -> int:
    dynamodb = table_of(endpoint, runs)
    calls: Counter[str] = Counter()
    dynamodb.meta.events.register("before-call.dynamodb.*", lambda model, **_: calls.update([model.name]))
    world = world_of(dynamodb)
    measured = {}
    for name, look in lists(Client(world=world), world.clock.now()):
        measured[name] = measure(look, calls)
        print(name, measured[name], file=sys.stderr, flush=True)
    print(json.dumps({"runs": runs, "page": PAGE, "lists": measured}, indent=2))
    return 0


def table_of(endpoint: str, runs: int) -> Any:
    """A client of DynamoDB, where the table is now."""
    create: Any = boto3.Session(
        aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1"
    ).client
    dynamodb = create("dynamodb", endpoint_url=endpoint)
    if TABLE not in dynamodb.list_tables()["TableNames"]:
        dynamodb.create_table(**table_definition(TABLE))
        fill(dynamodb, runs)
    return dynamodb


def world_of(dynamodb: Any, table: str = TABLE) -> World:
    """Where runs can be listed, and nothing else be done."""
    clock = SystemClock()
    store = DynamoStore(dynamodb, table, retention=timedelta(days=30), clock=clock, at_once=SHARDS_AT_ONCE)
    unused: Any = None
    return World(clock, store, unused, unused, unused, unused, unused)


def fill(dynamodb: Any, runs: int, table: str = TABLE) -> None:
    """Put runs into a table that began one each ten seconds, the last one just now."""
    now = datetime.now().astimezone()
    began = to_millis(now) - runs * 10_000
    store = world_of(dynamodb, table).store
    store.looked_after(dict.fromkeys(FUNCTIONS, to_millis(now - LATELY)), known=FUNCTIONS)
    with ThreadPoolExecutor(4) as pool:
        batches = (range(start, min(start + 25, runs)) for start in range(0, runs, 25))
        list(pool.map(partial(_put, dynamodb, table, began, to_millis(now - LATELY)), batches))


def _put(dynamodb: Any, table: str, began: int, looked: int, numbers: range) -> None:
    made = [_header(number, began, looked) for number in numbers]
    items = [headers.header_item(each, EXPIRY) for each in made]
    items += [item for each in made for item in label_items(each, EXPIRY)]
    for start in range(0, len(items), 25):
        requests = [{"PutRequest": {"Item": item}} for item in items[start : start + 25]]
        while requests:
            answer = dynamodb.batch_write_item(RequestItems={table: requests})
            requests = answer["UnprocessedItems"].get(table, [])


def _header(number: int, began: int, looked: int) -> Header:
    created = began + number * 10_000
    status = RunStatus.FAILED if number % 10 == 3 else RunStatus.COMPLETED
    status = RARE.get(number % 10_000, RunStatus.RUNNING if number % 1000 == 500 else status)
    if created >= looked and number % 10 == 5:
        status = RunStatus.RUNNING
    check_at = created + FIRST_CHECK + (10**9 if created < looked else 0)
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
        ended=created + 1000 if status.ended else None,
        check_at=None if status.ended else check_at,
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
    yield "with it, and failed", lambda: page(label="rare", status="failed")
    yield (
        "with it, of a day, a while ago",
        lambda: page(label="rare", since=now - timedelta(days=4), until=now - timedelta(days=3)),
    )
    yield "with a label that one has", lambda: page(label="o-5000")
    yield "completed", lambda: page(status="completed")
    yield "running, one in a thousand", lambda: page(status="running")
    yield (
        "running, of a day, a while ago",
        lambda: page(status="running", since=now - timedelta(days=4), until=now - timedelta(days=3)),
    )
    for status in RARE.values():
        yield f"{status}, one in ten thousand", partial(page, status=status.value)
    yield (
        "failed, by an expression",
        lambda: len(client.search("order", "event.data.n % 2 == 0", status="failed").runs),
    )
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
