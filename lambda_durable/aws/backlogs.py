"""What waits in the table, for people: the lines at gates, and what is held during pauses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from heapq import merge
from itertools import islice
from typing import TYPE_CHECKING

from ..engine.gates import Limit
from ..pauses import Held, Hold
from ..store import Backlog
from . import keys
from .attributes import from_json, integer, number, text
from .gate_store import GATE, GateStore, read_gate, read_place
from .pause_store import SHARDS
from .table import CHECKS_INDEX, LINE_SHARDS, lines_partition
from .table_calls import LIST_PAGE

if TYPE_CHECKING:
    from .attributes import Item


class Backlogs(GateStore):
    """The part of the `Store` port that shows what waits."""

    def lines(self) -> Iterator[Backlog]:
        def listed(shard: int) -> Iterator[Item]:
            return self._query(
                {
                    "TableName": self._table,
                    "IndexName": CHECKS_INDEX,
                    "KeyConditionExpression": "kp = :kp",
                    "ExpressionAttributeValues": {":kp": text(lines_partition(shard))},
                    "Limit": LIST_PAGE,
                }
            )

        for found in merge(*map(listed, range(LINE_SHARDS)), key=lambda item: int(item["ks"]["N"])):
            pk = found["pk"]["S"]
            backlog = self._backlog(pk)
            if backlog is not None and backlog.gate.waiting > 0:
                yield backlog
            else:
                self._update(
                    pk,
                    GATE,
                    "REMOVE kp, ks",
                    {":zero": number(0)},
                    condition="w <= :zero",
                )

    def backlog(self, limit: Limit) -> Backlog:
        line = self.line(limit.gate, 1)
        return Backlog(limit, line.gate, first=line.heads[0].place.order if line.heads else None)

    def held(self, function_id: str, *, most: int) -> Held:
        kinds: Counter[str] = Counter()
        more = False
        for shard in range(SHARDS):
            found = self._query(
                {
                    "TableName": self._table,
                    "KeyConditionExpression": "pk = :pk",
                    "ExpressionAttributeValues": {
                        ":pk": text(keys.held(Hold(number=0, function=function_id), shard))
                    },
                    "ProjectionExpression": "k",
                    "Limit": -(-most // SHARDS),  # which are about as full
                }
            )
            kinds.update(item["k"]["S"] for item in islice(found, -(-most // SHARDS)))
            more = more or next(found, None) is not None
        return Held(events=kinds["e"], messages=kinds["c"], more=more)

    def _backlog(self, pk: str) -> Backlog | None:
        answer = self._client.query(
            TableName=self._table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": text(pk)},
            ConsistentRead=True,
            Limit=2,
        )
        items = answer["Items"]
        if not items or items[0]["sk"]["S"] != GATE:
            return None
        told = from_json(items[0], "q", {})
        limit = Limit(
            gate=pk.partition("#")[2],
            function=told.get("f", ""),
            label=told.get("k"),
            slots=told.get("n", 0),
            interval=told.get("i", 0),
        )
        first = read_place(limit.gate, items[1]).order if len(items) > 1 else None
        return Backlog(limit, read_gate(items[0]), integer(items[0], "j") or 0, first)
