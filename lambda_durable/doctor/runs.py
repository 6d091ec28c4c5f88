"""Runs that nothing brings on: found by when somebody was to look after them, and looked after."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from uuid import uuid4

from ..durations import to_millis
from ..engine.journal import Header, Kind
from ..errors import DamagedItemError, MiddlewareError, RunNotFoundError
from ..event_json import is_plain
from ..findings import Finding, Level
from ..ports import Outgoing, World
from ..runtime import children, payloads
from ..runtime.messages import tag
from ..runtime.reconciler import BUSY, check, look_after
from ..runtime.resolution import SAFETY
from .diagnosis import LATE, UNREADABLE, IsGone, Reason, reasons, spell_late, still_waits

FAR = 10**14
"""A time in milliseconds that comes after all others."""

SHOWN = 3
"""Reasons that are told of one run."""


def overdue_runs(
    world: World, found: Sequence[tuple[str, int]], is_gone: IsGone, *, fix: bool
) -> Iterator[tuple[str, int, Finding]]:
    """The runs that should have been looked after by now, and since when, as the reconciler has `found` them. The
    repair is its own."""
    now = to_millis(world.clock.now())
    waiting = world.queue.backlog() if found else 0
    if fix and waiting <= BUSY:
        look_after(world, found)
    for run, since in found:
        finding = _overdue(world, run, now - since, is_gone, fix=fix)
        if finding is None:
            continue
        if waiting > BUSY:
            late = (
                f"{finding.why}; {waiting:,} messages wait in the queue, so it may just not have come to it"
            )
            finding = replace(finding, why=late, way_out="raise MaximumConcurrency, or wait")
        elif fix and finding.way_out == REDRIVE:
            finding = replace(finding, way_out="", done=_and(finding.done, "sent a check that brings it on"))
        yield run, since, finding


def every_run(world: World, is_gone: IsGone, *, fix: bool, but: Collection[str] = ()) -> Iterator[Finding]:
    """All other runs that have not ended: what they wait for, and whether it will ever come."""
    for run, _ in world.store.overdue(FAR):
        if run not in but:
            yield from one_run(world, run, is_gone, fix=fix)


def one_run(world: World, run: str, is_gone: IsGone, *, fix: bool, asked: bool = False) -> Iterator[Finding]:
    """What one run waits for. With `asked`, one that has ended is told of, too. Raises RunNotFoundError."""
    try:
        header = world.store.get_header(run)
        if header is None:
            if asked:
                raise RunNotFoundError(f"there is no run {run!r}")
            return
        if header.status.ended:
            if asked:
                failed = f": {header.error.type}" if header.error is not None else ""
                yield _about(header, Level.ENDED, "ended", f"it has {header.status}{failed}")
            return
        found = reasons(world, header, is_gone)
        if (orphan := _orphan(world, header, fix=fix)) is not None:
            yield orphan
    except UNREADABLE as error:
        yield _unreadable(run, error)
        return
    late = [reason for reason in found if reason.late is not None or reason.hopeless]
    if not late:
        kind = found[0].kind if found else "at-work"
        yield _about(header, Level.WAITS, kind, _told(found) or "something happened lately, or is about to")
        return
    finding = _stuck(world, header, late, fix=fix)
    if fix and finding.way_out == REDRIVE:
        world.queue.send([Outgoing(check(run))])
        finding = replace(finding, way_out="", done=_and(finding.done, "sent a check that brings it on"))
    yield finding


REDRIVE = "--fix sends a check that brings it on"


def _overdue(world: World, run: str, late: int, is_gone: IsGone, *, fix: bool) -> Finding | None:
    try:
        header = world.store.get_header(run)
        if header is None or header.status.ended:
            return None  # the index is a little behind
        found = reasons(world, header, is_gone)
    except UNREADABLE as error:
        return replace(_unreadable(run, error), level=Level.STUCK)
    if late <= LATE and not any(reason.hopeless for reason in found):
        why = f"it is to be looked after since {spell_late(late)}, and the worker does so every five minutes"
        return _about(header, Level.WAITS, "due", why)
    finding = _stuck(world, header, found, fix=fix)
    return replace(finding, why=f"nothing has brought it on for {spell_late(late)}: {finding.why}")


def _stuck(world: World, header: Header, found: list[Reason], *, fix: bool) -> Finding:
    first = found[0] if found else Reason("lost-message", "the message is lost that was to go on with it")
    finding = _about(header, Level.STUCK, first.kind, _told(found) or first.why)
    if first.hopeless:
        out = f"lambda-durable cancel {header.run_id}, and start its work anew"
        if first.kind == "payload-gone":
            out = f"restore the object (the bucket keeps no versions unless you say so), or {out}"
        return replace(finding, way_out=out)
    done = ""
    if fix:
        for reason in found:
            if reason.child is not None and still_waits(world, reason, header.journal_id):
                if not _is_readable(world, reason.child):
                    return replace(
                        finding, way_out="say --app, whose middleware reads how that run has ended"
                    )
                _tell(world, reason.child)
                done = _and(done, f"told it how run {reason.child.run_id} has ended")
    return replace(finding, way_out=REDRIVE, done=done)


def _is_readable(world: World, header: Header) -> bool:
    """Whether what is kept of a run is read as it is: without the app, what it has encoded is read as a text that says
    so, and nobody is to be told that."""
    return is_plain(payloads.read(world.blobs, header.event))


def _tell(world: World, child: Header) -> None:
    """What the end of a run was to do. Who does this may die in between, so a check goes first."""
    if child.parent is not None:
        world.queue.send([Outgoing(check(child.parent.run_id), SAFETY)])
        children.tell_parent(world, child, tag(f"doctor {uuid4()}"))


def _orphan(world: World, header: Header, *, fix: bool) -> Finding | None:
    """A run whose parent is over, and that was to be cancelled with it."""
    by = header.parent
    if by is None:
        return None
    parent = world.store.get_header(by.run_id)
    if parent is None or parent.runs_in(by.run_id) or not parent.status.ended:
        return None
    if parent.ended is None or parent.ended + LATE > to_millis(world.clock.now()):
        return None
    record = world.store.get_record(by.run_id, by.path)
    if record is None or record.kind is not Kind.INVOKE or record.waits is None or record.waits.leave:
        return None
    why = f"run {parent.run_id} invoked it, has {parent.status}, and was to cancel it"
    finding = _about(header, Level.STUCK, "orphan", why)
    if not fix:
        return replace(finding, way_out="--fix cancels it")
    children.cancel(world, [record])
    return replace(finding, done="cancelled it")


def _unreadable(run: str, error: DamagedItemError | MiddlewareError) -> Finding:
    """What can't be decoded here may still be by the worker, which has another role."""
    level, kind = Level.STUCK, "damaged-item"
    out = "put the attributes back as they were (a backup, point-in-time recovery), then doctor --fix"
    if isinstance(error, MiddlewareError):
        level, kind = Level.UNSEEN, "sealed-item"
        out = "give the doctor --app and its keys; what somebody else wrote, put back as it was (a backup)"
    return Finding(level=level, kind=kind, subject=f"run {run}", why=str(error), way_out=out)


def _about(header: Header, level: Level, kind: str, why: str) -> Finding:
    subject = f"run {header.run_id} of {header.function_id!r}"
    return Finding(level=level, kind=kind, subject=subject, why=why)


def _told(found: list[Reason]) -> str:
    more = f"; and {len(found) - SHOWN:,} more" if len(found) > SHOWN else ""
    return "; ".join(reason.why for reason in found[:SHOWN]) + more


def _and(one: str, other: str) -> str:
    return f"{one}, and {other}" if one else other
