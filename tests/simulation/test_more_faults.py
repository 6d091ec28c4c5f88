"""Refusals, freezes, and indexes that lag."""

from __future__ import annotations

from datetime import timedelta

import pytest
from botocore.exceptions import ClientError
from fake_worker import Bench

from lambda_durable.aws.batches import PartlyRefusedError
from lambda_durable.aws.table import CHECKS_INDEX, checks_partition
from lambda_durable.ports import Outgoing
from lambda_durable.testing import Faults

TABLE = "lambda-durable"


def put(rt, key, **attributes):
    item = {"pk": {"S": key}, "sk": {"S": "-"}, **attributes}
    return rt.aws("dynamodb").put_item(TableName=TABLE, Item=item)


def test_a_call_that_is_refused_has_done_nothing():
    refused = []

    def worker(world, delivery, _):
        try:
            put(rt, delivery.body)
        except ClientError as error:
            refused.append((delivery.body, error.response["Error"]["Code"]))

    rt = Bench(worker, faults=Faults(throttle=0.3))
    for number in range(30):
        rt.message(str(number))
    rt.drain()
    items = {item["pk"]["S"] for item in rt.aws("dynamodb").scan(TableName=TABLE)["Items"]}
    assert 3 < len(refused) < 20
    assert {code for _, code in refused} == {"ProvisionedThroughputExceededException"}
    assert items == {str(number) for number in range(30)} - {body for body, _ in refused}


def test_a_transaction_that_is_refused_has_met_another():
    seen = []

    def worker(*_):
        entry = {"Put": {"TableName": TABLE, "Item": {"pk": {"S": "a"}, "sk": {"S": "-"}}}}
        try:
            rt.aws("dynamodb").transact_write_items(TransactItems=[entry])
        except ClientError as error:
            seen.extend(reason["Code"] for reason in error.response["CancellationReasons"])

    rt = Bench(worker, faults=Faults(throttle=0.5))
    for _ in range(10):
        rt.message("x")
    rt.drain()
    assert set(seen) == {"TransactionConflict"}


def test_of_a_batch_some_are_taken():
    taken = []

    def worker(world, delivery, _):
        if delivery.body != "go":
            taken.append(delivery.body)
            return
        try:
            world.queue.send([Outgoing(f"{delivery.message_id[:4]} {number}") for number in range(10)])
        except (PartlyRefusedError, ClientError):
            taken.append("refused")

    rt = Bench(worker, faults=Faults(throttle=0.2))
    for _ in range(20):
        rt.message("go")
    rt.drain()
    assert taken.count("refused") > 2
    assert len(taken) - taken.count("refused") not in range(0, 210, 10)


def test_a_message_that_lambda_has_no_room_for_comes_back_and_its_receive_count_tells():
    counts = []
    rt = Bench(lambda _, delivery, __: counts.append(delivery.receive_count), faults=Faults(throttle=0.5))
    for _ in range(20):
        rt.message("x")
    rt.drain()
    assert len(counts) == 20
    assert max(counts) > 2
    assert rt.invocations == 20


def test_an_invocation_that_is_frozen_goes_on_or_runs_into_its_timeout():
    log = []

    def worker(world, delivery, _):
        began = rt.now()
        for number in range(3):
            put(rt, f"{delivery.body} {number}")
        log.append((delivery.body, rt.now() - began))

    rt = Bench(worker, faults=Faults(freeze=0.4), lambda_timeout="60s")
    for number in range(20):
        rt.message(str(number))
    rt.drain()
    assert {body for body, _ in log} == {str(number) for number in range(20)}
    assert rt.invocations > 20  # those that ran into it came back
    assert timedelta(seconds=1) < max(took for _, took in log) < timedelta(seconds=60)


@pytest.mark.parametrize("stale", [0.0, 1.0])
def test_an_index_is_seconds_behind_its_table(stale):
    found = []

    def worker(world, delivery, _):
        if delivery.body == "write":
            put(rt, "a", kp={"S": checks_partition(0)}, ks={"N": "1"})
            return
        answer = rt.aws("dynamodb").query(
            TableName=TABLE,
            IndexName=CHECKS_INDEX,
            KeyConditionExpression="kp = :kp",
            ExpressionAttributeValues={":kp": {"S": checks_partition(0)}},
        )
        there = "Item" in rt.aws("dynamodb").get_item(
            TableName=TABLE, Key={"pk": {"S": "a"}, "sk": {"S": "-"}}
        )
        found.append((rt.elapsed(), bool(answer["Items"]), there))

    rt = Bench(worker, faults=Faults(stale=stale))
    rt.message("write", 5)
    for second in range(40):
        for _ in range(3):
            rt.message("read", second)
    rt.drain()
    assert all(there == (elapsed >= 5) for elapsed, _, there in found if elapsed != 5)
    late = [elapsed for elapsed, listed, there in found if there and not listed]
    assert (len(late) > 2) == bool(stale)
    assert all(5 <= elapsed <= 25 for elapsed in late)
    assert not any(listed and not there for _, listed, there in found)
