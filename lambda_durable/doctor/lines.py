"""Lines at limits that nothing brings on: behind a slot or a place of nobody, or with a wake that was lost."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from ..durations import from_millis, to_millis
from ..engine.gates import Limit, Line, Place
from ..engine.journal import Header
from ..engine.journal_ids import run_of
from ..findings import Finding, Level
from ..ports import World
from ..runtime.holders import departed
from ..runtime.lines import AT_ONCE, wake
from .diagnosis import LATE, UNREADABLE, spell_late

MOST = 1_000
"""Lines that are looked at unless it is to be a deep look: those at which somebody has waited first."""

MOST_ROUNDS = 100


def lines(world: World, *, fix: bool, deep: bool) -> Iterator[Finding]:
    """What keeps who waits at a limit from going on. The repair takes away what is of nobody, and wakes who is next."""
    paused = {id for id, pause in world.store.pauses(latest=True).items() if not pause.over}
    found = world.store.lines()
    late: list[tuple[Limit, Place]] = []
    for limit in [each.limit for each in (found if deep else islice(found, MOST))]:
        line = world.store.line(limit.gate, AT_ONCE)
        for _ in range(MOST_ROUNDS if fix else 1):
            nobodys = [*_slots(world, limit, line, fix=fix), *_places(world, limit, line, fix=fix)]
            yield from nobodys
            if not nobodys:
                break
            line = world.store.line(limit.gate, AT_ONCE)
            if fix:
                wake(world, line.heads)
        if not nobodys and limit.function not in paused and _late(world, limit, line) is not None:
            late.append((limit, line.heads[0].place))
    for limit, head in late:  # who was about to be woken has gone on by now
        line = world.store.line(limit.gate, AT_ONCE)
        since = _late(world, limit, line)
        if since is not None and line.heads[0].place == head:
            if fix:
                wake(world, line.heads)
            yield _finding(
                "wake-lost",
                f"the line of {_named(limit)}",
                f"{line.gate.waiting:,} wait there, first run {head.run}, which could have gone on for "
                f"{spell_late(_now(world) - since)}: the message is lost that was to wake it",
                "--fix wakes it",
                "woke who is first in it" if fix else "",
            )


def _slots(world: World, limit: Limit, line: Line, *, fix: bool) -> Iterator[Finding]:
    now = _now(world)
    for run, header in departed(world, limit.gate, line.gate):
        if header is not None and header.ended is not None and header.ended + LATE > now:
            continue  # it is about to be given back
        done = fix and world.store.release(limit.gate, run, header)
        yield _finding(
            "slot-of-nobody",
            f"run {run} at {_named(limit)}",
            f"{_over(header)}, and has a slot still, of {len(line.gate.inside)} that are taken; "
            f"{line.gate.waiting:,} wait for one",
            "--fix frees it, and wakes who is next",
            "freed it, and woke who is next" if done else "",
        )


def _places(world: World, limit: Limit, line: Line, *, fix: bool) -> Iterator[Finding]:
    now = _now(world)
    for place in [each.place for each in line.heads]:
        try:
            header = world.store.get_header(run_of(place.run))
        except UNREADABLE:  # its run's own finding says so
            continue
        if header is not None and (_waits(header, place) or (header.ended or 0) + LATE > now):
            continue
        if fix:
            world.store.quit(place)
        yield _finding(
            "place-of-nobody",
            f"run {run_of(place.run)} in the line of {_named(limit)}",
            f"{_over(header)}, and stands there still, before those behind it",
            "--fix takes it out of the line, and wakes who is next",
            "took it out of the line, and woke who is next" if fix else "",
        )


def _waits(header: Header, place: Place) -> bool:
    """Whether it may be that a run, or a step of it, waits at a place. A run's place and its header are written
    together."""
    if header.status.ended:
        return False
    return bool(place.part) or (header.queueing is not None and header.queueing.place == place)


def _late(world: World, limit: Limit, line: Line) -> int | None:
    """Since when (milliseconds) the head of a line should have gone on, if that is long ago."""
    if not line.heads:
        return None
    gate, head = line.gate, line.heads[0]
    if gate.slots:  # leases: as long as somebody waits, a message is on its way
        since = gate.wake or head.place.order
    elif limit.interval:
        since = gate.due
    elif len(gate.inside) < limit.slots:
        since = max(head.woken, head.place.order)
    else:
        return None
    return since if since + LATE < _now(world) else None


def _over(header: Header | None) -> str:
    if header is None:
        return "it is gone: its state has expired, or was deleted"
    if header.ended is None:
        return "it has not come that way: a run before it had its id"
    return f"it has {header.status} at {from_millis(header.ended):%Y-%m-%d %H:%M:%S} UTC"


def _named(limit: Limit) -> str:
    """A limit as people know it."""
    kind, _, rest = limit.gate.partition("/")
    what = f"concurrency of {rest.partition('/')[0]}" if kind == "concurrency" else kind
    whose = f"of function {limit.function!r}" if limit.function else "of the app"
    if limit.label is None:
        return f"the {what} {whose}"
    return f"the {what} {whose}, " + (f"key {limit.label}" if limit.label else "for events without the key")


def _finding(kind: str, subject: str, why: str, way_out: str, done: str) -> Finding:
    out = "" if done else way_out
    return Finding(level=Level.STUCK, kind=kind, subject=subject, why=why, way_out=out, done=done)


def _now(world: World) -> int:
    return to_millis(world.clock.now())
