"""Events that a function has collected, and that begin no run, since the message is lost that was to see to it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..aws.leftovers import FoundCollector
from ..durations import to_millis
from ..engine.collectors import id_of
from ..findings import Finding, Level
from ..ports import Outgoing, World
from ..runtime import limits
from ..runtime.collecting import run_of
from ..runtime.messages import Gather
from .diagnosis import LATE, UNREADABLE, spell_late

KEY = re.compile("/[0-9a-f]{32}$")
"""What follows the function's id in the name of a collector that has a key."""


def forgotten(world: World, found: FoundCollector, *, fix: bool) -> Iterator[Finding]:
    """A burst or batch that nobody goes on with. The repair is the message that was to: it goes back if it is early,
    and begins no run twice."""
    now = to_millis(world.clock.now())
    since = max(found.wake, found.opened)
    if since + LATE > now:
        return
    since = max(since, world.store.collector(found.name).opened)  # a batch that was followed by another
    batched, function = found.name.startswith(limits.BATCH), _function(found.name)
    message = Gather(function=function, collector=found.name, opened=found.opened, at=since)
    try:
        header = world.store.get_header(run_of(message))
    except UNREADABLE:  # there is a run, and its own finding says so
        return
    if since + LATE > now or (batched and (header is not None or not _has_members(world, found))):
        return
    if fix:
        world.queue.send([Outgoing(message.body())])
    done = header is not None and header.event_id == id_of(found.last)
    yield Finding(
        level=Level.LEFT if done else Level.STUCK,
        kind="collected",
        subject=f"what function {function!r} has collected in {found.name}",
        why="it has its run, and nobody wrote that it is over"
        if done
        else f"nothing goes on with it for {spell_late(now - since)}: the message is lost that was to begin its run",
        way_out="" if fix else "--fix sends that message",
        done="sent the message that goes on with it" if fix else "",
    )


def _has_members(world: World, found: FoundCollector) -> bool:
    """Whether a batch has events of which no run is known."""
    seats, members = world.store.members(found.name, found.opened)
    return seats != 0 and any(member.order for member in members.values())


def _function(name: str) -> str:
    return KEY.sub("", name.partition("/")[2])
