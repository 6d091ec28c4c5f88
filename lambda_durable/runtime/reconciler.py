"""The reconciler: finds runs that nothing may be driving any more, and has them looked after.

Every run that has not ended says in its header when to look at it (`check_at`), and a sparse index lists them
by it. What is past is sent a *check*: a forced message that looks for itself whether the run is alive, and
brings back what is not (worker.py). So a lost message, a deleted schedule or a purged queue costs minutes,
never a run.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from ..durations import to_millis
from ..metrics import RUNS_OVERDUE
from ..ports import Outgoing, World
from .checks import INTERVAL
from .messages import Continuation

MOST = 2_000
"""Runs that one call has looked after; the next call takes the rest."""

BUSY = 1_000
"""Messages in the queue from which on runs are late because it is long, not because they were lost: to send
them another message each would make it longer, and run steps twice that were only waiting."""


def reconcile(world: World) -> int:
    """Send a check to every run that is overdue; how many there were."""
    if world.queue.backlog() > BUSY:
        return 0
    found = overdue(world)
    if found:
        world.metrics.add(RUNS_OVERDUE, len(found))
    look_after(world, found)
    return len(found)


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
