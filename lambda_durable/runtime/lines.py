"""Lines at gates: who is at the head is sent the message that goes on with it, when the gate may let it through.

Who leaves a gate sees to that before its own message is acknowledged. It notes whom it has woken only afterwards, so
that a crash wakes twice rather than never. Who is woken and finds that it is not its turn lets that be forgotten, and
looks once more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..durations import to_millis
from ..engine.gates import Line, Waiting
from ..parsing import read_json
from ..ports import Outgoing, World
from .messages import Continuation
from .wakes import SKEW, send_at

AT_ONCE = 10
"""How many of a line are woken at once."""

RECENT = 30_000
"""Milliseconds in which a message that was sent may still be on its way."""

SLOW = 5_000
"""Milliseconds after which whoever gets a place in a line looks whether the wake that it has seen came meanwhile."""


def wake(world: World, heads: Sequence[Waiting]) -> None:
    """Send what goes on with the heads of a line, but for those of whom somebody just has."""
    now = to_millis(world.clock.now())
    some = [each for each in heads if each.woken + RECENT <= now]
    if some:
        world.queue.send([Outgoing(each.body) for each in some])
        for each in some:
            world.store.note_wake(each.place, now)


def wake_later(
    world: World, line: Line, name: str, at: int, by: str, *, came: int | None, any_time: bool
) -> None:
    """Have the head of a line look after it at a time (milliseconds), or if it is to be done at `any_time`, at
    another that somebody sees to already. `came`: the time for which the message in hand was sent to do so. One whose
    time is near may have come, and found that nobody waited."""
    store, now, gate = world.store, to_millis(world.clock.now()), line.gate
    if gate.wake == at or (any_time and gate.wake > now + SKEW + SLOW and gate.wake != came):
        if by != gate.woken_by and came != gate.wake:
            return
        at = gate.wake  # an earlier delivery may not have sent it, or it came early
    elif not store.set_wake(name, gate, at, by):
        return  # somebody else has
    for each in line.heads[:1]:
        body = replace(read_json(Continuation, each.body), wake=at).body()
        send_at(world, body, at, now=now, name=f"{each.place.run}/{each.place.part}/{name}/{at}")
