"""What keeps the state of a long run from expiring.

Items are written with an expiry of the retention and 7 days from then on, so most runs never need this. One
that is about to sleep beyond that has all that it holds stamped anew: a write for each item.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from ..durations import in_millis
from ..engine import paths
from ..engine.journal import Header, Kind, Partition, Payload
from ..ports import World

MARGIN = in_millis(timedelta(days=1))
"""Milliseconds. What expires is deleted at any time after, so a run is not let come close."""


def outlive(world: World, header: Header, at: int) -> None:
    """If the run's state would expire before `at` (milliseconds), let it live as if it were written then."""
    if header.expires is None or at + MARGIN <= header.expires:
        return
    _keep(world, header.event)
    # The top level last: its header says that all is done.
    for partition in reversed(list(_partitions(world, header.run_id, ""))):
        for record in partition.records.values():
            _keep(world, record.output)
        world.store.extend(header.run_id, partition.scope, at)


def _partitions(world: World, run_id: str, scope: str) -> Iterator[Partition]:
    partition = world.store.load_scope(run_id, scope)
    yield partition
    for record in partition.records.values():
        if paths.is_branch(record.path) or record.kind in (Kind.RUN, Kind.SLEEP):
            continue  # a branch's own scope comes with the plan that names it
        yield from _partitions(world, run_id, record.path)
        if record.plan is not None and record.kind is not Kind.MAP:
            for key in record.plan.keys:
                yield from _partitions(world, run_id, paths.branch(record.path, key))


def _keep(world: World, payload: Payload | None) -> None:
    if payload is not None and payload.key is not None:
        world.blobs.extend(payload.key)
