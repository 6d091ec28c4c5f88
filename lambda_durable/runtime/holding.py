"""Holding: messages are kept as long as a pause lasts.

So that none is kept after all were brought back, who keeps one looks afterwards whether the pause lasts; and who
resumes writes that it is over before it lists what is kept. One of the two sees the other, or both do, and then the
message comes twice.
"""

from __future__ import annotations

from ..pauses import Hold, Pause
from ..ports import World

CONTINUATION = "c"
EVENT = "e"
"""What is kept of runs is brought back before the events that are to become runs."""


def paused(world: World, function_id: str) -> Pause | None:
    """The pause that a function is in, as far as this process knows."""
    return world.pauses.of(world.store, world.clock.now(), function_id)


def keep(world: World, hold: Hold, key: str, body: str) -> bool:
    """Keep a message, if the pause lasts. Whether it does."""
    world.store.park(hold, key, body)
    if _lasts(world, hold):
        return True
    world.store.unpark(hold, key)
    return False


def _lasts(world: World, hold: Hold) -> bool:
    if hold.run:
        header = world.store.get_header(hold.run)
        return header is not None and header.paused and header.pauses == hold.number
    known = world.store.pauses(latest=True)
    world.pauses.learn(known, world.clock.now())
    pause = known.get(hold.function)
    return pause is not None and not pause.over and pause.number == hold.number


def forget(world: World, hold: Hold) -> None:
    """Keep nothing any more."""
    for since, key, _ in world.store.parked(hold):
        world.store.unpark(since, key)
