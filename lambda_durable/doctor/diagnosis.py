"""Why a run that has not ended stands where it stands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from ..durations import from_millis, to_millis
from ..engine import paths
from ..engine.journal import Header, Kind, Payload, Record, RunStatus, State
from ..errors import DamagedItemError, MiddlewareError
from ..ports import World
from ..runtime import resolution
from ..runtime.scopes import partitions
from ..runtime.wakes import SKEW

LATE = 15 * 60 * 1000
"""Milliseconds after which what is due surely should have come: a deployed app looks for it every five minutes, and
a message whose Lambda died comes back within one more than its timeout."""

UNREADABLE = (DamagedItemError, MiddlewareError)
"""What is raised by a run that can't be read back. It is told of as one, and hides no other."""

IsGone = Callable[[str], bool]
"""Whether a version of the worker was deleted."""


@dataclass(frozen=True, slots=True)
class Reason:
    """What holds a run up, or what it waits for. `late` is since when it should have gone on (milliseconds; None
    while all is in time), and `child` the run that has ended and did not tell the step at `record`."""

    kind: str
    why: str
    late: int | None = None
    hopeless: bool = False
    child: Header | None = None
    record: Record | None = None


def reasons(world: World, header: Header, is_gone: IsGone) -> list[Reason]:
    """What is known of why a run has not ended; what should have gone on the longest ago comes first."""
    found = list(_reasons(world, header, is_gone))
    return sorted(found, key=lambda each: (not each.hopeless, each.late is None, each.late or 0))


def _reasons(world: World, header: Header, is_gone: IsGone) -> Iterator[Reason]:
    now = to_millis(world.clock.now())
    if header.pinned and header.code.release and is_gone(header.code.release):
        yield Reason(
            "version-gone",
            f"it is pinned to Lambda version {header.code.release}, which was deleted: it fails when it goes on",
            hopeless=True,
        )
    if not is_there(world, header.event):
        yield Reason("payload-gone", f"its event lay in S3 as {header.event.key}, and is gone", hopeless=True)
    if header.status in (RunStatus.CANCELLING, RunStatus.COMPENSATING):
        yield Reason(header.status.value, f"it is {header.status}", header.check_at)
    if header.starts is not None and header.starts > now:
        yield Reason("starts-later", f"it starts at {_time(header.starts)}")
    if (
        header.status is RunStatus.QUEUED
        and header.queueing is not None
        and header.queueing.place is not None
    ):
        place = header.queueing.place
        if world.store.place(place) is None:
            why = f"it is to wait in the line of {place.gate}, and is not there"
            yield Reason("place-lost", why, _late(header.created, now))
        else:
            yield Reason("queued", f"it waits in the line of {place.gate}")
    for partition in partitions(world, header.journal_id):
        failure = partition.failure
        if failure is not None and failure.seen == partition.outcomes(now):
            yield Reason(
                "handler-failed",
                f"its own code failed, attempt {failure.attempts}: {failure.error.type}; the next is due at "
                f"{_time(failure.wake_at)}",
                _late(failure.wake_at, now),
            )
        for record in partition.records.values():
            if record.output is not None and not is_there(world, record.output):
                yield Reason(
                    "payload-gone",
                    f"the output of step {_name(record)} lay in S3 as {record.output.key}, and is gone",
                    hopeless=True,
                )
            if not record.final:
                yield from _pending(world, record, now)


def _pending(world: World, record: Record, now: int) -> Iterator[Reason]:
    name, late = _name(record), _late(record.wake_at, now)
    if record.claim is not None and record.state is State.RUNNING:
        gone = record.claim.deadline + SKEW
        if gone < now:
            yield Reason(
                "attempt-died",
                f"attempt {record.claim.attempt} of step {name} said nothing, and its Lambda was gone by "
                f"{_time(record.claim.deadline)}",
                _late(gone, now),
            )
        else:
            yield Reason("at-work", f"attempt {record.claim.attempt} of step {name} is at work")
    elif record.state is State.RETRYING:
        failed = f": {record.error.type}" if record.error is not None else ""
        yield Reason("retries", f"step {name} has its next attempt at {_time(record.wake_at)}{failed}", late)
    elif record.kind is Kind.SLEEP:
        yield Reason("sleeps", f"step {name} sleeps until {_time(record.wake_at)}", late)
    elif record.kind is Kind.INVOKE:
        yield _invoked(world, record, now)
    elif record.waits is not None:
        since = f"since {_time(record.began)}"
        until = f", until {_time(record.wake_at)}" if record.wake_at is not None else ", without a time-out"
        what = record.kind.value.removeprefix("wait_for_")
        named = (
            "" if record.kind is Kind.WAIT_FOR_CALLBACK else " " + ", ".join(map(repr, record.waits.names))
        )
        yield Reason("waits", f"step {name} waits for the {what}{named} {since}{until}", late)


def _invoked(world: World, record: Record, now: int) -> Reason:
    assert record.waits is not None
    run, what = record.waits.names[0], f"step {_name(record)} waits for run {record.waits.names[0]}"
    child = world.store.get_header(run)
    if child is None:
        return Reason("invoked-never-began", f"{what}, which has not begun", _late(record.began, now))
    if not child.status.ended:
        return Reason("waits", f"{what} of function {child.function_id!r}, which is {child.status}")
    why = f"{what}, which has {child.status} at {_time(child.ended)} and did not tell it"
    return Reason("end-untold", why, _late(child.ended, now), child=child, record=record)


def still_waits(world: World, reason: Reason, journal_id: str) -> bool:
    return reason.record is not None and resolution.still_waits(
        world, journal_id, world.store.get_record(journal_id, reason.record.path)
    )


def _late(due: int | None, now: int) -> int | None:
    """`due`, if what was to come then should be there."""
    return due if due is not None and due + LATE < now else None


def is_there(world: World, payload: Payload) -> bool:
    if payload.key is None:
        return True
    try:
        world.blobs.get(payload.key)
    except KeyError:
        return False
    return True


def _name(record: Record) -> str:
    return repr(paths.shown(record.path))


def _time(millis: int | None) -> str:
    return "?" if millis is None else f"{from_millis(millis):%Y-%m-%d %H:%M:%S} UTC"


def spell_late(millis: int) -> str:
    return str(timedelta(seconds=millis // 1000))
