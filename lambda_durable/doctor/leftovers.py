"""What runs that have ended have left: waits that nobody waits in, schedules that wake nobody.

They do no harm, and go by themselves: a waiter when its event comes or its item expires, a schedule when it fires.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from ..aws.leftovers import FoundCollector, FoundSchedule, FoundWaiter
from ..durations import to_millis
from ..engine.journal import Header
from ..findings import Finding, Level
from ..ports import World
from ..runtime.messages import Continuation, PoisonError, parse
from ..runtime.resolution import A_DAY
from .collected import forgotten
from .diagnosis import LATE, UNREADABLE


class Left(Protocol):
    """Where things may be left."""

    def scanned(self) -> Iterator[FoundWaiter | FoundCollector]: ...
    def remove_waiter(self, waiter: FoundWaiter) -> None: ...
    def schedules(self) -> Iterator[FoundSchedule]: ...
    def remove_schedule(self, schedule: FoundSchedule) -> None: ...


def leftovers(world: World, left: Left, *, fix: bool) -> Iterator[Finding]:
    """What is left; the repair removes it. And, since that is found by the same look at the whole table, what was
    collected and begins no run."""
    for found in left.scanned():
        if isinstance(found, FoundCollector):
            yield from forgotten(world, found, fix=fix)
        elif (why := _why_no_wait(world, found)) is not None:
            if fix:
                left.remove_waiter(found)
            yield _finding("leftover-waiter", f"a waiter of run {found.run_id}, {found.path!r}", why, fix)
    for schedule in left.schedules():
        if (why := _why_no_wake(world, schedule)) is not None:
            if fix:
                left.remove_schedule(schedule)
            yield _finding("leftover-schedule", f"schedule {schedule.name}", why, fix)


def _finding(kind: str, subject: str, why: str, fix: bool) -> Finding:
    done, out = ("removed it", "") if fix else ("", "--fix removes it")
    return Finding(level=Level.LEFT, kind=kind, subject=subject, why=why, done=done, way_out=out)


def _why_no_wait(world: World, waiter: FoundWaiter) -> str | None:
    """Why nobody waits there any more. One whose wait has ended is needed for a day: who ended it finds the run by it,
    should it come again."""
    now = to_millis(world.clock.now())
    try:
        header = world.store.get_header(waiter.run_id)
        if header is None:
            return "there is no such run (any more)"
        if _is_over(header, now):
            return f"its run has {header.status}"
        record = world.store.get_record(waiter.run_id, waiter.path)
    except UNREADABLE:  # its run's own finding says so
        return None
    if record is not None and record.ended is not None and record.ended + A_DAY < now:
        return "its wait is over"
    return None


def _why_no_wake(world: World, schedule: FoundSchedule) -> str | None:
    """Why nobody is woken by it. One that stands for another message may have work to do after its run's end."""
    try:
        message = parse(schedule.body)
    except PoisonError:
        return None
    if not isinstance(message, Continuation) or message.stands_for is not None:
        return None
    try:
        header = world.store.get_header(message.run)
    except UNREADABLE:
        return None
    if header is None or not _is_over(header, to_millis(world.clock.now())):
        return None
    return f"it would wake run {message.run}, which has {header.status}"


def _is_over(header: Header, now: int) -> bool:
    return header.status.ended and header.ended is not None and header.ended + LATE < now
