"""Pauses that are over, of which something is still held back."""

from __future__ import annotations

from collections.abc import Iterator

from ..findings import Finding, Level
from ..pauses import Hold
from ..ports import Outgoing, World
from ..runtime.backlogs import MOST_HELD
from ..runtime.messages import Resume


def held_back(world: World, *, fix: bool) -> Iterator[Finding]:
    """What a function's pause has left, since the message is lost that was to bring it back. The repair sends it anew.
    A run's own is brought on by a check, as any run is."""
    over = {id: pause.number for id, pause in world.store.pauses(latest=True).items() if pause.over}
    first = {id: _first(world, id, number) for id, number in over.items()}
    for id, number in over.items():
        if first[id] is None or _first(world, id, number) != first[id]:
            continue  # nothing is held, or it is being brought back
        held = world.store.held(id, most=MOST_HELD)
        if fix:
            world.queue.send([Outgoing(Resume(function=id, number=number).body())])
        yield Finding(
            level=Level.STUCK,
            kind="held-back",
            subject=f"function {id!r}",
            why=f"its pause is over, and {held.events:,} events and {held.messages:,} messages of its runs are held "
            "back still: the message is lost that was to bring them back, or has just been sent",
            way_out="" if fix else "--fix brings them back",
            done="sent what brings them back" if fix else "",
        )


def _first(world: World, function_id: str, number: int) -> tuple[Hold, str] | None:
    hold = Hold(number=number, function=function_id)
    return next(((since, key) for since, key, _ in world.store.parked(hold)), None)
