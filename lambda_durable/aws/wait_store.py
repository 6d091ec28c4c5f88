"""Waits on DynamoDB: who waits for what, and how a wait is ended from outside."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from ..engine.journal import Author, Payload, Record, State
from ..engine.paths import parent
from ..errors import DamagedItemError, ErrorInfo
from ..store import Waiter
from . import items, keys, waiters
from .attributes import named, number, text, update
from .table_calls import LIST_PAGE, NOTHING_IS_THERE, TableCalls, there_instead

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import QueryInputTypeDef

    from .attributes import Item

STILL_WAITS = "s = :waiting AND attribute_not_exists(t)"
WAKES_SOONER = "w < :w"

logger = logging.getLogger(__name__)


class WaitStore(TableCalls):
    """The part of the `Store` port that waits need."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._known_paths: set[tuple[str, str]] = set()

    def add_waiter(self, waiter: Waiter) -> None:
        # The path before the waiter: an event that comes between finds nobody, and need not.
        if (waiter.name, waiter.match_path) not in self._known_paths:
            self._update(
                waiters.paths_key(waiter.name),
                waiters.PATHS,
                "ADD p :path",
                {":path": {"SS": [f".{waiter.match_path}"]}},
            )
            self._known_paths.add((waiter.name, waiter.match_path))
        self._put(waiters.to_item(waiter, *_waiter_key(waiter)))

    def remove_waiter(self, waiter: Waiter) -> None:
        pk, sk = _waiter_key(waiter)
        self._client.delete_item(TableName=self._table, Key={"pk": text(pk), "sk": text(sk)})

    def match_paths(self, name: str) -> Sequence[str]:
        found = self._get(waiters.paths_key(name), waiters.PATHS)
        return [path[1:] for path in sorted(found["p"]["SS"])] if found else []

    def waiters(
        self, name: str, match_path: str, match: str, *, after: tuple[str, str] | None = None
    ) -> Iterator[Waiter]:
        pk = waiters.event_key(name, match_path, match)
        request: QueryInputTypeDef = {
            "TableName": self._table,
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": text(pk)},
            "ConsistentRead": True,
            "Limit": LIST_PAGE,
        }
        if after is not None:
            request["ExclusiveStartKey"] = {"pk": text(pk), "sk": text(waiters.sort_key(*after))}
        for item in self._query(request):
            try:
                yield waiters.from_item(item, name, match_path, match)
            except DamagedItemError as error:  # it holds up nobody else: its own run has a time-out
                logger.error("a wait for event %r is left out: %s", name, error)

    def hold_signal(self, waiter: Waiter, *, instead_of: Waiter | None) -> Waiter | None:
        values: Item = {":u": text(waiter.run_id), ":p": text(waiter.path)}
        condition = f"{NOTHING_IS_THERE} OR (u = :u AND p = :p)"
        if instead_of is not None:
            condition += " OR (u = :v AND p = :q)"
            values |= {":v": text(instead_of.run_id), ":q": text(instead_of.path)}
        item = waiters.to_item(waiter, waiters.signal_key(waiter.name), waiters.SIGNAL)
        found = self._put(item, condition, values)
        return waiters.from_item(found, waiter.name) if found else None

    def signal_holder(self, name: str) -> Waiter | None:
        found = self._get(waiters.signal_key(name), waiters.SIGNAL)
        return waiters.from_item(found, name) if found else None

    def release_signal(self, waiter: Waiter) -> None:
        try:
            self._client.delete_item(
                TableName=self._table,
                Key={"pk": text(waiters.signal_key(waiter.name)), "sk": text(waiters.SIGNAL)},
                ConditionExpression="u = :u AND p = :p",
                ExpressionAttributeValues={":u": text(waiter.run_id), ":p": text(waiter.path)},
            )
        except ClientError as error:
            there_instead(error)

    def resolve(
        self,
        run_id: str,
        path: str,
        *,
        author: Author,
        ended: int,
        output: Payload | None = None,
        error: ErrorInfo | None = None,
        due: int | None = None,
    ) -> tuple[bool, Record | None]:
        outcome = {"t": number(ended), "m": text(str(author)), **items.outcome(output, error)}
        values = named(outcome)
        values[":waiting"] = text(State.WAITING.value)
        condition = STILL_WAITS
        if due is not None:
            condition += " AND w = :w"
            values[":w"] = number(due)
        done, found = self._update(
            *keys.record(run_id, path),
            update(outcome, ["s", "w"]),
            values,
            condition=condition,
            returning="ALL_NEW",
        )
        return done, items.record(found, parent(path)) if found else None

    def put_off(self, run_id: str, path: str, to: int) -> bool:
        done, found = self._update(
            *keys.record(run_id, path),
            "SET w = :w",
            {":w": number(to), ":waiting": text(State.WAITING.value)},
            condition=f"{STILL_WAITS} AND {WAKES_SOONER}",
        )
        return done or (bool(found) and not items.record(found, parent(path)).final)


def _waiter_key(waiter: Waiter) -> tuple[str, str]:
    pk = waiters.event_key(waiter.name, waiter.match_path, waiter.match)
    return pk, waiters.sort_key(waiter.run_id, waiter.path)
