"""Pauses on DynamoDB, and the messages that are kept meanwhile.

k#pauses                !                      `+<function>` for each that ever had one, the newest as JSON
z#<shard>#<function>    <pause>#<key>          b a message that is kept while the function is paused, k its kind
<run id>/:held          <pause>#<key>          and while the run is
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from heapq import merge
from typing import TYPE_CHECKING

from ..engine.journal import Header, RunStatus
from ..pauses import Hold, Pause
from . import headers, keys
from .attributes import from_json, number, text, to_json
from .table import shard_of
from .table_calls import TableCalls

if TYPE_CHECKING:
    from .attributes import Item

SHARDS = 8
"""Partitions of what is kept of one function: DynamoDB takes 1,000 writes a second in each."""

PAUSES = keys.kept("pauses")
FUNCTION = "+"


class PauseStore(TableCalls):
    """The part of the `Store` port that pauses need."""

    def pauses(self, *, latest: bool = False) -> Mapping[str, Pause]:
        answer = self._client.get_item(
            TableName=self._table,
            Key={"pk": text(PAUSES), "sk": text(keys.HEADER)},
            ConsistentRead=latest,
        )
        return pauses(answer.get("Item", {}))

    def change_pause(self, function_id: str, before: Pause | None, after: Pause) -> bool:
        values: Item = {":after": to_json(asdict(after))}
        condition = "attribute_not_exists(#function)"
        if before is not None:
            condition = "#function = :before"
            values[":before"] = to_json(asdict(before))
        done, found = self._update(
            PAUSES,
            keys.HEADER,
            "SET #function = :after",
            values,
            condition=condition,
            names={"#function": FUNCTION + function_id},
        )
        return done or pauses(found).get(function_id) == after

    def change_pauses_of_run(self, run_id: str, before: int, after: int) -> Header | None:
        values: Item = {
            ":after": number(after),
            ":running": text(RunStatus.RUNNING.value),
            ":queued": text(RunStatus.QUEUED.value),
        }
        condition = "s IN (:running, :queued) AND "
        if before:
            condition += "B = :before"
            values[":before"] = number(before)
        else:
            condition += "attribute_not_exists(B)"
        _, found = self._update(
            keys.run(run_id),
            keys.HEADER,
            "SET B = :after",
            values,
            condition=condition,
            returning="ALL_NEW",
        )
        return headers.header(found) if found else None

    def park(self, hold: Hold, key: str, body: str) -> None:
        item = {**_key(hold, key), "k": text(key[:1]), "b": text(body)}
        if hold.run:
            item["x"] = number(self._expiry_in(hold.run))
        self._put(item)

    def parked(self, hold: Hold) -> Iterator[tuple[Hold, str, str]]:
        def listed(shard: int) -> Iterator[Item]:
            return self._query(
                {
                    "TableName": self._table,
                    "KeyConditionExpression": "pk = :pk AND sk < :next",
                    "ExpressionAttributeValues": {
                        ":pk": text(keys.held(hold, shard)),
                        ":next": text(_sort(hold.number + 1, "")),
                    },
                    "ConsistentRead": True,
                }
            )

        shards = map(listed, range(1 if hold.run else SHARDS))
        for item in merge(*shards, key=lambda item: item["sk"]["S"]):
            count, _, key = item["sk"]["S"].partition("#")
            yield Hold(number=int(count), function=hold.function, run=hold.run), key, item["b"]["S"]

    def unpark(self, hold: Hold, key: str) -> None:
        self._client.delete_item(TableName=self._table, Key=_key(hold, key))


def pauses(item: Item) -> dict[str, Pause]:
    return {
        name[len(FUNCTION) :]: Pause(**from_json(item, name, {}))
        for name in item
        if name.startswith(FUNCTION)
    }


def _key(hold: Hold, key: str) -> Item:
    shard = 0 if hold.run else shard_of(key, SHARDS)
    return {"pk": text(keys.held(hold, shard)), "sk": text(_sort(hold.number, key))}


def _sort(pause: int, key: str) -> str:
    return f"{pause:06d}#{key}"
