"""Holders: whole runs that have a slot of a gate, and whether they are still at work.

A run gives its slots back as part of what follows its end, and its message does that again until it is done. Should
that message be lost all the same (somebody purged the queue, or deleted a dead letter), it would have them for ever. So
who would be dropped because of a holder, and who looks after a line, looks at the holders' headers.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..engine.gates import Gate
from ..engine.journal import Header
from ..errors import DamagedItemError, MiddlewareError
from ..ports import World


def departed(world: World, name: str, gate: Gate) -> Iterator[tuple[str, Header | None]]:
    """Who of those inside a gate, as it was read before, gives no slot back any more, and their headers: runs that have
    ended, or are gone, and those whose id another run has by now. A lease ends by itself. Lazy."""
    for run, until in gate.inside.items():
        if until:
            continue
        try:
            header = world.store.get_header(run)
        except (DamagedItemError, MiddlewareError):  # for a person to see to: it may be at work
            continue
        if header is None or header.status.ended or not _has(header, name):
            yield run, header


def free(world: World, name: str, gate: Gate) -> bool:
    """Take the slots of a gate from who gives none back. Whether there were any."""
    gone = list(departed(world, name, gate))
    freed = sum(world.store.release(name, run, header) for run, header in gone)
    if freed == len(gate.inside) > 0:
        world.store.remove_gate(name)
    return freed > 0


def _has(header: Header, name: str) -> bool:
    return header.queueing is not None and name in header.queueing.inside
