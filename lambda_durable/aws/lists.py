"""What is listed from the table's indexes, for people, for the reconciler, and for waits that look back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import merge
from typing import TYPE_CHECKING

from ..engine.journal import Header
from . import headers, items
from .attributes import number, text
from .table import (
    CHECKS_INDEX,
    EVENT_SHARDS,
    EVENTS_INDEX,
    RUNS_INDEX,
    SHARDS,
    checks_partition,
    events_partition,
    index_partition,
    index_range,
)
from .table_calls import LIST_PAGE, TableCalls

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import QueryInputTypeDef

    from .attributes import Item


class Lists(TableCalls):
    """The part of the `Store` port that reads indexes: each shard page by page, as what is listed is asked for."""

    def events(self, name: str, since: int) -> Iterator[str]:
        first, last = index_range(since, None)

        def listed(shard: int) -> Iterator[Item]:
            return self._query(
                {
                    "TableName": self._table,
                    "IndexName": EVENTS_INDEX,
                    "KeyConditionExpression": "ep = :ep AND es BETWEEN :first AND :last",
                    "ExpressionAttributeValues": {
                        ":ep": text(events_partition(name, shard)),
                        ":first": text(first),
                        ":last": text(last),
                    },
                    "Limit": LIST_PAGE,
                }
            )

        oldest_first = merge(*map(listed, range(EVENT_SHARDS)), key=lambda item: item["es"]["S"])
        return map(items.event_id, oldest_first)

    def runs(
        self,
        function_ids: Sequence[str],
        *,
        statuses: Sequence[str] = (),
        label: str | None = None,
        since: int | None = None,
        until: int | None = None,
    ) -> Iterator[Header]:
        first, last = index_range(since, until)
        if first > last:  # DynamoDB refuses such a BETWEEN
            return iter(())
        values: Item = {":first": text(first), ":last": text(last)}
        wanted = []
        if statuses:
            named = {f":s{place}": text(status) for place, status in enumerate(statuses)}
            wanted.append(f"s IN ({', '.join(named)})")
            values |= named
        if label is not None:
            wanted.append("contains(L, :label)")
            values[":label"] = text(label)

        def listed(key: str) -> Iterator[Item]:
            request: QueryInputTypeDef = {
                "TableName": self._table,
                "IndexName": RUNS_INDEX,
                "KeyConditionExpression": "gp = :gp AND gs BETWEEN :first AND :last",
                "ExpressionAttributeValues": {**values, ":gp": text(key)},
                "ScanIndexForward": False,
                "Limit": LIST_PAGE,
            }
            if wanted:
                request["FilterExpression"] = " AND ".join(wanted)
            return self._query(request)

        shards = [index_partition(id, shard) for id in dict.fromkeys(function_ids) for shard in range(SHARDS)]
        newest_first = merge(*map(listed, shards), key=lambda item: item["gs"]["S"], reverse=True)
        return map(headers.listed, newest_first)

    def overdue(self, now: int) -> Iterator[tuple[str, int]]:
        for shard in range(SHARDS):
            request: QueryInputTypeDef = {
                "TableName": self._table,
                "IndexName": CHECKS_INDEX,
                "KeyConditionExpression": "kp = :kp AND ks <= :now",
                "ExpressionAttributeValues": {":kp": text(checks_partition(shard)), ":now": number(now)},
                "Limit": LIST_PAGE,
            }
            yield from map(headers.due_check, self._query(request))
