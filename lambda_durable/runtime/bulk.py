"""Many runs at once: cancelled, or done again at a pace. Each is a call of its own, so who is interrupted calls again.

What comes of it is told run by run, as it is done.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from ..durations import to_millis
from ..engine.journal import Header, RunStatus
from ..expressions import ExpressionError, Search
from ..ports import Outgoing, World
from . import rerunning, searching
from .messages import Continuation
from .run_ids import run_id
from .wakes import LONGEST_DELAY

AT_ONCE = 10
"""Messages that are sent together. SQS: a batch has 10 at most."""


@dataclass(frozen=True, slots=True)
class Some:
    """A few runs that were looked at, the `last` of them, and the ids of those of which something came."""

    looked_at: int
    last: Header
    runs: Sequence[str]


def cancel(
    world: World,
    function_id: str,
    *,
    since: int | None,
    until: int | None,
    condition: Search | None,
    after: tuple[int, str] | None = None,
) -> Iterator[Some]:
    """Cancel the runs of a function for whose event a condition holds, a few at once; the ids of those that this
    cancelled. One for which it fails is left alone."""
    listed = world.store.runs(
        (function_id,),
        statuses=("queued", "running", "cancelling"),
        since=since,
        until=until,
        after=after,
        whole=condition is not None,
    )
    while some := list(islice(listed, AT_ONCE)):
        looked_at, last = len(some), some[-1]
        if condition is not None:
            some = [each for each in some if _holds(world, condition, each)]
        found = [(header.run_id, world.store.begin_cancel(header.run_id)) for header in some]
        alive = [(run, before) for run, before in found if before is not None and not before.status.ended]
        world.queue.send([Outgoing(Continuation(run=run, forced=True).body()) for run, _ in alive])
        first = (RunStatus.RUNNING, RunStatus.QUEUED)
        yield Some(looked_at, last, [run for run, before in alive if before.status in first])


def replay(
    world: World,
    function_id: str,
    status: str,
    *,
    since: int | None,
    until: int | None,
    per_second: float,
    name: str,
    after: tuple[int, str] | None = None,
    began: int | None = None,
    count: int = 0,
) -> Iterator[Some]:
    """Do the runs of a function again that ended like this, so many a second at most, a few at once; the ids of the new
    ones. `count` were done again since it `began` (milliseconds).

    Those follow from the runs that they repeat, and the `name` of the replay if it has one. Without, the number of the
    replay of a run stands for it: one that was done again, and goes on or ended otherwise, is left out, unless what did
    it again was skipped."""
    began = to_millis(world.clock.now()) if began is None else began
    listed = world.store.runs((function_id,), statuses=(status,), since=since, until=until, after=after)
    seen: set[str] = set()
    while some := list(islice(listed, AT_ONCE)):
        new: list[tuple[str, Outgoing]] = []
        for entry in some:
            repeated = _first(world, entry.run_id, status)
            if repeated is None or repeated.run_id in seen:
                continue
            seen.add(repeated.run_id)
            run = _named(repeated, name) if name else _next(world, repeated, status)
            if run is not None:
                at = began + round(count * 1000 / per_second)
                new.append((run, _paced(world, repeated, run, at)))
                count += 1
        world.queue.send([message for _, message in new])
        yield Some(len(some), some[-1], [run for run, _ in new])


def _holds(world: World, condition: Search, header: Header) -> bool:
    try:
        return searching.holds(world, condition, header)
    except ExpressionError:
        return False


def _first(world: World, run: str, status: str) -> Header | None:
    """The run that is to be repeated: of one that is a replay itself, that which it repeats, so that each run is done
    again once, however many of its replays are listed. None if it has not ended like this."""
    header = world.store.get_header(run)
    if header is None or header.status != status:
        return None
    if header.origin is not None and header.origin.in_bulk:
        return world.store.get_header(header.origin.run_id) or header
    return header


def _next(world: World, repeated: Header, status: str) -> str | None:
    """The id of a run's next replay; None if there is nothing left to put right."""
    if _is_put_right(world, repeated, status):
        return None
    number = 0
    while True:
        run = _named(repeated, f"#{number}")
        header = world.store.get_header(run)
        if header is None:
            return run
        if not _puts_nothing_right(header, status):
            return None
        number += 1


def _is_put_right(world: World, header: Header, status: str) -> bool:
    """Whether a run was done again, and that, or what did it again in turn, goes on or has ended otherwise."""
    reruns = (world.store.get_header(run) for run in header.reruns)
    return any(
        not _puts_nothing_right(again, status) or _is_put_right(world, again, status)
        for again in reruns
        if again is not None
    )


def _puts_nothing_right(again: Header, status: str) -> bool:
    """Whether a run that did another one again ended like that, or was skipped: by a rate limit or a pause, say."""
    return again.status in (status, RunStatus.SKIPPED)


def _named(repeated: Header, name: str) -> str:
    return run_id(repeated.created, "replay", repeated.run_id, name)


def _paced(world: World, repeated: Header, run: str, at: int) -> Outgoing:
    """The message that begins a replay at a time; what SQS can't delay for so long is put off again by the worker."""
    message = replace(rerunning.message(world, repeated, run, in_bulk=True), at=at)
    wait = math.ceil((at - to_millis(world.clock.now())) / 1000)
    return Outgoing(message.body(), min(max(wait, 0), LONGEST_DELAY))
