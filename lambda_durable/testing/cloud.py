"""DynamoDB and S3 on moto, without patching botocore: each runtime has an account of its own.

Of moto itself two things are other than for who else uses it in this process: it keeps no list of all items there ever
were, and parses the expression of an update once.
"""

from __future__ import annotations

import copy
import itertools
import os
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache, partial
from typing import Any

import boto3
import botocore.session
from botocore import UNSIGNED
from botocore.client import BaseClient
from botocore.config import Config
from moto.core.base_backend import BackendDict
from moto.core.botocore_stubber import BotocoreStubber
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import Table
from moto.s3.models import FakeKey, s3_backends

from ..aws.sizes import Attributes
from .dynamo_shortcut import Shortcut, with_bytes
from .indexes import Changes
from .traffic import Traffic
from .usage import Meter, Usage, written

REGION = "us-east-1"

_accounts = itertools.count(900_000_000_000)
_abandoned: list[str] = []
_caller = threading.local()


class Cloud:
    """An AWS account. Its clients are boto3's, for any thread; every call of theirs goes through `traffic`, and is
    applied alone: moto, and what is done to its tables here, is for one thread at a time. `changes` are those of its
    tables, noted if they are asked for."""

    def __init__(self, traffic: Traffic, usage: Usage) -> None:
        _forget_abandoned()
        self._account = str(next(_accounts))
        self._traffic = traffic
        self._meter = Meter(usage, self._peek)
        self._shortcut = Shortcut(_shared_client("dynamodb"), self._account, REGION)
        self.changes: Changes | None = None
        self._clients: dict[str, Any] = {}
        self._one_at_a_time = threading.RLock()
        self._close = weakref.finalize(self, _abandoned.append, self._account)
        for kind in (Item, Table):
            _untyped(kind).instances_tracked = _Untracked()

    def client(self, service: str) -> Any:
        def call(operation: str, params: dict[str, Any]) -> Any:
            apply = partial(self._apply_alone, service, operation, params)
            return self._traffic.call(f"{service}:{operation}", apply)

        if service not in self._clients:
            self._clients[service] = _calling(_shared_client(service), call)
        return self._clients[service]

    def uncounted(self, service: str) -> Any:
        """A client for what a deployment does: its calls are no traffic, and are not measured."""
        return _calling(_shared_client(service), partial(self._apply, service))

    def create_table(self, definition: Any) -> None:
        self._shortcut.create_table(definition)
        self._meter.add_table(definition)
        _read_by_partition(dynamodb_backends[self._account][REGION].tables[definition["TableName"]])

    def create_bucket(self) -> str:
        # Of all that there is, buckets alone share their names between accounts.
        name = f"lambda-durable-{self._account}"
        s3_backends[self._account]["aws"].create_bucket(name, REGION)
        return name

    def close(self) -> None:
        self._close()
        _forget_abandoned()

    def note_changes(self, now: Callable[[], datetime], lag: Callable[[], timedelta]) -> Changes:
        """Note what changes in tables. An index that is read `now` is behind them by what `lag` says."""
        self.changes = Changes(now, lag, self._peek)
        return self.changes

    def tables(self) -> Mapping[str, Table]:
        return dynamodb_backends[self._account][REGION].tables

    def _apply_alone(self, service: str, operation: str, params: dict[str, Any]) -> Any:
        apply = partial(self._apply, service, operation, params)
        with self._one_at_a_time:
            if service != "dynamodb":
                return apply()
            return self._meter.call(operation, params, partial(self._noted, operation, params, apply))

    def _apply(self, service: str, operation: str, params: dict[str, Any]) -> Any:
        answer = self._shortcut.call(operation, params) if service == "dynamodb" else None
        return (
            _shared_call(self._account, _shared_client(service), operation, params)
            if answer is None
            else answer
        )

    def _noted(self, operation: str, params: dict[str, Any], apply: Callable[[], Any]) -> Any:
        writes = list(written(operation, params))
        if operation == "TransactWriteItems":
            apply = partial(_all_or_nothing, self.tables(), writes, apply)
        if self.changes is None:
            return apply()
        if writes:
            return self.changes.write(writes, apply)
        if "IndexName" in params:
            with self.changes.behind(self.tables()[params["TableName"]]):
                return apply()
        return apply()

    def _peek(self, table_name: str, attributes: Attributes) -> Attributes | None:
        table = self.tables().get(table_name)
        item = None if table is None else _item(table, *_key(table, attributes))
        return None if item is None else with_bytes(item.to_json()["Attributes"])


@cache
def _shared_client(service: str) -> BaseClient:
    """Creating a client takes 50 ms, so there is one, which sends each call to its caller's account.

    Nothing of the machine's own configuration reaches it: no profile, no endpoint, no credentials.
    """
    isolated: Any = {"profile": (None, None, None, None), "config_file": (None, None, os.devnull, None)}
    session = boto3.session.Session(
        aws_access_key_id="local",
        aws_secret_access_key="local",
        region_name=REGION,
        botocore_session=botocore.session.Session(session_vars=isolated),
    )
    options: dict[str, Any] = {"retries": {"total_max_attempts": 1}, "ignore_configured_endpoint_urls": True}
    if service != "s3":
        # A signature is a third of what a call costs. S3 keeps its own, for presigned URLs.
        options["signature_version"] = UNSIGNED
    create: Any = session.client
    client: BaseClient = create(service, config=Config(**options))
    moto: Any = BotocoreStubber()
    moto.enabled = True
    client.meta.events.register_first("before-send", moto)
    client.meta.events.register("before-call", _address_to_account)
    return client


def _calling(shared: BaseClient, call: Callable[[str, dict[str, Any]], Any]) -> BaseClient:
    """A client that is `shared` in all but one thing: how a call is made. Paginators and waiters make
    their calls through the client they come from, so theirs are made so as well."""
    client: Any = object.__new__(type(shared))
    client.__dict__.update(shared.__dict__)
    client._make_api_call = call
    calling: BaseClient = client
    return calling


def _shared_call(account: str, client: BaseClient, operation: str, params: dict[str, Any]) -> Any:
    _caller.account = account
    # A copy: botocore makes a stream of S3's Body in place, and a call that is repeated finds it read.
    return client._make_api_call(operation, dict(params))  # type: ignore[attr-defined]


def _address_to_account(params: dict[str, Any], **_: Any) -> None:
    params["headers"]["x-moto-account-id"] = _caller.account


def _read_by_partition(table: Any) -> None:
    """moto sorts the whole table for each Query; show it what may be asked for, and no more: the partition,
    or the items that are in the index."""
    table.__class__ = _ByPartition


class _ByPartition(Table):
    items: Any

    def __deepcopy__(self, _: Any) -> _ByPartition:
        """moto copies the whole table for each entry of a transaction, in case that fails: see `_all_or_nothing`."""
        return self

    def query(self, hash_key: Any, *args: Any, **kwargs: Any) -> Any:
        index = args[6] if len(args) > 6 else kwargs.get("index_name")
        everything = self.items
        if index and hash_key is not None:
            schemas = [each.schema for each in self.all_indexes() if each.name == index]
            keys = [
                key["AttributeName"] for schema in schemas for key in schema
            ]  # the partition's comes first
            self.items = _having(everything, keys, hash_key)
        elif hash_key is not None:
            self.items = {hash_key: everything[hash_key]} if hash_key in everything else {}
        try:
            return super().query(hash_key, *args, **kwargs)
        finally:
            self.items = everything


def _all_or_nothing(
    tables: Mapping[str, Table], writes: Iterable[tuple[str, Attributes]], apply: Callable[[], Any]
) -> Any:
    """Make a transaction; where it fails, put back what it had changed."""
    before = []
    for name, attributes in writes:
        if name in tables:
            _read_by_partition(tables[name])
            key = _key(tables[name], attributes)
            before.append((tables[name], key, copy.deepcopy(_item(tables[name], *key))))
    try:
        return apply()
    except Exception:
        for table, key, item in before:
            _put_back(table, *key, item)
        raise


def _put_back(
    table: Any, hash_key: DynamoType | None, range_key: DynamoType | None, item: Item | None
) -> None:
    if item is None:
        table.delete_item(hash_key, range_key)
    elif range_key is None:
        table.items[hash_key] = item
    else:
        table.items[hash_key][range_key] = item


def _key(table: Table, attributes: Attributes) -> tuple[DynamoType | None, DynamoType | None]:
    hash_key, range_key = (
        DynamoType(dict(attributes[name])) if name is not None and name in attributes else None
        for name in (table.hash_key_attr, table.range_key_attr)
    )
    return hash_key, range_key


def _item(table: Table, hash_key: DynamoType | None, range_key: DynamoType | None) -> Item | None:
    return table.get_item(hash_key, range_key) if hash_key is not None else None


def _having(
    partitions: Any, attributes: Sequence[str], value: DynamoType
) -> dict[DynamoType, dict[DynamoType, Item]]:
    """The items that have some attributes, of which the first has a value."""
    found = {}
    for hash_key, partition in partitions.items():
        items = {
            range_key: item
            for range_key, item in partition.items()
            if all(name in item.attrs for name in attributes) and item.attrs[attributes[0]] == value
        }
        if items:
            found[hash_key] = items
    return found


def _untyped(thing: Any) -> Any:
    """moto's own bookkeeping, which its types say nothing of."""
    return thing


class _Untracked(list[Any]):
    """moto keeps each table and item it ever made, and a copy for every time an item was read. Not here."""

    def append(self, _: Any) -> None:
        pass


def _forget_abandoned() -> None:
    """Let go of the state of runtimes that are gone. Not when they go: the collector runs at any time, so
    perhaps in the middle of moto's own work."""
    while _abandoned:
        account = _abandoned.pop()
        for buckets in s3_backends.pop(account, {}).values():
            for bucket in buckets.buckets.values():
                s3_backends.bucket_accounts.pop(bucket.name, None)
                for key in bucket.keys.values():
                    if isinstance(key, FakeKey):
                        key.dispose()
        tracked = _untyped(FakeKey).instances_tracked
        tracked[:] = [key for key in tracked if not key.disposed]
        backends: list[dict[str, Any]] = list(_untyped(BackendDict)._instances)
        for backend in backends:
            backend.pop(account, None)
