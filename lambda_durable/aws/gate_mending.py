"""What is taken away from gates on DynamoDB (gate_store.py has the items) that nobody needs any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..engine.journal import Header
from . import headers, keys
from .attributes import number, text
from .gate_store import GATE, INSIDE, NOBODY_WAITS, GateStore, gate_expiry, gate_key
from .table_calls import NOTHING_IS_THERE

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

    from .attributes import Item


class GateMending(GateStore):
    """The part of the `Store` port by which gates are tidied up."""

    def release(self, gate: str, run: str, header: Header | None) -> bool:
        names, values = {"#name": INSIDE + run}, {":less": number(-1)}
        change, condition = "REMOVE #name ADD n :less", "attribute_exists(#name)"
        entries = self._gate_entries(gate, change, condition, names, values, None)
        return self._all_or_nothing([*entries, self._still(run, header)]) is None

    def let_expire(self, gate: str, after: int) -> bool:
        done, found = self._update(
            gate_key(gate),
            GATE,
            "SET x = :x REMOVE k, g",
            {":x": gate_expiry(after), ":zero": number(0)},
            condition=f"attribute_exists(pk) AND {NOBODY_WAITS}",
        )
        return done or not found

    def _still(self, run: str, header: Header | None) -> TransactWriteItemTypeDef:
        """The part of a transaction that changes nothing, and fails if a header is not as it was found. (A
        ConditionCheck would need a permission that nothing else does.)"""
        key = {"pk": text(keys.run(run)), "sk": text(keys.HEADER)}
        if header is None:
            condition = NOTHING_IS_THERE
            return {"Delete": {"TableName": self._table, "Key": key, "ConditionExpression": condition}}
        values: Item = {":s": text(header.status.value)}
        condition = "s = :s AND attribute_not_exists(Q)"
        if seen := headers.queueing(header):
            condition, values = "s = :s AND Q = :seen", {**values, ":seen": seen["Q"]}
        return {
            "Update": {
                "TableName": self._table,
                "Key": key,
                "UpdateExpression": "SET s = :s",
                "ConditionExpression": condition,
                "ExpressionAttributeValues": values,
            }
        }
