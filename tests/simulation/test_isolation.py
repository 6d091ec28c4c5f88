"""Runtimes don't see each other, and leave nothing behind."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest
from botocore.exceptions import ClientError
from fake_worker import Bench
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.table import Table
from moto.s3.models import FakeKey, s3_backends


def idle(world, delivery, invocation):
    pass


def put(rt, key):
    rt.aws("dynamodb").put_item(TableName="lambda-durable", Item={"pk": {"S": key}, "sk": {"S": "-"}})


def test_runtimes_have_a_cloud_each():
    one, other = Bench(idle), Bench(idle)
    put(one, "a")
    assert other.aws("dynamodb").scan(TableName="lambda-durable")["Count"] == 0
    one.aws("s3").put_object(Bucket=one._bucket, Key="a", Body=b"1")
    with pytest.raises(ClientError):
        other.aws("s3").get_object(Bucket=other._bucket, Key="a")
    other.close()
    assert one.aws("s3").get_object(Bucket=one._bucket, Key="a")["Body"].read() == b"1"
    one.aws("sqs").create_queue(QueueName="users-own")
    assert one.calls["sqs:CreateQueue"] == 1


def test_the_machines_configuration_does_not_reach_it(monkeypatch):
    from lambda_durable.testing.cloud import _shared_client

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://localhost:1")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    _shared_client.cache_clear()
    rt = Bench(idle)
    put(rt, "a")
    assert rt.aws("sqs").meta.region_name == "us-east-1"


def test_what_is_garbage_leaves_nothing_in_moto():
    def use():
        rt = Bench(idle)
        put(rt, "a")
        rt.aws("s3").put_object(Bucket=rt._bucket, Key="a", Body=b"1")
        rt.message("x")
        rt.drain()
        return weakref.ref(rt)

    use()
    gc.collect()
    Bench(idle).close()
    before = len(dynamodb_backends), len(s3_backends), len(s3_backends.bucket_accounts)
    keys, tables = len(FakeKey.instances_tracked), len(Table.instances_tracked)
    threads = threading.active_count()
    gone = [use() for _ in range(20)]
    gc.collect()
    assert [ref() for ref in gone] == [None] * 20
    Bench(idle).close()
    assert (len(dynamodb_backends), len(s3_backends), len(s3_backends.bucket_accounts)) == before
    assert len(FakeKey.instances_tracked) <= keys
    assert len(Table.instances_tracked) <= tables
    assert threading.active_count() == threads


def test_closing_ends_invocations_that_are_paused():
    log = []

    def worker(world, delivery, invocation):
        world.executor.start("slow", lambda: None)
        try:
            world.executor.wait(None)
        finally:
            log.append("over")

    rt = Bench(worker)
    rt.stub("slow", takes="10m")
    rt.message("x")
    rt.advance("1m")
    rt.close()
    assert log == ["over"]
