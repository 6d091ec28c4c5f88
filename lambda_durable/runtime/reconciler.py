"""The reconciler: finds runs that nothing may be driving any more, and has them looked after.

Every run that has not ended says in its header when to look at it (`check_at`), and indexes list them by it. What
is past is sent a *check*: a forced message that looks for itself whether the run is alive, and
brings back what is not (worker.py). So a lost message, a deleted schedule or a purged queue costs minutes,
never a run.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import islice

from ..durations import to_millis
from ..metrics import RUNS_OVERDUE
from ..ports import Outgoing, World
from .checks import INTERVAL
from .messages import Continuation

FUNCTIONS = 10
"""Functions of which one call looks for runs that nobody has looked after yet; the next call takes others. Each is as
many queries as its index has shards."""

MOST = 2_000
"""Runs that one call has looked after that were not before, and runs that were; the next call takes the rest."""

UNSEEN = 5 * 60 * 1000
"""Milliseconds, beside `INTERVAL`, after which a run that began is in the index of runs: its header is written as late
as its invocation may take (Lambda: 15 minutes) after the time that it bears, and an index is seconds behind."""

BUSY = 1_000
"""Messages in the queue from which on runs are late because it is long, not because they were lost: to send
them another message each would make it longer, and run steps twice that were only waiting."""


def reconcile(world: World, functions: Iterable[str], until: float = math.inf) -> int:
    """Send a check to every run that is overdue; how many there were. `functions` are those of the app. Begins no other
    look after `until` (monotonic), for much may have begun since the last one: the next call goes on from there."""
    if world.queue.backlog() > BUSY:
        return 0
    now = to_millis(world.clock.now())
    came: dict[str, int] = {}
    number = 0
    for function_id, since in world.store.longest_not_looked_after(FUNCTIONS):
        while since <= now - INTERVAL and number < MOST and (not came or world.clock.monotonic() < until):
            found, further = world.store.not_looked_after(function_id, since, now - INTERVAL)
            some = found[: MOST - number]
            look_after(world, some)
            number += len(some)
            since = further if some == found else min(further, found[len(some)][1] - INTERVAL)
            came[function_id] = min(since, now - INTERVAL - UNSEEN)
    world.store.looked_after(came, known=functions)
    again = list(islice(world.store.due_again(now), MOST))
    look_after(world, again)
    if number or again:
        world.metrics.add(RUNS_OVERDUE, number + len(again))
    return number + len(again)


def overdue(world: World) -> list[tuple[str, int]]:
    """Runs that are to be looked after, and since when."""
    return list(islice(world.store.overdue(to_millis(world.clock.now())), MOST))


def look_after(world: World, found: Sequence[tuple[str, int]]) -> None:
    """Send a check to runs, and put the next one off; again where a call died in between."""
    later = to_millis(world.clock.now()) + INTERVAL
    for start in range(0, len(found), 10):
        some = found[start : start + 10]
        world.queue.send([Outgoing(check(run)) for run, _ in some])
        for run, check_at in some:
            world.store.move_check(run, later, seen=check_at)


def check(run: str) -> str:
    """The body of the message that looks after a run."""
    return Continuation(run=run, forced=True, check=True).body()
