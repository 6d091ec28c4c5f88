"""The contract of `Store`: lists of runs."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from samples import NOW, ended, header

from lambda_durable.aws.clock import SystemClock
from lambda_durable.aws.dynamodb import DynamoStore
from lambda_durable.aws.table import SHARDS
from lambda_durable.engine.journal import Author, Header, Payload, RunStatus
from lambda_durable.store import Store

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def listed(header: Header) -> Header:
    """What a list has of a run."""
    return Header(
        run_id=header.run_id,
        function_id=header.function_id,
        status=header.status,
        event=Payload(),
        author=Author(0, ""),
        created=header.created,
        ended=header.ended,
        labels=header.labels,
    )


def ids(store: Store, *functions: str, **filters: object) -> list[str]:
    return [found.run_id for found in store.runs(functions or ["checkout"], **filters)]  # type: ignore[arg-type]


def start(store: Store, *run_ids: str, **changes: object) -> None:
    """One a millisecond."""
    for offset, run_id in enumerate(run_ids):
        store.create_run(header(run_id, **{"created": NOW + offset} | changes))


def test_a_list_is_newest_first_whatever_the_ids(store: Store) -> None:
    names = [f"{i * 7919 % 60:02d}" for i in range(60)]
    start(store, *names)
    assert ids(store) == names[::-1]


def test_a_list_is_of_the_functions_asked_for(store: Store) -> None:
    start(store, "a", "c", function_id="checkout")
    start(store, "b", function_id="audit", created=NOW + 1)
    start(store, "d", function_id="refund")
    assert ids(store, "audit", "checkout", "checkout") == ["c", "b", "a"]
    assert ids(store, "audit") == ["b"]
    assert ids(store, "nothing") == []
    assert list(store.runs([])) == []


def test_function_ids_do_not_run_into_each_other(store: Store) -> None:
    start(store, "a", function_id="f#1")
    start(store, "b", function_id="f")
    assert ids(store, "f#1") == ["a"]
    assert ids(store, "f") == ["b"]


def test_a_list_has_headers_without_event_output_and_error(store: Store) -> None:
    start(store, "a", labels=("o-1", "o-2"), event_id="e1")
    assert list(store.runs(["checkout"])) == [listed(header("a", labels=("o-1", "o-2")))]
    store.end_run(ended("a", output=Payload(text="1")))
    assert list(store.runs(["checkout"])) == [listed(ended("a", labels=("o-1", "o-2")))]


def test_a_list_can_be_of_one_status(store: Store) -> None:
    start(store, "a", "b", "c", "d")
    store.end_run(ended("a"))
    store.end_run(ended("b", RunStatus.FAILED))
    store.begin_cancel("c")
    assert ids(store, statuses=["completed"]) == ["a"]
    assert ids(store, statuses=["failed"]) == ["b"]
    assert ids(store, statuses=["cancelling"]) == ["c"]
    assert ids(store, statuses=["running"]) == ["d"]


def test_a_list_can_be_of_one_label_which_is_whole(store: Store) -> None:
    start(store, "a", labels=("o-1", "anna"))
    start(store, "b", labels=("o-12",))
    start(store, "c")
    assert ids(store, label="o-1") == ["a"]
    assert ids(store, label="anna", statuses=["running"]) == ["a"]
    assert ids(store, label="anna", statuses=["failed"]) == []


def test_a_list_can_be_of_a_time_both_ends_included(store: Store) -> None:
    start(store, "a", "b", "c", "d")
    assert ids(store, since=NOW + 1, until=NOW + 2) == ["c", "b"]
    assert ids(store, since=NOW + 2) == ["d", "c"]
    assert ids(store, until=NOW) == ["a"]
    assert ids(store, since=-1, until=10**15) == ["d", "c", "b", "a"]


def test_a_time_that_ends_before_it_begins_has_no_runs(store: Store, calls: Counter[str]) -> None:
    start(store, "a")
    assert ids(store, since=NOW + 1, until=NOW) == []
    assert calls["Query"] == 0  # DynamoDB refuses such a range


def test_a_list_reads_on_as_it_is_asked(store: Store, calls: Counter[str]) -> None:
    start(store, *(f"r{i}" for i in range(40)), function_id="f")
    runs = store.runs(["f"])
    assert calls["Query"] == 0
    next(runs)
    once = calls["Query"]
    assert len(list(runs)) == 39
    assert calls["Query"] == once  # fewer than a page each


def test_a_list_goes_on_after_a_run(store: Store) -> None:
    start(store, "a", "b", "c", "d")
    start(store, "b2", "b1", created=NOW + 1)
    assert ids(store) == ["d", "c", "b2", "b1", "b", "a"]
    assert ids(store, after=(NOW + 1, "b2")) == ["b1", "b", "a"]
    assert ids(store, after=(NOW, "a")) == []
    assert ids(store, after=(NOW + 9, "z"), until=NOW) == ["a"]
    assert ids(store, after=(NOW, "a"), since=NOW + 1) == []


def test_headers_are_read_a_hundred_at_a_time(store: Store, calls: Counter[str]) -> None:
    names = [f"r{number}" for number in range(120)] + ["r" * 2000]
    start(store, *names)
    calls.clear()
    found = store.headers([*names, "gone", "r7"])
    assert calls == {"BatchGetItem": 2}
    assert found.keys() == set(names)
    assert found["r7"] == header("r7", created=NOW + 7)
    assert store.headers([]) == {}


def test_a_list_of_few_reads_no_more_than_it_is_to_have(store: Store, calls: Counter[str]) -> None:
    start(store, *(f"r{i}" for i in range(30)))
    assert [run.run_id for run in store.runs(["checkout"], expected=3)] == [
        f"r{i}" for i in range(29, -1, -1)
    ]
    calls.clear()
    runs = store.runs(["checkout"], expected=3)
    assert [next(runs).run_id for _ in range(3)] == ["r29", "r28", "r27"]
    assert calls == {"Query": SHARDS}


def test_shards_that_are_read_at_once_make_the_same_list_in_as_many_calls(
    dynamodb: DynamoDBClient, table: str, store: Store, calls: Counter[str]
) -> None:
    start(store, *(f"r{i}" for i in range(60)))
    together = DynamoStore(dynamodb, table, retention=timedelta(days=30), clock=SystemClock(), at_once=8)
    for filters in ({}, {"since": NOW + 7}, {"label": "none"}, {"after": (NOW + 30, "r30")}):
        calls.clear()
        one_by_one, queries = ids(store, **filters), calls["Query"]
        calls.clear()
        assert ids(together, **filters) == one_by_one
        assert calls["Query"] == queries == SHARDS
    calls.clear()
    assert list(together.runs([])) == []
    runs = together.runs(["checkout"])
    assert calls["Query"] == 0
    assert next(runs).run_id == "r59"


def test_a_shard_that_can_not_be_read_fails_the_list(dynamodb: DynamoDBClient) -> None:
    store = DynamoStore(
        dynamodb, "no-such-table", retention=timedelta(days=30), clock=SystemClock(), at_once=8
    )
    with pytest.raises(dynamodb.exceptions.ResourceNotFoundException):
        next(store.runs(["checkout"]))
