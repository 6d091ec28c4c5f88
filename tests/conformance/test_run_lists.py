"""The contract of `Store`: lists of runs."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from itertools import islice
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from samples import ME, NOW, OTHER, ended, header

from lambda_durable.aws import check_store, run_lists
from lambda_durable.aws.clock import SystemClock
from lambda_durable.aws.dynamodb import DynamoStore
from lambda_durable.aws.table import LABEL_SHARDS, SHARDS
from lambda_durable.durations import from_millis, to_millis
from lambda_durable.engine.gates import Queueing
from lambda_durable.engine.journal import Author, Header, Payload, RunStatus
from lambda_durable.store import FIRST_CHECK, Store

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


LOOK = Counter(Query=SHARDS, BatchGetItem=1)
"""The calls of a page."""


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


def lists_of(store: Store, run_id: str) -> list[str]:
    """The statuses whose lists have a run."""
    return [status for status in RunStatus if run_id in ids(store, statuses=[status])]


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
    store.end_run(ended("b", RunStatus.FAILED, created=NOW + 1))
    store.begin_cancel("c")
    assert ids(store, statuses=["completed"]) == ["a"]
    assert ids(store, statuses=["failed"]) == ["b"]
    assert ids(store, statuses=["cancelling"]) == ["c"]
    assert ids(store, statuses=["running"]) == ["d"]
    assert ids(store, statuses=["running", "failed", "cancelling"]) == ["d", "c", "b"]
    assert ids(store, statuses=["completed", "failed"]) == ["b", "a"]


@pytest.mark.parametrize("case", ["young", "looked-after", "in-line", "long-in-line"])
def test_a_run_is_listed_as_it_stands_at_each_turn_of_its_life(store: Store, case: str) -> None:
    made = header("a", check_at=NOW + FIRST_CHECK)
    if in_line := case.endswith("line"):
        made = replace(made, status=RunStatus.QUEUED, queueing=Queueing())
    store.create_run(made)
    assert lists_of(store, "a") == [made.status]
    if case == "looked-after":
        assert store.move_check("a", NOW + 2 * FIRST_CHECK)
    if in_line:
        check_at = NOW + FIRST_CHECK + 5 * (case == "long-in-line")
        admitted = Queueing(admitted=NOW)
        moved = replace(made, status=RunStatus.RUNNING, check_at=check_at, queueing=admitted)
        assert store.move(made, moved, [], now=NOW)
        made = moved
    assert lists_of(store, "a") == ["running"]
    store.begin_cancel("a")
    assert lists_of(store, "a") == ["cancelling"]
    ending = replace(made, status=RunStatus.COMPENSATING, ends_as=RunStatus.CANCELLED)
    assert store.begin_undo(ending) is None
    assert lists_of(store, "a") == ["compensating"]
    assert store.end_run(replace(ending, status=RunStatus.CANCELLED, ended=NOW, ended_by=OTHER)) is None
    assert lists_of(store, "a") == ["cancelled"]
    assert ids(store) == ["a"]
    assert list(store.overdue(NOW * 2)) == []


def test_a_run_is_overdue_from_its_first_time_on_until_it_has_ended(store: Store) -> None:
    due = NOW + FIRST_CHECK
    store.create_run(header("a", check_at=due))
    store.create_run(header("b", created=NOW + 5, check_at=due + 5))
    assert list(store.overdue(due)) == []  # nobody has said yet which functions there are
    store.looked_after({}, known=["checkout"])
    assert list(store.overdue(due - 1)) == []
    assert list(store.overdue(due)) == [("a", due)]
    assert set(store.overdue(due + 5)) == {("a", due), ("b", due + 5)}
    assert store.move_check("a", due + 7, seen=due)
    assert not store.move_check("a", due + 9, seen=due)
    assert list(store.overdue(due + 5)) == [("b", due + 5)]
    assert set(store.overdue(due + 7)) == {("a", due + 7), ("b", due + 5)}
    assert not store.move_check("b", due + 6, only_sooner=True)
    assert store.move_check("b", due + 4, only_sooner=True)
    assert set(store.overdue(due + 4)) == {("b", due + 4)}
    for run in ("a", "b"):
        store.end_run(ended(run))
    assert list(store.overdue(due * 2)) == []
    assert not store.move_check("a", due + 8)


def test_what_began_before_the_last_look_is_not_looked_for_again(store: Store) -> None:
    """It has another time by then, or has ended."""
    for run, created in (("old", NOW), ("new", NOW + 1_000)):
        store.create_run(header(run, created=created, check_at=created + FIRST_CHECK))
    store.looked_after({"checkout": NOW + 1_000}, known=["checkout", "audit"])
    store.looked_after({"checkout": NOW})  # never back
    assert store.longest_not_looked_after(1) == [("audit", 0)]
    assert store.longest_not_looked_after(9) == [("audit", 0), ("checkout", NOW + 1_000)]
    assert [run for run, _ in store.overdue(NOW * 2)] == ["new"]
    assert ids(store, statuses=["running"]) == ["new"]
    assert ids(store) == ["new", "old"]


def at(dynamodb: DynamoDBClient, table: str, hours: float) -> DynamoStore:
    """The store, so many hours after `NOW`."""
    clock: Any = SimpleNamespace(now=lambda: from_millis(NOW) + timedelta(hours=hours))
    return DynamoStore(dynamodb, table, retention=timedelta(days=30), clock=clock)


def test_a_function_that_is_gone_is_forgotten_once_its_runs_of_a_day_were_looked_after(
    dynamodb: DynamoDBClient, table: str
) -> None:
    at(dynamodb, table, 0).looked_after({}, known=["checkout", "audit"])

    def known(hours: int, came: int) -> list[str]:
        store = at(dynamodb, table, hours)
        until = to_millis(from_millis(NOW) + timedelta(hours=came))
        store.looked_after({"checkout": until, "audit": until}, known=["audit"])
        return [id for id, _ in store.longest_not_looked_after(9)]

    assert known(23, 22) == ["checkout", "audit"]
    assert known(25, 23) == ["checkout", "audit"]
    assert known(26, 25) == ["audit"]


def test_what_has_long_been_overdue_comes_first(store: Store) -> None:
    for number in range(30):
        store.create_run(header(f"r{number}", check_at=NOW + 100 - number))
    assert [at for _, at in store.due_again(NOW + 90)] == list(range(NOW + 71, NOW + 91))


def test_what_is_not_looked_after_is_read_bit_by_bit(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_store, "MOST_AT_ONCE", 2)
    times = {
        f"r{number}": NOW + number // 60 for number in range(180)
    }  # some shards have more than two of one time
    for run, created in times.items():
        store.create_run(header(run, created=created, check_at=created + FIRST_CHECK))
    since, seen, looks = NOW, set[str](), 0
    while since <= NOW + 10:
        found, since = store.not_looked_after("checkout", since, NOW + 10)
        seen |= {run for run, _ in found}
        assert {run for run, created in times.items() if created < since} <= seen
        looks += 1
    assert seen == set(times)
    assert 1 < looks <= 4


def test_nothing_is_forgotten_that_nobody_looked_after(dynamodb: DynamoDBClient, table: str) -> None:
    """Nobody does where the queue is long, or the worker fails, for days."""
    store = at(dynamodb, table, 0)
    store.create_run(header("a", check_at=NOW + FIRST_CHECK))
    store.looked_after({}, known=["audit", "checkout"])
    store.looked_after({"audit": NOW})
    later = at(dynamodb, table, 72)
    later.looked_after({}, known=["audit"])
    assert [run for run, _ in later.overdue(NOW * 2)] == ["a"]
    assert later.longest_not_looked_after(9) == [
        ("checkout", 0),
        ("audit", NOW),
    ]  # it goes on from where it was


@pytest.mark.parametrize("status", ["skipped", "failed"])
def test_a_run_that_never_begins_is_listed_as_what_it_is(store: Store, status: str) -> None:
    store.create_run(ended("a", RunStatus(status)))
    assert lists_of(store, "a") == [status]


def test_those_that_run_are_newest_first_however_they_are_found(store: Store) -> None:
    names = [f"{number * 7919 % 40:02d}" for number in range(40)]
    for offset, run in enumerate(names):
        store.create_run(header(run, created=NOW + offset // 2, check_at=NOW + offset // 2 + FIRST_CHECK))
    for run in names[::3]:
        store.move_check(run, NOW + FIRST_CHECK + 7)  # in the middle of the others
    store.create_run(header("x", function_id="audit", check_at=NOW + FIRST_CHECK))
    newest_first = sorted(names, key=lambda run: (names.index(run) // 2, run), reverse=True)
    assert ids(store, statuses=["running"]) == newest_first
    assert ids(store, statuses=["running"], since=NOW + 3, until=NOW + 5) == [
        run for run in newest_first if 3 <= names.index(run) // 2 <= 5
    ]
    middle = newest_first[17]
    after = (NOW + names.index(middle) // 2, middle)
    assert ids(store, statuses=["running"], after=after) == newest_first[18:]


def test_a_run_that_is_to_start_later_is_queued_until_then(store: Store) -> None:
    for run, starts in (("a", NOW - 1), ("b", NOW + 60_000), ("c", NOW + 90_000), ("d", NOW)):
        store.create_run(header(run, starts=starts, check_at=starts + FIRST_CHECK))
    assert ids(store, statuses=["queued"]) == ["c", "b"]
    assert ids(store, statuses=["running"]) == ["d", "a"]
    assert ids(store, statuses=["queued", "running"]) == ["d", "c", "b", "a"]


def test_what_an_index_says_and_the_header_does_not_is_left_out(
    store: Store, dynamodb: DynamoDBClient, table: str
) -> None:
    start(store, "a", "b", check_at=NOW)
    store.begin_cancel("a")
    for run, status in (("a", "failed"), ("b", "completed")):
        dynamodb.update_item(
            TableName=table,
            Key={"pk": {"S": run}, "sk": {"S": "!"}},
            UpdateExpression="SET s = :s",
            ExpressionAttributeValues={":s": {"S": status}},
        )
    assert ids(store, statuses=["cancelling", "running"]) == []
    assert ids(store, statuses=["completed"]) == ["b"]


def test_a_list_can_be_of_one_label_which_is_whole(store: Store) -> None:
    start(store, "a", labels=("o-1", "anna"))
    start(store, "b", labels=("o-12",))
    start(store, "c")
    assert ids(store, label="o-1") == ["a"]
    assert ids(store, label="anna", statuses=["running"]) == ["a"]
    assert ids(store, label="anna", statuses=["failed"]) == []
    assert ids(store, label="") == ids(store, "audit", label="anna") == []


def test_a_list_by_a_label_looks_at_no_other_run(store: Store, calls: Counter[str]) -> None:
    start(store, *(f"r{number}" for number in range(40)))
    start(store, "a", "b", labels=("o-1",))
    start(store, "c", labels=("o-1", "o-1"), function_id="refund", created=NOW + 1)
    look = {"Query": LABEL_SHARDS, "BatchGetItem": 1}
    for filters, found in (
        ({}, ["b", "a"]),
        ({"since": NOW + 1}, ["b"]),
        ({"until": NOW}, ["a"]),
        ({"after": (NOW + 1, "b")}, ["a"]),
        ({"statuses": ["running"]}, ["b", "a"]),
    ):
        calls.clear()
        assert ids(store, label="o-1", **filters) == found
        assert calls == look, filters
    assert ids(store, "checkout", "refund", label="o-1") == ["c", "b", "a"]


def test_of_many_with_a_label_those_of_a_status_are_found_by_that(
    store: Store, calls: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_lists, "FEW", 4)
    for number in range(12):
        store.create_run(header(f"r{number:02d}", created=NOW + number, labels=("vip",)))
    for number in (1, 7):
        store.end_run(ended(f"r{number:02d}", RunStatus.FAILED, created=NOW + number, labels=("vip",)))
    store.create_run(ended("other", RunStatus.FAILED, created=NOW + 3))
    calls.clear()
    assert ids(store, label="vip", statuses=["failed"]) == ["r07", "r01"]
    assert calls == {"Query": LABEL_SHARDS + SHARDS, "BatchGetItem": 1}
    assert ids(store, label="vip", statuses=["cancelled"]) == []
    assert len(ids(store, label="vip", statuses=["running"])) == 10


def test_labels_are_written_by_who_wrote_the_header_again_where_that_died(
    store: Store, dynamodb: DynamoDBClient, table: str, calls: Counter[str]
) -> None:
    """The header is there, and the invocation died before it had written the labels."""
    made = header("a", labels=("o-1",))
    store.create_run(made)
    (label,) = dynamodb.scan(
        TableName=table,
        FilterExpression="begins_with(pk, :l)",
        ExpressionAttributeValues={":l": {"S": "l#"}},
    )["Items"]
    dynamodb.delete_item(TableName=table, Key={"pk": label["pk"], "sk": label["sk"]})
    calls.clear()
    assert store.create_run(replace(made, author=OTHER, created=NOW + 5)) is not None
    assert calls == {"PutItem": 1}
    assert ids(store, label="o-1") == []
    store.create_run(replace(made, author=Author(ME.generation + 1, ME.tag), created=NOW + 5))
    assert ids(store, label="o-1") == ["a"]


def test_a_run_without_labels_writes_no_more_than_its_header(store: Store, calls: Counter[str]) -> None:
    store.create_run(header("a"))
    assert calls == {"PutItem": 1}
    store.create_run(header("b", labels=("x", "y")))
    assert calls == {"PutItem": 1 + 3}


@pytest.mark.parametrize("journal", ["a", "a#2"])
def test_a_run_that_outlives_its_state_is_still_found_by_its_labels(
    store: Store, dynamodb: DynamoDBClient, table: str, journal: str
) -> None:
    store.create_run(header("a", labels=("x", "y")))
    until = store.extend(journal, "", NOW + 10**10) // 1000
    found = dynamodb.scan(TableName=table)["Items"]
    assert [int(item["x"]["N"]) for item in found] == [until] * 3


def test_a_run_that_took_the_id_of_one_that_is_gone_is_found_by_its_own_labels(
    store: Store, dynamodb: DynamoDBClient, table: str
) -> None:
    store.create_run(header("a", labels=("old",)))
    dynamodb.delete_item(TableName=table, Key={"pk": {"S": "a"}, "sk": {"S": "!"}})
    assert ids(store, label="old") == []
    store.create_run(header("a", labels=("new",), created=NOW + 5))
    assert ids(store, label="old") == []
    assert ids(store, label="new") == ["a"]


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
    calls.clear()
    runs = store.runs(["f"])
    assert not calls
    next(runs)
    assert calls == LOOK
    assert len(list(runs)) == 39
    assert calls == LOOK  # fewer than a page each


def test_a_list_goes_on_after_a_run(store: Store) -> None:
    start(store, "a", "b", "c", "d")
    start(store, "b2", "b1", created=NOW + 1)
    assert ids(store) == ["d", "c", "b2", "b1", "b", "a"]
    assert ids(store, after=(NOW + 1, "b2")) == ["b1", "b", "a"]
    assert ids(store, after=(NOW, "a")) == []
    assert ids(store, after=(NOW + 9, "z"), until=NOW) == ["a"]
    assert ids(store, after=(NOW, "a"), since=NOW + 1) == []


def test_headers_are_read_a_hundred_at_a_time(store: Store, calls: Counter[str]) -> None:
    names = [*(f"r{number:03d}" for number in range(120)), "r" * 2000]
    start(store, *names)
    calls.clear()
    found = list(store.runs(["checkout"], whole=True))
    assert calls == {"Query": SHARDS, "BatchGetItem": 2}
    assert [each.run_id for each in found] == names[::-1]
    assert found[-8] == header("r007", created=NOW + 7)


@pytest.mark.parametrize(
    ("statuses", "queries"),
    [
        (("failed",), SHARDS),
        (("cancelled",), SHARDS),
        (("skipped",), SHARDS),
        (("cancelling",), SHARDS),
        (("compensating",), SHARDS),
        (("completed",), SHARDS),
        (("queued",), 2 * SHARDS),  # in line, and those that are to start later
        (("running",), 3 * SHARDS),  # since their start, for long, and those that were to start later
    ],
)
def test_a_page_is_a_query_for_each_shard_of_what_it_lists(
    store: Store, calls: Counter[str], statuses: tuple[str, ...], queries: int
) -> None:
    for number in range(5):
        store.create_run(header(f"r{number}", created=NOW + number, check_at=NOW + number + FIRST_CHECK))
        if statuses != ("running",):
            status = RunStatus(statuses[0])
            store.create_run(ended(f"x{number}", status, created=NOW + number))
    calls.clear()
    assert len(list(islice(store.runs(["checkout"], statuses=statuses, expected=3), 3))) == 3
    assert calls["Query"] == queries
    assert calls["BatchGetItem"] <= 2


def test_a_list_of_few_reads_no_more_than_it_is_to_have(store: Store, calls: Counter[str]) -> None:
    start(store, *(f"r{i}" for i in range(30)))
    assert [run.run_id for run in store.runs(["checkout"], expected=3)] == [
        f"r{i}" for i in range(29, -1, -1)
    ]
    calls.clear()
    runs = store.runs(["checkout"], expected=3)
    assert [next(runs).run_id for _ in range(3)] == ["r29", "r28", "r27"]
    assert calls == LOOK


def test_shards_that_are_read_at_once_make_the_same_list_in_as_many_calls(
    dynamodb: DynamoDBClient, table: str, store: Store, calls: Counter[str]
) -> None:
    start(store, *(f"r{i}" for i in range(60)))
    together = DynamoStore(dynamodb, table, retention=timedelta(days=30), clock=SystemClock(), at_once=8)
    for filters in ({}, {"since": NOW + 7}, {"after": (NOW + 30, "r30")}, {"statuses": ["running"]}):
        calls.clear()
        one_by_one, queries = ids(store, **filters), calls["Query"]
        calls.clear()
        assert ids(together, **filters) == one_by_one
        assert calls["Query"] == queries
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
