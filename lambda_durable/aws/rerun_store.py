"""Reruns on DynamoDB: what a run begins with is written in transactions, each item where there is none."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from ..engine.journal import Header, Record, RunStatus
from . import headers, items, keys
from .attributes import number, text
from .batches import batches
from .table_calls import NOTHING_IS_THERE, TableCalls

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

    from .attributes import Item

MOST_ITEMS: Final = 100
MOST_BYTES: Final = 2 * 1024 * 1024
"""DynamoDB: a transaction has 100 actions and 4 MB. Bytes here are characters of what is kept."""

MOST_RERUNS: Final = 500
"""Reruns that a run knows: their ids lie in its header, which every invocation reads."""

PAUSES: Final = (0.05, 0.1, 0.2)
"""Seconds before a transaction that met another one is tried again."""

KNOWS_FEW_RERUNS = "attribute_exists(pk) AND (attribute_not_exists(R) OR size(R) < :most)"
NOT_KEPT_YET = "s IN (:running, :queued) AND a = :a"


class RerunStore(TableCalls):
    """The part of the `Store` port that is in reruns.py."""

    def link_rerun(self, run_id: str, rerun: str) -> None:
        self._update(
            keys.run(run_id),
            keys.HEADER,
            "ADD R :rerun",
            {":rerun": {"SS": [rerun]}, ":most": number(MOST_RERUNS)},
            condition=KNOWS_FEW_RERUNS,
        )

    def keep_all(self, run_id: str, records: Sequence[Record]) -> None:
        expiry = self._expiry_in(run_id)
        entries = [items.record_item(run_id, record, expiry) for record in records]
        for some in batches(entries, _size, MOST_BYTES, most=MOST_ITEMS):
            left = some
            while left:
                left = self._keep_those_not_there(left)

    def all_kept(self, header: Header, *, undoes: bool) -> Header | None:
        assert header.origin is not None
        values = {
            ":running": text(RunStatus.RUNNING.value),
            ":queued": text(RunStatus.QUEUED.value),
            ":a": headers.origin(header)["a"],
            ":kept": headers.origin(replace(header, origin=replace(header.origin, kept=True)))["a"],
        }
        change = "SET a = :kept"
        if undoes:
            change += ", H = :one"
            values[":one"] = number(1)
        done, found = self._update(
            keys.run(header.run_id), keys.HEADER, change, values, condition=NOT_KEPT_YET
        )
        return None if done else headers.header(found)

    def _keep_those_not_there(self, some: list[Item]) -> list[Item]:
        """Write items, all or none. What is left to be written: those that are not there, if some were."""
        entries: list[TransactWriteItemTypeDef] = [
            {"Put": {"TableName": self._table, "Item": item, "ConditionExpression": NOTHING_IS_THERE}}
            for item in some
        ]
        for pause in (*PAUSES, None):
            try:
                self._client.transact_write_items(TransactItems=entries)
                return []
            except self._client.exceptions.TransactionCanceledException as error:
                reasons: Any = error.response.get("CancellationReasons", [])
                there = [reason.get("Code") == "ConditionalCheckFailed" for reason in reasons]
                if any(there):
                    return [item for item, is_there in zip(some, there, strict=True) if not is_there]
                if pause is None:
                    raise
                time.sleep(pause)
        raise AssertionError


def _size(item: Item) -> int:
    return sum(len(str(value)) for value in item.values())
