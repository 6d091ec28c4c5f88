"""The contract of `Store` holds for one whose values are encoded on their way in and decoded on their way out."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest
from samples import RUN, event, failure, header, record

from lambda_durable import Middleware, Place
from lambda_durable.aws.dynamodb import DynamoStore
from lambda_durable.engine.journal import FanPlan, Kind, Payload, WaitPlan
from lambda_durable.errors import ErrorInfo
from lambda_durable.runtime.sealing import SealedStore
from lambda_durable.seals import Seal
from lambda_durable.store import Store, Waiter
from tests.conformance.conftest import StoppedClock, connect_to
from tests.conformance.test_collectors import *  # noqa: F403
from tests.conformance.test_lanes import *  # noqa: F403
from tests.conformance.test_run_lists import *  # noqa: F403
from tests.conformance.test_store import *  # noqa: F403

del test_a_scope_larger_than_a_page_is_read_whole  # noqa: F821  its items are as large as may be, before they are encoded

SECRET = "top-secret"


class Base64(Middleware):
    name = "b64"

    def encode(self, text: str, place: Place) -> str:
        return base64.b64encode(f"{place.owner}\n{text}".encode()).decode()

    def decode(self, text: str, place: Place) -> str:
        owner, text = base64.b64decode(text).decode().split("\n", 1)
        assert owner == place.owner
        return text


@pytest.fixture(scope="session", params=["moto"])
def dynamodb(request: pytest.FixtureRequest) -> Any:
    return connect_to(request.param, "dynamodb")


@pytest.fixture
def store(dynamodb: Any, table: str) -> Store:
    plain = DynamoStore(dynamodb, table, retention=timedelta(days=30), clock=StoppedClock())
    return cast(Store, SealedStore(plain, Seal("app", [Base64()])))


def test_no_value_is_in_the_table_and_all_come_back(store: Store, dynamodb: Any, table: str) -> None:
    secret = Payload(text=f'"{SECRET}"')
    error = ErrorInfo(type="E", message=SECRET, traceback=f"at {SECRET}", reasons=[{"Message": SECRET}])
    wait = WaitPlan(names=("paid",), resume="{}", path="data.order", match=f'"{SECRET}"', condition=SECRET)
    waiter = Waiter(
        name="paid",
        run_id=RUN,
        path="w",
        resume="{}",
        match_path="data.order",
        match=f'"{SECRET}"',
        condition=SECRET,
    )
    kept = replace(failure(1), error=error)
    begun, told = header(event=secret, output=None, error=None), event(payload=secret)
    waits = record(path="w", kind=Kind.WAIT_FOR_EVENT, output=secret, waits=wait)
    fan = record(path="m", kind=Kind.MAP, error=error, plan=FanPlan(("0",), 1, SECRET))
    store.create_run(begun)
    store.add_event(told, dedupe_after=0)
    store.commit(RUN, waits)
    store.commit(RUN, fan)
    store.save_failure(RUN, kept)
    store.add_waiter(waiter)

    assert SECRET not in repr(dynamodb.scan(TableName=table)["Items"])
    loaded = store.load_run(RUN)
    assert loaded is not None
    assert loaded[0].event == secret
    assert loaded[1].records == {"w": waits, "m": fan}
    assert loaded[1].failure == kept
    assert store.get_event(told.id) == told
    (found,) = store.waiters("paid", "data.order", f'"{SECRET}"')
    assert (found.match, found.condition, found.run_id) == (waiter.match, waiter.condition, RUN)
    assert list(store.waiters("paid", "data.order", '"other"')) == []
    store.remove_waiter(waiter)
    assert list(store.waiters("paid", "data.order", f'"{SECRET}"')) == []


def test_what_was_moved_to_another_run_by_somebody_else_is_refused(
    store: Store, dynamodb: Any, table: str
) -> None:
    store.commit(RUN, record(path="a", output=Payload(text='"a"')))
    (item,) = dynamodb.scan(TableName=table)["Items"]
    dynamodb.put_item(TableName=table, Item={**item, "pk": {"S": "another"}})
    with pytest.raises(Exception, match="b64"):
        store.load_scope("another", "")


def test_two_stores_agree_on_digests(store: Store, dynamodb: Any, table: str) -> None:
    plain = DynamoStore(dynamodb, table, retention=timedelta(days=30), clock=StoppedClock())
    one, other = (SealedStore(plain, Seal("app", [Base64()])) for _ in range(2))
    assert one.digest("x") == other.digest("x") == cast(SealedStore, store).digest("x")
    assert one.digest("x") != one.digest("y")
