"""What keeps the state of a long run from expiring.

Items are written with an expiry of the retention and 7 days from then on, so most runs never need this. One
that is about to sleep beyond that has all that it holds stamped anew: a write for each item.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from ..durations import in_millis
from ..engine.journal import Header, Payload
from ..engine.paths import FEED, HELD, UNDO
from ..ports import World
from .scopes import partitions

MARGIN = in_millis(timedelta(days=1))
"""Milliseconds. What expires is deleted at any time after, so a run is not let come close."""


def outlive(world: World, header: Header, at: int, *, again: bool = False) -> Header:
    """If the run's state would expire before `at` (milliseconds), let it live as if it were written then.
    Returns its header as it is now. `again`: also where the header says that this is done, since an invocation that
    had loaded the run before may have written something after."""
    if header.expires is None or (at + MARGIN <= header.expires and not again):
        return header
    expires = header.expires
    _keep(world, header.event)
    if header.paused:
        world.store.extend(header.run_id, HELD, at)
    world.store.extend(header.run_id, FEED, at)
    held = list(partitions(world, header.journal_id))
    if header.ends_as is not None:
        held.append(world.store.load_scope(header.journal_id, UNDO))
    # The top level last: its header says that all is done.
    for partition in reversed(held):
        for record in partition.records.values():
            _keep(world, record.output)
        expires = world.store.extend(header.journal_id, partition.scope, at)
    return replace(header, expires=expires)


def _keep(world: World, payload: Payload | None) -> None:
    if payload is not None and payload.key is not None:
        world.blobs.extend(payload.key)
