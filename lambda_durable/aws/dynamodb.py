"""The state on DynamoDB: every write is one conditional PutItem or UpdateItem.

A failed condition answers with the item that is there (ReturnValuesOnConditionCheckFailure), so a conflict
costs no read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from ..engine.journal import Failure, Header, LogEntry, Partition, Record, RunStatus, State
from ..engine.journal_ids import run_of
from ..engine.paths import parent
from ..errors import ConfigurationError, RunNotFoundError, TransactionError
from ..store import Lane, StoredEvent
from . import headers, items, keys
from . import lanes as moves
from .attributes import named, number, text, update
from .backlogs import Backlogs
from .catalogue_store import CatalogueStore
from .collector_store import CollectorStore
from .feed_store import FeedStore
from .gate_mending import GateMending
from .labels import LabelStore
from .leases import LeaseStore
from .pause_store import PauseStore
from .rerun_store import RerunStore
from .run_lists import RunLists
from .table_calls import NOTHING_IS_THERE, SOONER_GONE
from .wait_store import WaitStore

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import (
        QueryInputTypeDef,
        TransactWriteItemTypeDef,
    )

    from .attributes import Item

# What has to be there for a write to happen.
NOT_FINAL = "attribute_not_exists(t)"
FEWER_ATTEMPTS = "(attribute_not_exists(n) OR n < :n)"
SEEN_BEFORE_THE_WINDOW = "a <= :dedupe_after"
RUNNING = "s = :running"
RUNNING_OR_QUEUED = "s IN (:running, :queued)"
RUNNING_OR_CANCELLING = "s IN (:running, :cancelling)"
COMPENSATING = "s = :compensating"
NOTHING_TO_UNDO = "attribute_not_exists(H)"
FIRST_JOURNAL = "attribute_not_exists(J)"
THIS_JOURNAL = "J = :journal"


class DynamoStore(
    RunLists,
    LabelStore,
    WaitStore,
    LeaseStore,
    GateMending,
    CollectorStore,
    PauseStore,
    RerunStore,
    FeedStore,
    Backlogs,
    CatalogueStore,
):
    """The `Store` port, on one table (table.py).

    Each method is one call of DynamoDB, but for pages (those of `load_run` and `load_scope` beyond 1 MB, and the
    lists), for a cancel, which reads what it changes, and for runs that have labels, or have continued as new: their
    header is read beside the journal, since it stays where it is.
    """

    # Events

    def add_event(self, event: StoredEvent, *, dedupe_after: int) -> StoredEvent:
        found = self._put(
            items.event_item(event, self._expiry(event.time)),
            f"{NOTHING_IS_THERE} OR {SEEN_BEFORE_THE_WINDOW}",
            {":dedupe_after": number(dedupe_after)},
        )
        return event if found is None else items.event(found)

    def get_event(self, event_id: str) -> StoredEvent | None:
        found = self._get(keys.event(event_id), keys.EVENT)
        return items.event(found) if found else None

    # Runs

    def create_run(self, header: Header) -> Header | None:
        expiry = self._expiry(header.starts)
        item = self._put(headers.header_item(header, expiry), NOTHING_IS_THERE)
        found = None if item is None else headers.header(item)
        if found is None or found.author.tag == header.author.tag:  # the first delivery may have died before
            self._list_by_labels(found or header, expiry)
        return found

    def expiry(self) -> int:
        return self._expiry() * 1000

    def load_run(self, run_id: str) -> tuple[Header, Partition] | None:
        if (
            run_of(run_id) != run_id
        ):  # a journal after the first: its header lies with that, and costs a read more
            header = self.get_header(run_id)
            if header is None:
                return None
            over = header.journal_id != run_id
            return header, Partition("") if over else self.load_scope(run_id, "")
        found = self._partition(keys.run(run_id))
        top = next(found, None)
        if top is None or top["sk"]["S"] != keys.HEADER:
            return None
        header = self._known(headers.header(top))
        over = header.renewal is not None
        return header, Partition("") if over else items.partition(found, "")

    def get_header(self, run_id: str) -> Header | None:
        found = self._get(keys.run(run_id), keys.HEADER)
        return self._known(headers.header(found)) if found else None

    def _known(self, header: Header) -> Header:
        if not header.status.ended and header.expires is not None:
            self._keep(header.run_id, header.expires // 1000)
        return header

    def end_run(self, header: Header) -> Header | None:
        self._kept.pop(header.run_id, None)
        if header.ends_as is not None:
            return self._change_status(header, COMPENSATING)
        condition = RUNNING_OR_CANCELLING if header.status is RunStatus.CANCELLED else RUNNING
        if header.status is not RunStatus.COMPLETED:
            condition += f" AND {NOTHING_TO_UNDO}"
        return self._change_status(header, condition)

    def mark_undo(self, run_id: str) -> Header | None:
        _, found = self._update(
            keys.run(run_id),
            keys.HEADER,
            "SET H = :one",
            {":one": number(1), ":running": text(RunStatus.RUNNING.value)},
            condition=RUNNING,
            returning="ALL_NEW",
        )
        return headers.header(found) if found else None

    def begin_undo(self, header: Header) -> Header | None:
        condition = RUNNING_OR_CANCELLING if header.ends_as is RunStatus.CANCELLED else RUNNING
        return self._change_status(header, condition)

    def _change_status(self, header: Header, condition: str) -> Header | None:
        change, gone = headers.new_status(header)
        values = named(change)
        for status in (RunStatus.RUNNING, RunStatus.CANCELLING, RunStatus.COMPENSATING):
            if f":{status.value}" in condition:
                values[f":{status.value}"] = text(status.value)
        number_of, numbered = _journal(header)
        changed, found = self._update(
            keys.run(header.run_id),
            keys.HEADER,
            update(change, gone),
            {**values, **numbered},
            condition=f"{condition} AND {number_of}",
        )
        if changed:
            return None
        if not found:
            raise RunNotFoundError(f"run {header.run_id!r} cannot become {header.status}: it has no header")
        return headers.header(found)

    def renew_run(self, before: Header, header: Header) -> Header | None:
        new, old = headers.event_change(header.event)
        gone = ["H", old]
        assert header.renewal is not None
        expires = max((before.expires or 0) // 1000, self._expiry())
        new |= {**headers.renewal(header.renewal), **headers.code(header), "x": number(expires)}
        if header.check_at != before.check_at:
            looked_after, not_so = headers.check(header)
            new |= looked_after | headers.standing(header)
            gone += not_so
        number_of, numbered = _journal(before)
        renewed, found = self._update(
            keys.run(header.run_id),
            keys.HEADER,
            update(new, gone),
            {
                **named(new),
                **numbered,
                ":running": text(RunStatus.RUNNING.value),
            },
            condition=f"{RUNNING} AND {number_of}",
        )
        return None if renewed else headers.header(found)

    def begin_cancel(self, run_id: str) -> Header | None:
        header = self.get_header(run_id)  # for the key by which it is to be listed
        if header is None or header.status not in (RunStatus.RUNNING, RunStatus.QUEUED):
            return header
        standing = headers.standing(replace(header, status=RunStatus.CANCELLING))
        _, found = self._update(
            keys.run(run_id),
            keys.HEADER,
            "SET s = :cancelling, hs = :hs",
            {
                ":hs": standing["hs"],
                ":running": text(RunStatus.RUNNING.value),
                ":queued": text(RunStatus.QUEUED.value),
                ":cancelling": text(RunStatus.CANCELLING.value),
            },
            condition=RUNNING_OR_QUEUED,
            returning="ALL_OLD",
        )
        return headers.header(found) if found else None

    # How long it is kept

    def extend(self, run_id: str, scope: str, at: int) -> int:
        until = self._expiry(at)
        self._keep(run_of(run_id), until)
        pk = keys.scope(run_id, scope)
        self._extend_items(pk, until)
        if not scope and pk != keys.run(run_id):
            self._extend_items(keys.run(run_id), until, " AND sk = :header", {":header": text(keys.HEADER)})
        return until * 1000

    def _extend_items(self, pk: str, until: int, which: str = "", values: Item | None = None) -> None:
        expiry = number(until)
        request: QueryInputTypeDef = {
            "TableName": self._table,
            "KeyConditionExpression": f"pk = :pk{which}",
            "FilterExpression": SOONER_GONE,
            "ProjectionExpression": "pk, sk, f, c, L, u",
            "ExpressionAttributeValues": {":pk": text(pk), ":x": expiry, **(values or {})},
            "ConsistentRead": True,
        }
        for item in reversed(list(self._query(request))):
            if item["sk"]["S"] == keys.HEADER and "L" in item:
                self._extend_labels(headers.listed(item), until)
            self._update(pk, item["sk"]["S"], "SET x = :x", {":x": expiry}, condition=SOONER_GONE)

    def lives_longer(self, run_id: str) -> bool:
        return self._kept.get(run_of(run_id), 0) > self._expiry()

    def remember(self, name: str, text_: str) -> str:
        pk, sk = keys.kept(name), keys.HEADER
        found = self._get(pk, sk) or self._put(
            {"pk": text(pk), "sk": text(sk), "v": text(text_)}, NOTHING_IS_THERE
        )
        return found["v"]["S"] if found else text_

    # Journals

    def load_scope(self, run_id: str, scope: str) -> Partition:
        return items.partition(self._partition(keys.scope(run_id, scope)), scope)

    def get_record(self, run_id: str, path: str) -> Record | None:
        found = self._get(*keys.record(run_id, path))
        return items.record(found, parent(path)) if found else None

    def register(self, run_id: str, record: Record) -> Record | None:
        return self._write(run_id, record, NOTHING_IS_THERE)

    def commit(self, run_id: str, record: Record) -> Record | None:
        if record.state is State.RETRYING:
            return self._write(
                run_id, record, f"{NOT_FINAL} AND {FEWER_ATTEMPTS}", {":n": number(record.attempts)}
            )
        return self._write(run_id, record, NOT_FINAL)

    def claim(self, run_id: str, record: Record, seen: Record | None) -> Record | None:
        if seen is None:
            return self._write(run_id, record, NOTHING_IS_THERE)
        # The attempts of a record that has none are left out of its item.
        values: Item = {":m": text(str(seen.author)), ":n": number(seen.attempts)}
        same_attempts = "n = :n" if seen.attempts else "(attribute_not_exists(n) OR n = :n)"
        same_claim = "attribute_not_exists(c)"
        if seen.claim:
            same_claim = "c = :c"
            values[":c"] = items.claim_text(seen.claim)
        return self._write(
            run_id, record, f"{NOT_FINAL} AND m = :m AND {same_attempts} AND {same_claim}", values
        )

    def transact(self, run_id: str, record: Record, entries: Sequence[Mapping[str, Any]]) -> Record | None:
        ours: TransactWriteItemTypeDef = {
            "Put": {
                "TableName": self._table,
                "Item": items.record_item(run_id, record, self._expiry_in(run_id)),
                "ConditionExpression": NOT_FINAL,
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        }
        try:
            self._client.transact_write_items(TransactItems=[ours, *map(_entry, entries)])
        except self._client.exceptions.TransactionCanceledException as error:
            reasons: list[dict[str, Any]] = cast("Any", error.response).get("CancellationReasons", [{}])
            ours_failed, *theirs = reasons
            if ours_failed.get("Code") == "ConditionalCheckFailed":
                return items.record(ours_failed["Item"], parent(record.path))
            if any(reason.get("Code") == "ConditionalCheckFailed" for reason in theirs):
                raise _refused(record.path, theirs) from None
            raise
        except self._client.exceptions.ResourceNotFoundException:
            raise _no_table(self._table, record.path, entries) from None
        return None

    def append(self, run_id: str, scope: str, entry: LogEntry) -> LogEntry | None:
        found = self._put(items.log_item(run_id, scope, entry, self._expiry_in(run_id)), NOTHING_IS_THERE)
        return None if found is None else items.log_entry(found)

    def save_failure(self, run_id: str, failure: Failure) -> None:
        self._put(items.failure_item(run_id, failure, self._expiry_in(run_id)))

    # Fan-outs

    def next_in_lane(
        self,
        run_id: str,
        path: str,
        pool: int,
        lane: int,
        *,
        after: int | None,
        first: int,
        limit: int,
        tag: str,
    ) -> tuple[bool, Lane]:
        move = moves.next_turn(lane, after=after, first=first, limit=limit, tag=tag)
        moved, found = self._move(run_id, path, pool, move)
        return moved, moves.read(found, lane, first=first)

    def close_lane(
        self,
        run_id: str,
        path: str,
        pool: int,
        lane: int,
        *,
        after: int | None,
        first: int,
        tag: str,
        failed: bool,
    ) -> tuple[bool, Lane]:
        move = moves.close(lane, after=after, tag=tag, failed=failed)
        moved, found = self._move(run_id, path, pool, move)
        return moved, moves.read(found, lane, first=first)

    def lanes(self, run_id: str, path: str, pool: int, lanes: Sequence[int], *, first: int) -> list[Lane]:
        found = self._get(keys.scope(run_id, path), keys.pool(pool)) or {}
        return [moves.read(found, lane, first=first) for lane in lanes]

    def fail_pool(self, run_id: str, path: str, pool: int) -> None:
        self._update(
            keys.scope(run_id, path),
            keys.pool(pool),
            "SET f = :one, x = :x",
            {":one": number(1), ":x": number(self._expiry_in(run_id))},
        )

    def finish_pool(self, run_id: str, path: str, pool: int) -> int:
        _, found = self._update(
            keys.scope(run_id, path),
            keys.POOLS,
            "ADD p :pool SET x = :x",
            {":pool": {"NS": [str(pool)]}, ":x": number(self._expiry_in(run_id))},
            returning="ALL_NEW",
        )
        return len(found["p"]["NS"])

    def _move(self, run_id: str, path: str, pool: int, move: moves.Move) -> tuple[bool, Item]:
        return self._update(
            keys.scope(run_id, path),
            keys.pool(pool),
            f"{move.change}, x = :x",
            {**move.values, ":x": number(self._expiry_in(run_id))},
            condition=move.condition,
            returning="ALL_NEW",
        )

    def _write(
        self, run_id: str, record: Record, condition: str, values: Item | None = None
    ) -> Record | None:
        """Write a record over what is there. None: it is written. Otherwise the one that is there instead."""
        found = self._put(items.record_item(run_id, record, self._expiry_in(run_id)), condition, values)
        if found is None:
            return None
        if not found:
            # Only a claim meets this, when its record was deleted since. Done again, it sees that.
            raise LookupError(f"run {run_id!r}: the record at {record.path!r} was there, and is gone")
        return items.record(found, parent(record.path))


def _journal(header: Header) -> tuple[str, Item]:
    """The condition that a header's journal is the run's present one."""
    if header.renewal is None:
        return FIRST_JOURNAL, {}
    return THIS_JOURNAL, {":journal": number(header.renewal.number)}


def _entry(item: Mapping[str, Any]) -> TransactWriteItemTypeDef:
    return cast("TransactWriteItemTypeDef", dict(item))


def _no_table(own: str, path: str, entries: Sequence[Mapping[str, Any]]) -> ConfigurationError:
    """DynamoDB doesn't say which table of a transaction is not there."""
    tables = sorted({str(each.get("TableName")) for entry in entries for each in entry.values()})
    return ConfigurationError(
        f"a table of step {path!r}'s transaction is not there, in this region and account: one of "
        f"{', '.join(map(repr, tables))}, or the app's own, {own!r}"
    )


def _refused(path: str, reasons: Sequence[Mapping[str, Any]]) -> TransactionError:
    """The error of a transaction of which a user's condition failed. The items that were there stay out of it."""
    known = [{"Code": reason.get("Code", "None"), "Message": reason.get("Message", "")} for reason in reasons]
    failed = [number for number, reason in enumerate(known) if reason["Code"] == "ConditionalCheckFailed"]
    what = ", ".join(f"item {number}" for number in failed)
    return TransactionError(
        f"the condition of {what} of its transaction failed, so nothing was written",
        reasons=known,
        step_id=path,
    )
