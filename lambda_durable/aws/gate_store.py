"""Gates on DynamoDB: what limits let through, and who waits for them.

    q#<gate>    !                   n: how many are inside, w: how many wait; `+<run>` for each who is inside, until
                                    when (0: until it leaves); a: when the next is due at an even pace; r, u: the run
                                    that has the name, and until when; k, g: for when the head of the line was
                                    woken, and by which message
    q#<gate>    <order>#<run>       a place in the line: u the run, b the message that goes on with it

What a run does on its way through gates is one transaction with its header, so it is in one place, once.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from ..engine.gates import EMPTY, Gate, Place, next_due
from ..engine.journal import Header, RunStatus
from ..store import Join, Move, Pass
from . import headers, keys
from .attributes import integer, number, read_text, text
from .table_calls import TableCalls, there_instead

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

    from .attributes import Item

GATE = "!"
INSIDE = "+"
DAY = 24 * 60 * 60
PAUSES = (0.02, 0.05, 0.1, 0.2)
"""Seconds before a transaction that met another one is tried again."""

NOBODY_WAITS = "(attribute_not_exists(w) OR w <= :zero)"


def gate_key(gate: str) -> str:
    key = f"q#{gate}"
    return key if keys.fits(key, keys.LONGEST_PARTITION) else f"{key[:200]}#{keys.digest(key)}"


def place_sort(place: Place) -> str:
    key = f"{place.order:014d}#{place.run}"
    return key if keys.fits(key, keys.LONGEST_SORT) else f"{place.order:014d}#{keys.digest(place.run)}"


class GateStore(TableCalls):
    """The part of the `Store` port that flow control needs."""

    def gate(self, gate: str) -> Gate:
        found = self._get(gate_key(gate), GATE)
        return _gate(found) if found else EMPTY

    def line(self, gate: str, limit: int) -> Sequence[tuple[Place, str]]:
        answer = self._client.query(
            TableName=self._table,
            KeyConditionExpression="pk = :pk AND sk > :gate",
            ExpressionAttributeValues={":pk": text(gate_key(gate)), ":gate": text(GATE)},
            ConsistentRead=True,
            Limit=limit,
        )
        return [
            (Place(gate, int(item["sk"]["S"].partition("#")[0]), item["u"]["S"]), item["b"]["S"])
            for item in answer["Items"]
        ]

    def move(self, before: Header, after: Header, moves: Sequence[Move], *, now: int) -> bool:
        entries = [self._queue(before, after)]
        for each in moves:
            entries += self._pass(each, now) if isinstance(each, Pass) else self._join(each)
        for pause in (*PAUSES, None):
            try:
                self._client.transact_write_items(TransactItems=entries)
            except self._client.exceptions.TransactionCanceledException as error:
                reasons: Any = error.response.get("CancellationReasons", [])
                codes = {reason.get("Code") for reason in reasons} - {"None"}
                if "ConditionalCheckFailed" in codes:
                    return False
                if codes != {"TransactionConflict"}:
                    raise
                if pause is None:
                    return False
                time.sleep(pause)
            else:
                return True
        raise AssertionError

    def leave(self, gate: str, run: str) -> None:
        self._update(
            gate_key(gate),
            GATE,
            "REMOVE #run ADD n :less",
            {":less": number(-1)},
            condition="attribute_exists(#run)",
            names={"#run": INSIDE + run},
        )

    def remove_gate(self, gate: str) -> None:
        try:
            self._client.delete_item(
                TableName=self._table,
                Key={"pk": text(gate_key(gate)), "sk": text(GATE)},
                ConditionExpression="n <= :zero AND " + NOBODY_WAITS,
                ExpressionAttributeValues={":zero": number(0)},
            )
        except ClientError as error:
            there_instead(error)

    def quit(self, place: Place) -> None:
        pk = text(gate_key(place.gate))
        try:
            self._client.transact_write_items(
                TransactItems=[
                    {
                        "Delete": {
                            "TableName": self._table,
                            "Key": {"pk": pk, "sk": text(place_sort(place))},
                            "ConditionExpression": "attribute_exists(pk)",
                        }
                    },
                    {
                        "Update": {
                            "TableName": self._table,
                            "Key": {"pk": pk, "sk": text(GATE)},
                            "UpdateExpression": "ADD w :less",
                            "ExpressionAttributeValues": {":less": number(-1)},
                        }
                    },
                ]
            )
        except self._client.exceptions.TransactionCanceledException as error:
            reasons: Any = error.response.get("CancellationReasons", [{}])
            if reasons[0].get("Code") != "ConditionalCheckFailed":
                raise

    def set_wake(self, gate: str, seen: Gate, wake: int, by: str) -> bool:
        condition = "k = :seen" if seen.wake else "attribute_not_exists(k)"
        values: Item = {":k": number(wake), ":g": text(by)}
        if seen.wake:
            values[":seen"] = number(seen.wake)
        done, _ = self._update(gate_key(gate), GATE, "SET k = :k, g = :g", values, condition=condition)
        return done

    def _queue(self, before: Header, after: Header) -> TransactWriteItemTypeDef:
        change = {**headers.ending(after), **headers.queueing(after)}
        condition = "s = :queued"
        values = {f":{name}": value for name, value in change.items()} | {
            ":queued": text(RunStatus.QUEUED.value)
        }
        seen = headers.queueing(before)
        if seen:
            condition += " AND Q = :seen"
            values[":seen"] = seen["Q"]
        else:
            condition += " AND attribute_not_exists(Q)"
        update = "SET " + ", ".join(f"{name} = :{name}" for name in change)
        if after.status.ended:
            update += " REMOVE kp, ks"
        elif after.check_at is not None:
            update += ", ks = :ks"
            values[":ks"] = number(after.check_at)
        return {
            "Update": {
                "TableName": self._table,
                "Key": {"pk": text(keys.run(before.run_id)), "sk": text(keys.HEADER)},
                "UpdateExpression": update,
                "ConditionExpression": condition,
                "ExpressionAttributeValues": values,
            }
        }

    def _pass(self, move: Pass, now: int) -> list[TransactWriteItemTypeDef]:
        limit, place = move.limit, move.place
        names: dict[str, str] = {}
        values: Item = {}
        if limit.slots:
            names = {"#run": INSIDE + move.run}
            values = {":until": number(move.until), ":one": number(1), ":slots": number(limit.slots)}
            change, add = "SET #run = :until", ["n :one"]
            condition = "attribute_not_exists(#run) AND (attribute_not_exists(n) OR n < :slots)"
        elif limit.interval:
            due = next_due(limit, move.seen, now)
            values = {":due": number(due), ":x": number(due // 1000 + 30 * DAY)}
            change, add = "SET a = :due, x = :x REMOVE k, g", []
            condition = "a = :seen" if move.seen.due else "attribute_not_exists(a)"
            if move.seen.due:
                values[":seen"] = number(move.seen.due)
        else:
            until = now + limit.life
            values = {":run": text(move.run), ":until": number(until), ":now": number(now)}
            values[":x"] = number(until // 1000 + DAY)
            change, add = "SET r = :run, u = :until, x = :x", []
            condition = "(attribute_not_exists(r) OR u <= :now)"
        if place is not None:
            add.append("w :less")
            values[":less"] = number(-1)
        elif not limit.life:
            condition += f" AND {NOBODY_WAITS}"
            values[":zero"] = number(0)
        if add:
            change += " ADD " + ", ".join(add)
        pk = text(gate_key(limit.gate))
        entry: Any = {
            "TableName": self._table,
            "Key": {"pk": pk, "sk": text(GATE)},
            "UpdateExpression": change,
            "ConditionExpression": condition,
            "ExpressionAttributeValues": values,
        }
        if names:
            entry["ExpressionAttributeNames"] = names
        entries: list[TransactWriteItemTypeDef] = [{"Update": entry}]
        if place is not None:
            key = {"pk": pk, "sk": text(place_sort(place))}
            entries.append(
                {
                    "Delete": {
                        "TableName": self._table,
                        "Key": key,
                        "ConditionExpression": "attribute_exists(pk)",
                    }
                }
            )
        return entries

    def _join(self, move: Join) -> list[TransactWriteItemTypeDef]:
        limit, pk = move.limit, text(gate_key(move.place.gate))
        values: Item = {":one": number(1), ":zero": number(0)}
        if limit.slots:
            condition = "n >= :slots OR w > :zero"
            values[":slots"] = number(limit.slots)
        else:
            condition = "a = :seen OR w > :zero"
            values[":seen"] = number(move.seen.due)
        return [
            {
                "Update": {
                    "TableName": self._table,
                    "Key": {"pk": pk, "sk": text(GATE)},
                    "UpdateExpression": "ADD w :one",
                    "ConditionExpression": condition,
                    "ExpressionAttributeValues": values,
                }
            },
            {
                "Put": {
                    "TableName": self._table,
                    "Item": {
                        "pk": pk,
                        "sk": text(place_sort(move.place)),
                        "u": text(move.place.run),
                        "b": text(move.body),
                    },
                    "ConditionExpression": "attribute_not_exists(pk)",
                }
            },
        ]


def _gate(item: Item) -> Gate:
    return Gate(
        inside={name[1:]: int(value["N"]) for name, value in item.items() if name.startswith(INSIDE)},
        waiting=integer(item, "w") or 0,
        due=integer(item, "a") or 0,
        run=read_text(item, "r"),
        until=integer(item, "u") or 0,
        wake=integer(item, "k") or 0,
        woken_by=read_text(item, "g"),
    )
