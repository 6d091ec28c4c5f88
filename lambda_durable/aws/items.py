"""What is kept, as items of the table and back.

Attribute names are short: a step with 900 characters of output and its keys are to fit one write unit
(DynamoDB: 1 KiB). Values are readable: ids, words, JSON. In every item:

    pk sk   the key (keys.py)          m   who wrote it: "generation.tag"
    u       id or path, where the key  x   when it expires, in epoch seconds
            does not show it

and then, o and v packed where that saves a unit (packing.py):

    record    k kind   s state, unless evident   b began   t ended: there once it is final   o, O output, the
              key of its object   e error   n attempts, unless evident   w wakes at   q plan
              c claim: "attempt:deadline:tag"   W what a wait is for
              h attempts of a poll's checks that are over   y has an undo: "undo", with "if_unknown" where that
              is for an attempt that died, too, and "unknown" where one did   r code, where it is not the run's
              g rank in its millisecond
    header    f function   s status   i event's id   v, V event, the key of its object   c created   w starts,
              if later   t ended   z who ended it   o, O, e as in a record   L labels   gp, gs key in the index
              of runs, gp, hs in that of how they stand   Y, y to start, finish by   U unused steps   P who
              invoked it   H has something to undo   E what it ends as after that   k, or kp, ks in
              the index of checks, when it is looked after, until it has ended (check_store.py)
              J number of its journal, j who began that, when, and events taken
              K code, "label@Lambda version"   p stays on it   B how often it was paused, negative when it
              goes on   a what it is a rerun of   R its reruns   C what its event carried
    log       o order   d dispatched
    failure   n attempts   j outcomes seen   e error   w wakes at
    event     ep, es key in the index of events   n name   t time   a seen   f functions, c those of them that
              collect   v, V event, the key of its object
    pools     p the numbers of those that are done
    lanes     see lanes.py

Times are epoch milliseconds unless it says otherwise. Unknown attributes are ignored: a newer release's.
"""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import TYPE_CHECKING

from ..engine.code import Code
from ..engine.journal import (
    Claim,
    Failure,
    FanPlan,
    Kind,
    LogEntry,
    Partition,
    Payload,
    Record,
    State,
    Undoable,
    WaitPlan,
)
from ..errors import ErrorInfo
from ..parsing import read_json
from ..store import StoredEvent
from . import keys
from .attributes import (
    error_json,
    from_json,
    integer,
    names_damage,
    needed_payload,
    number,
    put_payload,
    read_author,
    read_error,
    read_payload,
    read_text,
    read_texts,
    text,
    texts,
    to_json,
)
from .table import EVENT_SHARDS, events_partition, index_sort, shard_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

    from .attributes import Item


A_WAIT = 160
"""About the bytes of an item of something that is waited for, when it is over."""


# Records. Unless it says otherwise, one has failed if it has an error and else completed; and a final one was
# over at the first attempt, while one that is not has no failed attempt yet.


def record_item(run_id: str, record: Record, expiry: int) -> Item:
    pk, sk = keys.record(run_id, record.path)
    item: Item = {
        "pk": text(pk),
        "sk": text(sk),
        "k": text(record.kind.value),
        "m": text(str(record.author)),
        "b": number(record.began),
        "x": number(expiry),
    }
    if sk[0] == keys.HASHED_RECORD:
        item["u"] = text(record.path)
    if record.ended is not None:
        item["t"] = number(record.ended)
    if record.state is not _evident_state(record.error):
        item["s"] = text(record.state.value)
    if record.attempts != _evident_attempts(record.ended):
        item["n"] = number(record.attempts)
    if record.error is not None:
        item["e"] = error_json(record.error)
    if record.wake_at is not None:
        item["w"] = number(record.wake_at)
    if record.claim is not None:
        item["c"] = claim_text(record.claim)
    if record.plan is not None:
        item["q"] = _plan_json(record.plan)
    if record.waits is not None:
        item["W"] = _waits_json(record.waits)
    if record.checked:
        item["h"] = number(record.checked)
    if record.code is not None:
        item["r"] = text(str(record.code))
    if record.undo is not None:
        item["y"] = _undo_text(record.undo)
    if record.rank:
        item["g"] = number(record.rank)
    put_payload(item, record.output, "o", "O")
    return item


def outcome(output: Payload | None, error: ErrorInfo | None) -> Item:
    """The attributes of what a record ended with."""
    item: Item = {}
    put_payload(item, output, "o", "O", beside=A_WAIT)
    if error is not None:
        item["e"] = error_json(error)
    return item


@names_damage
def record(item: Item, scope: str) -> Record:
    """The record of an item that lies in the partition of `scope`."""
    ended, error, attempts = integer(item, "t"), read_error(item), integer(item, "n")
    kind = item["k"]["S"]
    if (needed := _NEEDS.get(kind, "k")) not in item:
        raise KeyError(needed)
    return Record(
        path=item["u"]["S"] if "u" in item else keys.path(scope, item["sk"]["S"]),
        kind=Kind(kind),
        state=State(item["s"]["S"]) if "s" in item else _evident_state(error),
        author=read_author(item),
        began=int(item["b"]["N"]),
        ended=ended,
        attempts=_evident_attempts(ended) if attempts is None else attempts,
        output=read_payload(item, "o", "O"),
        error=error,
        wake_at=integer(item, "w"),
        claim=_claim(item["c"]["S"]) if "c" in item else None,
        plan=_plan(item["q"]["S"]) if "q" in item else None,
        waits=_waits(item["W"]["S"]) if "W" in item else None,
        checked=integer(item, "h") or 0,
        code=Code.parse(item["r"]["S"]) if "r" in item else None,
        undo=_undo(item["y"]["S"]) if "y" in item else None,
        rank=integer(item, "g") or 0,
    )


_NEEDS = {kind.value: "q" for kind in Kind if kind.fans_out} | dict.fromkeys(
    (Kind.WAIT_FOR_EVENT.value, Kind.WAIT_FOR_SIGNAL.value, Kind.WAIT_FOR_CALLBACK.value, Kind.INVOKE.value),
    "W",
)
"""What the items of some kinds have to have."""


def _evident_state(error: ErrorInfo | None) -> State:
    return State.FAILED if error else State.COMPLETED


def _evident_attempts(ended: int | None) -> int:
    return 0 if ended is None else 1


def claim_text(claim: Claim) -> AttributeValueTypeDef:
    return {"S": f"{claim.attempt}:{claim.deadline}:{claim.tag}"}


def _claim(kept: str) -> Claim:
    attempt, deadline, tag = kept.split(":", 2)
    return Claim(int(attempt), int(deadline), tag)


def _undo_text(undo: Undoable) -> AttributeValueTypeDef:
    flags = {"if_unknown": undo.if_unknown, "unknown": undo.unknown}
    return {"S": " ".join(["undo", *(name for name, on in flags.items() if on)])}


def _undo(kept: str) -> Undoable:
    flags = kept.split()
    return Undoable(if_unknown="if_unknown" in flags, unknown="unknown" in flags)


def _plan_json(plan: FanPlan) -> AttributeValueTypeDef:
    kept: dict[str, object] = {"lanes": plan.lanes}
    if plan.keys == _counted(len(plan.keys)):
        kept["count"] = len(plan.keys)  # every load of the scope reads this: ten thousand keys are 70 KB
    else:
        kept["keys"] = plan.keys
    if plan.tolerant:
        kept["tolerant"] = True
    if plan.fingerprint:
        kept["fingerprint"] = plan.fingerprint
    return to_json(kept)


def _plan(text: str) -> FanPlan:
    kept = json.loads(text)
    branches = tuple(kept["keys"]) if "keys" in kept else _counted(kept["count"])
    return FanPlan(branches, kept["lanes"], kept.get("fingerprint", ""), kept.get("tolerant", False))


def _waits_json(waits: WaitPlan) -> AttributeValueTypeDef:
    kept = asdict(waits)
    return to_json({name: value for name, value in kept.items() if value not in ("", 0, False, ())})


def _waits(text: str) -> WaitPlan:
    kept = json.loads(text)
    known = {field.name for field in fields(WaitPlan)}
    given = {name: value for name, value in kept.items() if name in known}
    return WaitPlan(**{**given, "names": tuple(kept.get("names", ())), "taken": tuple(kept.get("taken", ()))})


def _counted(count: int) -> tuple[str, ...]:
    return tuple(map(str, range(count)))


# Log entries and failures


def log_item(run_id: str, scope: str, entry: LogEntry, expiry: int) -> Item:
    item: Item = {
        "pk": text(keys.scope(run_id, scope)),
        "sk": text(keys.log(entry.position)),
        "m": text(str(entry.author)),
        "b": number(entry.time),
        "x": number(expiry),
    }
    if entry.order:
        item["o"] = to_json(entry.order)
    if entry.lines:
        item["l"] = to_json(entry.lines)
    if entry.dispatched:
        item["d"] = to_json(list(entry.dispatched))
    return item


@names_damage
def log_entry(item: Item) -> LogEntry:
    return LogEntry(
        position=int(item["sk"]["S"][len(keys.LOG) :]),
        author=read_author(item),
        time=int(item["b"]["N"]),
        order=from_json(item, "o", {}),
        dispatched=tuple(from_json(item, "d", ())),
        lines=from_json(item, "l", {}),
    )


def failure_item(run_id: str, failure: Failure, expiry: int) -> Item:
    return {
        "pk": text(keys.scope(run_id, "")),
        "sk": text(keys.FAILURE),
        "n": number(failure.attempts),
        "j": number(failure.seen),
        "e": error_json(failure.error),
        "w": number(failure.wake_at),
        "m": text(str(failure.author)),
        "x": number(expiry),
    }


@names_damage
def failure(item: Item) -> Failure:
    return Failure(
        attempts=int(item["n"]["N"]),
        seen=int(item["j"]["N"]),
        error=read_json(ErrorInfo, item["e"]["S"]),
        wake_at=int(item["w"]["N"]),
        author=read_author(item),
    )


def partition(items: Iterable[Item], scope: str) -> Partition:
    """What a scope's items hold. Lanes are not for the journal, nor what a newer release put beside them."""
    found = Partition(scope)
    for item in items:
        sort = item["sk"]["S"]
        if sort[0] in (keys.RECORD, keys.HASHED_RECORD):
            read = record(item, scope)
            found.records[read.path] = read
        elif sort.startswith(keys.LOG):
            found.log.append(log_entry(item))
        elif sort == keys.FAILURE:
            found.failure = failure(item)
    return found


# Events


def event_item(event: StoredEvent, expiry: int) -> Item:
    item: Item = {
        "pk": text(keys.event(event.id)),
        "sk": text(keys.EVENT),
        "n": text(event.name),
        "t": number(event.time),
        "a": number(event.seen),
        "f": texts(event.functions),
        "ep": text(events_partition(event.name, shard_of(event.id, EVENT_SHARDS))),
        "es": text(index_sort(event.seen, event.id)),
        "m": text(str(event.author)),
        "x": number(expiry),
    }
    if keys.event_id(item["pk"]["S"]) != event.id:
        item["u"] = text(event.id)
    if event.collected:
        item["c"] = texts(event.collected)
    put_payload(item, event.payload, "v", "V")
    return item


@names_damage
def event(item: Item) -> StoredEvent:
    return StoredEvent(
        id=read_text(item, "u", keys.event_id(item["pk"]["S"])),
        name=item["n"]["S"],
        time=int(item["t"]["N"]),
        seen=int(item["a"]["N"]),
        payload=needed_payload(item, "v", "V"),
        functions=read_texts(item, "f"),
        author=read_author(item),
        collected=read_texts(item, "c"),
    )


def event_id(item: Item) -> str:
    """The id of an event that an index lists."""
    return read_text(item, "u", keys.event_id(item["pk"]["S"]))
