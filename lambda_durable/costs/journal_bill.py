"""What one run has cost, to the operation, as far as its journal tells.

The journal has each outcome with who wrote it, so writes, their sizes, invocations and messages follow from it. What
left nothing in it is not seen: deliveries that found nothing to do, writes that were refused, looks of people.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import accumulate
from typing import Any, NamedTuple

from ..aws.headers import header_item
from ..aws.items import log_item, record_item
from ..aws.packing import packed
from ..aws.sizes import item_size
from ..engine import paths
from ..engine.journal import Header, Kind, LogEntry, Partition, Payload, Record, RunStatus, State
from ..runtime.payloads import INLINE_EVENT, INLINE_OUTPUT
from ..runtime.wakes import LONGEST_DELAY
from ..verify.recording import Recording
from .pricing import LOOKED_UP, PRICES, Charge, bill, total

EXPIRY = 10**10
"""A time in seconds, of as many digits as any has."""

AN_EVENT = 200
"""About the bytes of an event's item beside what it brings."""

WAITERS = (Kind.WAIT_FOR_EVENT, Kind.WAIT_FOR_SIGNAL)
"""Waits that are found by an item of their own: put, and removed again."""


@dataclass(frozen=True, slots=True)
class Operation:
    """What one step has cost: writes to the table and their units, objects put in S3, schedules, events sent. `seconds`
    is how long it executed, where one attempt did it all."""

    id: str
    kind: str
    attempts: int
    writes: int
    write_units: int
    puts: int = 0
    schedules: int = 0
    events: int = 0
    seconds: float = 0.0

    @property
    def dollars(self) -> float:
        """But for the invocations that it was executed in."""
        return (
            self.write_units * PRICES["dynamodb_write_unit"]
            + self.puts * PRICES["s3_put"]
            + self.schedules * (PRICES["scheduler_invocation"] + PRICES["sqs_request"])
            + self.events * PRICES["eventbridge_custom_event"]
        )


@dataclass(frozen=True, slots=True)
class JournalBill:
    """What a run has cost: its operations in their order, and the bill of it as a whole."""

    operations: Sequence[Operation]
    charges: Sequence[Charge]
    invocations: int


class Message(NamedTuple):
    """One that went on with the run: its generation, how many scopes it had to load, and whether it wrote anything."""

    generation: int
    depth: int
    wrote: bool = True


def bill_of(recording: Recording, *, overhead: float, megabytes: int) -> JournalBill:
    """The bill of a run. `overhead`: milliseconds of an invocation beside the steps in it."""
    header = recording.header
    records = sorted(recording.records(), key=lambda record: (record.began, record.time, record.rank))
    operations = [_operation(header, record) for record in records]
    logs = sum(
        _units(item_size(log_item(header.run_id, each.scope, entry, EXPIRY)))
        for each, entry in _log(recording)
    )
    event = _size(header.event)
    text = header.event.text if event <= INLINE_OUTPUT else None
    event_units = _units(AN_EVENT + (item_size({"v": packed(text, AN_EVENT)}) if text else 0))
    units, index_units = _header_units(header)
    sent = int(header.parent is None and header.event_id != "")
    messages = _messages(recording)
    invocations = len(messages) + 1  # and the one that wrote the header
    schedules, puts = sum(each.schedules for each in operations), sum(each.puts for each in operations)
    calls = {
        "sqs:SendMessage": max(invocations - sent - schedules - _batched(records), 0),
        "s3:PutObject": puts + (event > INLINE_EVENT),
        "s3:GetObject": _gets(recording, messages),
    }
    charges = bill(
        calls,
        invocations=invocations,
        read_units=_read_units(recording, messages) + sent,
        write_units=sum(each.write_units for each in operations) + logs + units + sent * event_units,
        index_units=index_units + sent,
        events=sum(each.events for each in operations) + sent,
        schedules=schedules,
        milliseconds=sum(each.seconds for each in operations) * 1000 + invocations * overhead,
        megabytes=megabytes,
    )
    return JournalBill(operations, charges, invocations)


def as_plain(run_id: str, found: JournalBill) -> dict[str, Any]:
    """The bill of a run as JSON values."""
    return {
        "run_id": run_id,
        "invocations": found.invocations,
        "dollars": total(found.charges),
        "charges": [asdict(charge) for charge in found.charges],
        "operations": [{**asdict(each), "dollars": each.dollars} for each in found.operations],
        "prices": f"us-east-1, {LOOKED_UP}",
    }


def _operation(header: Header, record: Record) -> Operation:
    size = _units(item_size(record_item(header.journal_id, _as_kept(header, record), EXPIRY)))
    failed = max(record.attempts - (1 if record.final else 0), 0)
    begun = _begins_with_a_write(record)
    moved = record.plan.lanes and len(record.plan.keys) if record.plan is not None else 0
    others = failed + begun + moved + (2 if record.kind in WAITERS else 0)
    alone = record.final and record.attempts == 1 and not record.kind.has_scope and record.waits is None
    return Operation(
        id=paths.shown(record.path),
        kind=record.kind.value,
        attempts=record.attempts,
        writes=others + 1,
        write_units=others + size * (2 if record.kind is Kind.TRANSACT else 1),
        puts=int(record.output is not None and _size(record.output) > INLINE_OUTPUT),
        schedules=int(_sleeps(record) > LONGEST_DELAY * 1000),
        events=_sent(record),
        seconds=(record.time - record.began) / 1000 if alone else 0.0,
    )


def _begins_with_a_write(record: Record) -> int:
    """Whether something was written before its outcome: that it began, waits, or was claimed."""
    if paths.is_branch(record.path):
        return int(record.undo is not None)
    begins = record.kind.has_scope or record.waits is not None or record.undo is not None
    return int(begins and record.state not in (State.RUNNING, State.WAITING))


def _sleeps(record: Record) -> int:
    """For how long its driver was set (milliseconds)."""
    if record.kind is not Kind.SLEEP and record.waits is None and record.state is not State.RETRYING:
        return 0
    known = [record.wake_at, record.ended, record.waits.deadline if record.waits is not None else None]
    return max(time for time in known if time is not None) - record.began if any(known) else 0


def _sent(record: Record) -> int:
    if record.kind is not Kind.SEND_EVENT or record.output is None or record.output.text is None:
        return 0
    return record.output.text.count('"') // 2  # a list of ids


def _header_units(header: Header) -> tuple[int, int]:
    """Write units of the header when it was written first, and at the end; and those of its indexes."""
    event = header.event
    if _size(event) > INLINE_EVENT:
        event = Payload(key=f"{header.run_id}/{'0' * 64}")
    output = header.output
    if output is not None and _size(output) > INLINE_OUTPUT:
        output = Payload(key=f"{header.run_id}/{'0' * 64}")
    first = replace(header, event=event, output=None, error=None, ended=None, ended_by=None, unused=())
    units = _units(item_size(header_item(first, EXPIRY))) + header.undoes + len(header.labels)
    if header.ended is None:
        return units, 1
    in_line = 2 * (header.queueing is not None)  # listed as what waits, and no longer
    index_units = 2 + in_line + (header.status is not RunStatus.COMPLETED)
    last = header_item(replace(header, event=event, output=output), EXPIRY)
    return units + _units(item_size(last)), index_units


def _messages(recording: Recording) -> list[Message]:
    """The messages that went on with the run. One that left nothing (a retry that failed, a wake that came early) has
    left a gap in the generations."""
    header, found = recording.header, dict[str, Message]()
    for record in recording.records():
        author, depth = record.author, len(paths.enclosing(record.path))
        found[author.tag] = max(found.get(author.tag, Message(0, 0)), Message(author.generation, depth))
    others = [entry.author for partition in recording.partitions for entry in partition.log]
    for author in [*others, *([header.ended_by] if header.ended_by is not None else [])]:
        found.setdefault(author.tag, Message(author.generation, 0))
    found.pop(header.author.tag, None)
    seen = {each.generation for each in found.values()}
    gaps = (
        Message(number, 0, wrote=False) for number in range(1, max(seen, default=0)) if number not in seen
    )
    return [*found.values(), *gaps]


def _gets(recording: Recording, messages: Sequence[Message]) -> int:
    """How often what lies in S3 was read: by each message of a later generation than what wrote it."""
    large = [
        record.author.generation
        for record in recording.top.records.values()
        if record.output is not None and _size(record.output) > INLINE_OUTPUT
    ]
    return sum(written < generation for written in large for generation, _, wrote in messages if wrote)


def _batched(records: Sequence[Record]) -> int:
    """Requests that were saved where a fan-out handed out its lanes. SQS: a batch has ten messages."""
    lanes = [record.plan.lanes for record in records if record.plan is not None]
    return sum(count - -(-count // 10) for count in lanes)


def _log(recording: Recording) -> Iterator[tuple[Partition, LogEntry]]:
    for partition in recording.partitions:
        for entry in partition.log:
            yield partition, entry


def _read_units(recording: Recording, messages: Sequence[Message]) -> int:
    """Of loading the run in each invocation: its header, what the generations before had written at the top, and the
    scopes that it was about, by a unit each."""
    header = recording.header
    base = item_size(header_item(replace(header, output=None, ended=None), EXPIRY))
    records = sorted(recording.top.records.values(), key=lambda record: record.author.generation)
    written = [record.author.generation for record in records]
    sizes = [
        item_size(record_item(header.journal_id, _as_kept(header, record), EXPIRY)) for record in records
    ]
    sums = [0, *accumulate(sizes)]
    return sum(
        depth + -(-(base + sums[bisect_left(written, generation)]) // 4096)
        for generation, depth, _ in messages
    )


def _as_kept(header: Header, record: Record) -> Record:
    """A record as the table has it: what is too large for it lies in S3."""
    if record.output is None or _size(record.output) <= INLINE_OUTPUT:
        return record
    return replace(record, output=Payload(key=f"{header.run_id}/{'0' * 64}"))


def _size(payload: Payload) -> int:
    return len((payload.text or "").encode())


def _units(size: int) -> int:
    """DynamoDB: a write unit is 1 KB."""
    return max(1, -(-size // 1024))
