"""When runs are looked after, on DynamoDB.

k#checks      !      v of each function, how far the first looks after its runs have come, and when it was last known

A run that goes on has a time to be looked after. As long as that is the first one, `FIRST_CHECK` after it began, it
needs no entry of its own: the run stands in the index of runs by when it began, and `k` there says that nobody has
looked after it yet. With its second time it moves to the index of checks, which lists by that. So a run that is over
before its first time, as nearly all are, costs one write of an index less; and who looks for what is overdue reads,
of each function, what began since the last look.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import merge
from operator import itemgetter
from typing import TYPE_CHECKING, Final, NamedTuple

from ..durations import to_millis
from ..store import FIRST_CHECK
from . import headers, keys
from .attributes import number, text
from .table import (
    CHECKS_INDEX,
    RUNS_INDEX,
    SHARDS,
    checks_partition,
    index_partition,
    index_range,
    shard_of,
)
from .table_calls import LIST_PAGE, TableCalls

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import QueryInputTypeDef


CHECKS: Final = keys.kept("checks")
FORGOTTEN: Final = 24 * 60 * 60 * 1000
"""Milliseconds after which a function that no code has any more begins no run. So it is forgotten as soon as those of
until then were looked after, however late that is."""

MOST_AT_ONCE: Final = 8_000
"""Entries of a shard that are read before how far that came can be kept: about what DynamoDB looks at in one Query."""

TO_BE_CHECKED: Final = "(attribute_exists(ks) OR attribute_exists(k))"


class Look(NamedTuple):
    """How far the first looks after a function's runs have come, and when it was last known."""

    until: int
    known: int


class CheckStore(TableCalls):
    """The part of the `Store` port that knows when runs are looked after."""

    def overdue(self, now: int) -> Iterator[tuple[str, int]]:
        yield from self.due_again(now)
        for id, look in self._looks().items():
            came = look.until
            while came <= now - FIRST_CHECK:
                found, came = self.not_looked_after(id, came, now - FIRST_CHECK)
                yield from found

    def due_again(self, now: int) -> Iterator[tuple[str, int]]:
        shards = [self._due(checks_partition(shard), now) for shard in range(SHARDS)]
        return merge(*shards, key=itemgetter(1))

    def _due(self, partition: str, now: int) -> Iterator[tuple[str, int]]:
        found = self._query(
            {
                "TableName": self._table,
                "IndexName": CHECKS_INDEX,
                "KeyConditionExpression": "kp = :key AND ks <= :now",
                "ExpressionAttributeValues": {":key": text(partition), ":now": number(now)},
                "Limit": LIST_PAGE,
            }
        )
        return map(headers.due_check, found)

    def not_looked_after(
        self, function_id: str, since: int, until: int
    ) -> tuple[Sequence[tuple[str, int]], int]:
        first, last = index_range(since, max(until, 0))
        if first > last:  # DynamoDB refuses such a BETWEEN
            return (), since
        found: list[tuple[str, int]] = []
        came = until + 1
        for shard in range(SHARDS):
            request: QueryInputTypeDef = {
                "TableName": self._table,
                "IndexName": RUNS_INDEX,
                "KeyConditionExpression": "gp = :key AND gs BETWEEN :first AND :last",
                "FilterExpression": headers.NOT_LOOKED_AFTER,
                "ExpressionAttributeValues": {
                    ":key": text(index_partition(function_id, shard)),
                    ":first": text(first),
                    ":last": text(last),
                },
                "Limit": MOST_AT_ONCE,
            }
            while True:
                page = self._client.query(**request)
                found += map(headers.due_check, page["Items"])
                if "LastEvaluatedKey" not in page:
                    break
                at = int(page["LastEvaluatedKey"]["gs"]["S"][:13])
                if at > since:
                    came = min(came, at)
                    break
                request["ExclusiveStartKey"] = page["LastEvaluatedKey"]
        return sorted(found, key=itemgetter(1)), came

    def longest_not_looked_after(self, most: int) -> Sequence[tuple[str, int]]:
        looks = [(id, look.until) for id, look in self._looks().items()]
        return sorted(looks, key=itemgetter(1))[:most]

    def looked_after(self, until: Mapping[str, int], *, known: Iterable[str] = ()) -> None:
        before, now = self._looks(), to_millis(self._clock.now())
        after = before | {id: Look(before[id].until if id in before else 0, now) for id in known}
        for id, came in until.items():
            if id in after:
                after[id] = Look(max(came, after[id].until), after[id].known)
        after = {id: look for id, look in after.items() if look.until < look.known + FORGOTTEN}
        if after != before:
            self._put({"pk": text(CHECKS), "sk": text(keys.HEADER), "v": text(json.dumps(after))})

    def _looks(self) -> dict[str, Look]:
        found = self._get(CHECKS, keys.HEADER)
        return {id: Look(*look) for id, look in json.loads(found["v"]["S"]).items()} if found else {}

    def move_check(self, run_id: str, to: int, *, seen: int | None = None, only_sooner: bool = False) -> bool:
        condition = TO_BE_CHECKED
        values = {":to": number(to), ":kp": text(checks_partition(shard_of(run_id)))}
        if seen is not None:
            condition, values = "(ks = :seen OR k = :seen)", {**values, ":seen": number(seen)}
        if only_sooner:
            condition += " AND (ks > :to OR k > :to)"
        change = "SET ks = :to, kp = :kp, hs = if_not_exists(hs, gs) REMOVE k"
        moved, _ = self._update(keys.run(run_id), keys.HEADER, change, values, condition=condition)
        return moved
