"""Gates: what a limit lets through, for one value of its key. Plain data and decisions, no I/O.

A gate has *slots*; or a *pace* (GCRA: it remembers when, at an even pace, the next would be due); or a *name*,
which one run has for a while. Who may not pass is dropped, or waits in the gate's line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A limit of a function, for one value of its key: which gate that is, and what it lets through.

    `drops`: the reason for which a run is skipped that may not pass; empty if it waits. With `evicts`, who comes
    cancels who is inside, or came before. People are told whose it is (`function`, empty for the whole app's), and for
    which value of the key (`label`: its beginning, as JSON; None without a key).
    """

    gate: str
    function: str = ""
    label: str | None = None
    slots: int = 0
    interval: int = 0  # milliseconds from one to the next at an even pace
    tolerance: int = 0  # milliseconds by which one may be early
    life: int = 0  # milliseconds that a run keeps the name
    drops: str = ""
    evicts: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A gate as it is. `inside`: who has a slot, and until when at most (milliseconds; 0: until it leaves), of so
    many `slots`, where those are leases. `waiting` are in its line. `due` is when the next one would be, at an even
    pace. `run` has its name, `until` then. `wake` is for when the head of the line was sent a message, by
    `woken_by`. One with leases or a pace `expires`, but not while somebody waits."""

    inside: Mapping[str, int] = field(default_factory=dict)
    slots: int = 0
    waiting: int = 0
    due: int = 0
    run: str = ""
    until: int = 0
    wake: int = 0
    woken_by: str = ""
    expires: bool = field(default=False, compare=False)


EMPTY = Gate()


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A place in a gate's line: that of a run, or of a `part` of it, by `order` (milliseconds: when the run came, less
    its head start). Of a part, the message of the newest `generation` waits there."""

    gate: str
    order: int
    run: str
    part: str = ""
    generation: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Waiting:
    """Who waits at a place: the message that goes on with it, and when it was sent last (milliseconds; 0: never)."""

    place: Place
    body: str
    woken: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    """A gate, and the first in its line."""

    gate: Gate
    heads: Sequence[Waiting]

    def ahead(self, free: int) -> Sequence[Waiting]:
        """Whose turn it is where a gate lets so many through."""
        return self.heads[:free]


@dataclass(frozen=True, slots=True, kw_only=True)
class Queueing:
    """How far a run has come on its way through the gates: it has a slot of those it is `inside`, and waits at `place`;
    `by` is the message that brought it there. Once it is `admitted` (milliseconds) it has passed all; one that was
    skipped says why, and `duplicate_of` which run."""

    inside: tuple[str, ...] = ()
    place: Place | None = None
    admitted: int | None = None
    by: str = ""
    skipped: str = ""
    duplicate_of: str = ""


def free(limit: Limit, gate: Gate, now: int) -> int:
    """How many a gate would let through now."""
    if limit.slots:
        return max(limit.slots - len(gate.inside), 0)
    if limit.interval:
        early = now - (gate.due - limit.tolerance)
        return 0 if early < 0 else early // limit.interval + 1
    return int(gate.until <= now)


def passes(limit: Limit, gate: Gate, run: str, now: int, *, in_line: bool) -> bool:
    """Whether a run may pass. One that comes lets those pass first who wait."""
    if run in gate.inside or (limit.life and gate.run == run):
        return True
    return free(limit, gate, now) > 0 and (in_line or not gate.waiting)


def first_closed(
    limits: Sequence[Limit], gates: Sequence[Gate], run: str, now: int, *, in_line: bool
) -> int | None:
    """The first of the limits that a run may not pass now; it may be in the line of the first. None: it may pass them
    all."""
    for index, (limit, gate) in enumerate(zip(limits, gates, strict=True)):
        if not passes(limit, gate, run, now, in_line=in_line and index == 0):
            return index
    return None


def next_due(limit: Limit, gate: Gate, now: int) -> int:
    """When the one after a run that passes now would be due."""
    return max(gate.due, now) + limit.interval


def expired(gate: Gate, now: int) -> list[str]:
    """Who is inside, and surely gone."""
    return [name for name, until in gate.inside.items() if 0 < until <= now]


def opens(limit: Limit, gate: Gate) -> int:
    """When (milliseconds) a gate with a pace lets the next one through."""
    return gate.due - limit.tolerance
