"""What is read of many: events by name, for people and for waits that look back; headers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import merge
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from . import items
from .attributes import text
from .table import (
    EVENT_SHARDS,
    EVENTS_INDEX,
    events_partition,
    index_range,
)
from .table_calls import LIST_PAGE, TableCalls

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import KeysAndAttributesTypeDef

    from .attributes import Item

MOST_KEYS: Final = 100
"""DynamoDB: what one BatchGetItem asks for."""

PAUSES: Final = (0.05, 0.2, 0.8)
"""Seconds before reads that DynamoDB left undone are asked for again: together they had more than 16 MB."""


T = TypeVar("T")


class Lists(TableCalls):
    """The part of the `Store` port that reads many items: each shard page by page, as what is listed is asked for."""

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
        return map(
            items.event_id, self._merged(shards, lambda item: item["es"]["S"], newest_first=newest_first)
        )

    def _merged(
        self, shards: Iterable[Iterator[T]], key: Callable[[T], str], *, newest_first: bool
    ) -> Iterator[T]:
        begun = shards if self._at_once == 1 else _begun(list(shards), self._at_once)
        yield from merge(*begun, key=key, reverse=newest_first)

    def _read_together(self, wanted: Iterable[tuple[str, str]], only: str = "") -> list[Item]:
        """Items by their keys, of which there are at most `MOST_KEYS`, those that there are; eventually consistent.
        `only` some attributes, if that is said (a ProjectionExpression)."""
        asked: KeysAndAttributesTypeDef = {"Keys": [{"pk": text(pk), "sk": text(sk)} for pk, sk in wanted]}
        if only:
            asked["ProjectionExpression"] = only
        left = {self._table: asked}
        found: list[Item] = []
        for pause in (*PAUSES, None):
            answer = self._client.batch_get_item(RequestItems=left)
            found += answer["Responses"].get(self._table, ())
            if not answer.get("UnprocessedKeys"):
                break
            if pause is None:
                raise RuntimeError(f"DynamoDB left reads undone, {len(PAUSES) + 1} times: try again")
            time.sleep(pause)
            left = cast("Any", answer["UnprocessedKeys"])
        return found


def _begun(shards: Sequence[Iterator[T]], at_once: int) -> list[Iterator[T]]:
    """Shards of which each has been read as far as its first item: to merge them takes that of all."""
    from concurrent.futures import ThreadPoolExecutor  # no worker needs it

    with ThreadPoolExecutor(min(at_once, len(shards) or 1)) as pool:
        firsts = list(pool.map(lambda shard: next(shard, None), shards))
    return [chain((first,), rest) for first, rest in zip(firsts, shards, strict=True) if first is not None]
