"""Gates on DynamoDB: what limits let through, and who waits for them.

    q#<gate>    !                   n: how many are inside, w: how many wait; `+<name>` for each who is inside, until
                                    when (0: until it leaves); l: of how many slots, where those are leases; a: when
                                    the next is due at an even pace; r, u: the run that has the name, and until when;
                                    k, g: for when the head of the line was woken, and by which message; once
                                    somebody has waited: j: how many did, q: what people are told of it, kp, ks: key
                                    in the index of checks, since then and until somebody looks and nobody waits; x:
                                    of leases, a pace and a name, but not from when somebody waits until then
    q#<gate>    <order>#<run>       a place in the line: u the run, b the message that goes on with it; of a part of
                #<part>             a run, p which one, and v the generation of the message; z: when that was sent

What a run does on its way through gates is one transaction with its header, so it is in one place, once.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from ..durations import to_millis
from ..engine.gates import EMPTY, Gate, Limit, Line, Place, Waiting, next_due
from ..engine.journal import Header, RunStatus
from ..store import Join, Move, Pass, Quit
from . import headers, keys
from .attributes import integer, named, number, read_text, text, to_json, update
from .table import LINE_SHARDS, lines_partition, shard_of
from .table_calls import NOTHING_IS_THERE, TableCalls, there_instead

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, TransactWriteItemTypeDef

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
    of = f"{place.run}#{place.part}" if place.part else place.run
    key = f"{place.order:014d}#{of}"
    return key if keys.fits(key, keys.LONGEST_SORT) else f"{place.order:014d}#{keys.digest(of)}"


class GateStore(TableCalls):
    """The part of the `Store` port that flow control needs."""

    def gate(self, gate: str) -> Gate:
        found = self._get(gate_key(gate), GATE)
        return read_gate(found) if found else EMPTY

    def line(self, gate: str, limit: int) -> Line:
        answer = self._client.query(
            TableName=self._table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": text(gate_key(gate))},
            ConsistentRead=True,
            Limit=limit + 1,
        )
        items = answer["Items"]
        state = items.pop(0) if items and items[0]["sk"]["S"] == GATE else {}
        heads = [
            Waiting(read_place(gate, item), item["b"]["S"], integer(item, "z") or 0) for item in items[:limit]
        ]
        return Line(read_gate(state), heads)

    def note_wake(self, place: Place, at: int) -> None:
        self._update(
            gate_key(place.gate),
            place_sort(place),
            "SET z = :z",
            {":z": number(at)},
            condition="attribute_exists(pk)",
        )

    def forget_wake(self, place: Place) -> bool:
        done, _ = self._update(
            gate_key(place.gate), place_sort(place), "REMOVE z", {}, condition="attribute_exists(z)"
        )
        return done

    def move(self, before: Header, after: Header, moves: Sequence[Move], *, now: int) -> bool:
        entries = [self._queue(before, after)]
        for each in moves:
            if isinstance(each, Quit):
                entries += self._give_up(each.place)
            else:
                entries += self._pass(each, now) if isinstance(each, Pass) else self._join(each)
        return self._all_or_nothing(entries) is None

    def leave(self, gate: str, name: str) -> Gate:
        _, item = self._update(
            gate_key(gate),
            GATE,
            "REMOVE #name ADD n :less",
            {":less": number(-1)},
            condition="attribute_exists(#name)",
            names={"#name": INSIDE + name},
            returning="ALL_NEW",
        )
        return read_gate(item)

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
        self._leave_line(place, or_older=True)

    def set_wake(self, gate: str, seen: Gate, wake: int, by: str) -> bool:
        condition = "k = :seen" if seen.wake else "attribute_not_exists(k)"
        values: Item = {":k": number(wake), ":g": text(by)}
        if seen.wake:
            values[":seen"] = number(seen.wake)
        done, found = self._update(gate_key(gate), GATE, "SET k = :k, g = :g", values, condition=condition)
        return done or (integer(found, "k"), read_text(found, "g")) == (wake, by)

    def _queue(self, before: Header, after: Header) -> TransactWriteItemTypeDef:
        change, gone = headers.new_status(after)
        change |= headers.queueing(after)
        if not after.status.ended:
            looked_after, not_so = headers.check(after)
            change |= looked_after
            gone = [*gone, *not_so]
        condition = "s = :queued"
        values = named(change) | {":queued": text(RunStatus.QUEUED.value)}
        seen = headers.queueing(before)
        if seen:
            condition += " AND Q = :seen"
            values[":seen"] = seen["Q"]
        else:
            condition += " AND attribute_not_exists(Q)"
        return {
            "Update": {
                "TableName": self._table,
                "Key": {"pk": text(keys.run(before.run_id)), "sk": text(keys.HEADER)},
                "UpdateExpression": update(change, gone),
                "ConditionExpression": condition,
                "ExpressionAttributeValues": values,
            }
        }

    def _pass(self, move: Pass, now: int) -> list[TransactWriteItemTypeDef]:
        limit, place = move.limit, move.place
        names: dict[str, str] = {}
        values: Item = {}
        if limit.slots:
            change, condition, names, values = entering(limit, move.run, 0, past_nobody=place is None)
        elif limit.interval:
            due = next_due(limit, move.seen, now)
            values = {":due": number(due)}
            change = "SET a = :due REMOVE k, g"
            if place is None:
                change, values = "SET a = :due, x = :x REMOVE k, g", {**values, ":x": gate_expiry(due)}
            condition = "a = :seen" if move.seen.due else "attribute_not_exists(a)"
            if move.seen.due:
                values[":seen"] = number(move.seen.due)
        else:
            until = now + limit.life
            values = {":run": text(move.run), ":until": number(until), ":now": number(now)}
            values[":x"] = number(until // 1000 + DAY)
            change = "SET r = :run, u = :until, x = :x"
            condition = "(attribute_not_exists(r) OR u <= :now)"
        if place is None and not limit.life:
            condition += f" AND {NOBODY_WAITS}"
            values[":zero"] = number(0)
        return self._gate_entries(limit.gate, change, condition, names, values, place)

    def _gate_entries(
        self,
        gate: str,
        change: str,
        condition: str,
        names: dict[str, str],
        values: Item,
        place: Place | None,
    ) -> list[TransactWriteItemTypeDef]:
        """A change of a gate by who gives up its place there, if it has one."""
        if place is not None:
            change += f"{', ' if ' ADD ' in change else ' ADD '}w :less"
            values = {**values, ":less": number(-1)}
        update: Any = {
            "TableName": self._table,
            "Key": {"pk": text(gate_key(gate)), "sk": text(GATE)},
            "UpdateExpression": change,
            "ExpressionAttributeValues": values,
        }
        if condition:
            update["ConditionExpression"] = condition
            update["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        if names:
            update["ExpressionAttributeNames"] = names
        entries: list[TransactWriteItemTypeDef] = [{"Update": update}]
        if place is not None:
            entries.append(self._without(place))
        return entries

    def _give_up(self, place: Place, *, or_older: bool = False) -> list[TransactWriteItemTypeDef]:
        update: TransactWriteItemTypeDef = {
            "Update": {
                "TableName": self._table,
                "Key": {"pk": text(gate_key(place.gate)), "sk": text(GATE)},
                "UpdateExpression": "ADD w :less",
                "ExpressionAttributeValues": {":less": number(-1)},
            }
        }
        return [update, self._without(place, or_older=or_older)]

    def _leave_line(self, place: Place, *, or_older: bool = False) -> None:
        """Give up a place, if there is one. Raises RuntimeError when others had the gate for too long."""
        found = self._all_or_nothing(self._give_up(place, or_older=or_older))
        if found is not None and all(each is None for each in found):
            raise RuntimeError(
                f"run {place.run} could not give up its place in the line of {place.gate}: too many transactions met "
                "there; its message comes again, and tries once more"
            )

    def _without(self, place: Place, *, or_older: bool = False) -> TransactWriteItemTypeDef:
        delete: Any = {
            "TableName": self._table,
            "Key": {"pk": text(gate_key(place.gate)), "sk": text(place_sort(place))},
            "ConditionExpression": "attribute_exists(pk)",
        }
        if place.part:
            delete["ConditionExpression"] = "v <= :v" if or_older else "v = :v"
            delete["ExpressionAttributeValues"] = {":v": number(place.generation)}
        return {"Delete": delete}

    def _all_or_nothing(self, entries: Sequence[TransactWriteItemTypeDef]) -> list[Item | None] | None:
        """Write all or nothing. None: it is written. Otherwise, for each entry whose condition failed, what is there
        instead, and None for the others: all of them, if other transactions had the items for too long."""
        for pause in (*PAUSES, None):
            try:
                self._client.transact_write_items(TransactItems=entries)
            except self._client.exceptions.TransactionCanceledException as error:
                reasons: Any = error.response.get("CancellationReasons", [])
                codes = {reason.get("Code") for reason in reasons} - {"None"}
                if "ConditionalCheckFailed" not in codes:
                    if codes != {"TransactionConflict"}:
                        raise
                    if pause is not None:
                        time.sleep(pause)
                        continue
                return [
                    reason.get("Item", {}) if reason.get("Code") == "ConditionalCheckFailed" else None
                    for reason in reasons
                ]
            return None
        raise AssertionError

    def _join(self, move: Join) -> list[TransactWriteItemTypeDef]:
        limit, place = move.limit, move.place
        pk = text(gate_key(place.gate))
        values: Item = {":one": number(1), ":zero": number(0)}
        if limit.slots:
            condition = "n >= :slots OR w > :zero"
            values[":slots"] = number(limit.slots)
        else:
            condition = "a = :seen OR w > :zero"
            values[":seen"] = number(move.seen.due)
        told, told_values = _told(limit)
        listed = f"kp = :kp, ks = if_not_exists(ks, :ks), {told}"
        values |= told_values
        values[":kp"] = text(lines_partition(shard_of(limit.gate, LINE_SHARDS)))
        values[":ks"] = number(to_millis(self._clock.now()))
        item = {"pk": pk, "sk": text(place_sort(place)), "u": text(place.run), "b": text(move.body)}
        if place.part:
            item |= {"p": text(place.part), "v": number(place.generation)}
        return [
            {
                "Update": {
                    "TableName": self._table,
                    "Key": {"pk": pk, "sk": text(GATE)},
                    "UpdateExpression": f"SET {listed} REMOVE x ADD w :one, j :one",
                    "ConditionExpression": condition,
                    "ExpressionAttributeValues": values,
                }
            },
            {
                "Put": {
                    "TableName": self._table,
                    "Item": item,
                    "ConditionExpression": NOTHING_IS_THERE,
                    "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                }
            },
        ]


def _told(limit: Limit) -> tuple[str, Item]:
    """What people are told of a gate: whose it is, for which value of the key, and what it lets through."""
    told = {"f": limit.function, "n": limit.slots, "i": limit.interval, "k": limit.label}
    return "q = :q", {":q": to_json({name: value for name, value in told.items() if value or name == "k"})}


def entering(
    limit: Limit, name: str, until: int, *, past_nobody: bool
) -> tuple[str, str, dict[str, str], Item]:
    """How one takes a slot, `past_nobody` who waits or before others: the change, its condition, names and values."""
    names = {"#name": INSIDE + name}
    values: Item = {":until": number(until), ":one": number(1), ":slots": number(limit.slots)}
    condition = "attribute_not_exists(#name) AND (attribute_not_exists(n) OR n < :slots)"
    if not until:
        return "SET #name = :until ADD n :one", condition, names, values
    if not past_nobody:
        return "SET #name = :until, l = :slots ADD n :one", condition, names, values
    values[":x"] = gate_expiry(until)
    return "SET #name = :until, l = :slots, x = :x ADD n :one", condition, names, values


def gate_expiry(after: int) -> AttributeValueTypeDef:
    """When a gate is forgotten that knows nothing any more after that (milliseconds)."""
    return number(after // 1000 + 30 * DAY)


def read_gate(item: Item) -> Gate:
    return Gate(
        inside={name[1:]: int(value["N"]) for name, value in item.items() if name.startswith(INSIDE)},
        slots=integer(item, "l") or 0,
        waiting=integer(item, "w") or 0,
        due=integer(item, "a") or 0,
        run=read_text(item, "r"),
        until=integer(item, "u") or 0,
        wake=integer(item, "k") or 0,
        woken_by=read_text(item, "g"),
        expires="x" in item,
    )


def read_place(gate: str, item: Item) -> Place:
    order = int(item["sk"]["S"].partition("#")[0])
    return Place(gate, order, item["u"]["S"], read_text(item, "p"), integer(item, "v") or 0)
