"""What is listed from the table's indexes, for people, for the reconciler, and for waits that look back."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import merge
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, cast

from ..engine.journal import Header, RunStatus
from . import headers, items, keys
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
    index_sort,
)
from .table_calls import LIST_PAGE, TableCalls

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import KeysAndAttributesTypeDef, QueryInputTypeDef

    from .attributes import Item

MOST_KEYS: Final = 100
"""DynamoDB: what one BatchGetItem asks for."""

FILTERED_PAGE: Final = 300
"""Entries of a shard that are looked at first for runs of a status that few have; after that, as many as DynamoDB
looks at in one Query (1 MB)."""

PAUSES: Final = (0.05, 0.2, 0.8)
"""Seconds before reads that DynamoDB left undone are asked for again: together they had more than 16 MB."""


class Lists(TableCalls):
    """The part of the `Store` port that reads indexes: each shard page by page, as what is listed is asked for."""

    def events(
        self, name: str, since: int, until: int | None = None, *, newest_first: bool = False
    ) -> Iterator[str]:
        first, last = index_range(since, until)
        if first > last:  # DynamoDB refuses such a BETWEEN
            return iter(())

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
                    "ScanIndexForward": not newest_first,
                    "Limit": LIST_PAGE,
                }
            )

        shards = map(listed, range(EVENT_SHARDS))
        return map(items.event_id, self._merged(shards, "es", newest_first=newest_first))

    def runs(
        self,
        function_ids: Sequence[str],
        *,
        statuses: Sequence[str] = (),
        label: str | None = None,
        since: int | None = None,
        until: int | None = None,
        after: tuple[int, str] | None = None,
        expected: int | None = None,
    ) -> Iterator[Header]:
        first, last = index_range(since, until)
        before = index_sort(*after) if after is not None else ""
        if before:
            last = min(last, before)
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

        few = bool(statuses) and RunStatus.COMPLETED.value not in statuses
        first_page = FILTERED_PAGE if few else min(expected or LIST_PAGE, LIST_PAGE)

        def listed(key: str) -> Iterator[Item]:
            request: QueryInputTypeDef = {
                "TableName": self._table,
                "IndexName": RUNS_INDEX,
                "KeyConditionExpression": "gp = :gp AND gs BETWEEN :first AND :last",
                "ExpressionAttributeValues": {**values, ":gp": text(key)},
                "ScanIndexForward": False,
            }
            if wanted:
                request["FilterExpression"] = " AND ".join(wanted)
            if label is None:  # few have it
                request["Limit"] = first_page
            return self._query(request, grows=few)

        shards = [index_partition(id, shard) for id in dict.fromkeys(function_ids) for shard in range(SHARDS)]
        newest_first = self._merged(map(listed, shards), "gs", newest_first=True)
        return (headers.listed(item) for item in newest_first if item["gs"]["S"] != before)

    def _merged(self, shards: Iterable[Iterator[Item]], key: str, *, newest_first: bool) -> Iterator[Item]:
        begun = shards if self._at_once == 1 else _begun(list(shards), self._at_once)
        yield from merge(*begun, key=lambda item: item[key]["S"], reverse=newest_first)

    def headers(self, run_ids: Sequence[str]) -> Mapping[str, Header]:
        found: dict[str, Header] = {}
        for start in range(0, len(run_ids), MOST_KEYS):
            some = dict.fromkeys(map(keys.run, run_ids[start : start + MOST_KEYS]))
            wanted: dict[str, KeysAndAttributesTypeDef] = {
                self._table: {"Keys": [{"pk": text(pk), "sk": text(keys.HEADER)} for pk in some]}
            }
            for pause in (*PAUSES, None):
                answer = self._client.batch_get_item(RequestItems=wanted)
                read = map(headers.header, answer["Responses"].get(self._table, ()))
                found |= {header.run_id: header for header in read}
                if not answer.get("UnprocessedKeys"):
                    break
                if pause is None:
                    raise RuntimeError(
                        f"DynamoDB left {len(wanted)} reads undone, {len(PAUSES) + 1} times: try again"
                    )
                time.sleep(pause)
                wanted = cast("Any", answer["UnprocessedKeys"])
        return found

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


def _begun(shards: Sequence[Iterator[Item]], at_once: int) -> list[Iterator[Item]]:
    """Shards of which each has been read as far as its first item: to merge them takes that of all."""
    from concurrent.futures import ThreadPoolExecutor  # no worker needs it

    with ThreadPoolExecutor(min(at_once, len(shards) or 1)) as pool:
        firsts = list(pool.map(lambda shard: next(shard, None), shards))
    return [chain((first,), rest) for first, rest in zip(firsts, shards, strict=True) if first is not None]
