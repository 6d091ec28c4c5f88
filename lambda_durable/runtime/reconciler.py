"""The reconciler: finds runs that nothing may be driving any more, and has them looked after.

Every run that has not ended says in its header when to look at it (`check_at`), and indexes list them by it. What
is past is sent a *check*: a forced message that looks for itself whether the run is alive, and
brings back what is not (worker.py). So a lost message, a deleted schedule or a purged queue costs minutes,
never a run.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
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
"""Runs that one call has looked after; the next call takes the rest."""

UNSEEN = 5 * 60 * 1000
"""Milliseconds, beside `INTERVAL`, after which a run that began is in the index of runs: its header is written as late
as its invocation may take (Lambda: 15 minutes) after the time that it bears, and an index is seconds behind."""

BUSY = 1_000
"""Messages in the queue from which on runs are late because it is long, not because they were lost: to send
them another message each would make it longer, and run steps twice that were only waiting."""


def reconcile(world: World, functions: Iterable[str]) -> int:
    """Send a check to every run that is overdue; how many there were. `functions` are those of the app."""
    if world.queue.backlog() > BUSY:
        return 0
    now = to_millis(world.clock.now())
    looked_at = world.store.longest_not_looked_after(FUNCTIONS)
    found = overdue(world, looked_at)
    if found:
        world.metrics.add(RUNS_OVERDUE, len(found))
    look_after(world, found)
    until = now - INTERVAL - UNSEEN if len(found) < MOST else 0
    world.store.looked_after(looked_at, until, known=functions)
    return len(found)


def overdue(world: World, functions: Collection[str] | None = None) -> list[tuple[str, int]]:
    """Runs that are to be looked after, and since when; those that nobody has looked after yet, of some functions."""
    return list(islice(world.store.overdue(to_millis(world.clock.now()), functions), MOST))


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
