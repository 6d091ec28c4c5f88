"""A recording: all that is remembered of one run, as it was when it was read, and nothing outside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ..engine import paths
from ..engine.journal import Header, Kind, Partition, Payload, Record
from ..errors import RunNotFoundError
from ..ports import Blobs, World
from ..runtime import payloads
from ..seals import PLAIN


@dataclass(frozen=True, slots=True)
class Recording:
    """A run's header, and the partitions of its present journal. Every payload is inline."""

    header: Header
    partitions: Sequence[Partition]

    @property
    def top(self) -> Partition:
        return self.partitions[0]

    @property
    def newest(self) -> int:
        """When the last thing happened that it tells of (milliseconds)."""
        times = [self.header.begun, self.header.ended or 0]
        for partition in self.partitions:
            times += (entry.time for entry in partition.log)
            times += (max(record.began, record.ended or 0) for record in partition.records.values())
        return max(times)

    def records(self) -> Iterator[Record]:
        for partition in self.partitions:
            yield from partition.records.values()


def read_recording(world: World, run_id: str) -> Recording:
    """The recording of a run in the table: one read of each item and each payload, and nothing written.

    Raises RunNotFoundError, and what a payload that is gone, or that only the app can read, raises.
    """
    loaded = world.store.load_run(run_id)
    if loaded is None:
        raise RunNotFoundError(f"there is no run {run_id!r}")
    header, top = loaded
    if header.journal_id != run_id:
        top = world.store.load_scope(header.journal_id, "")
    partitions = [top, *_inside(world, header.journal_id, top)]
    if header.ends_as is not None:
        partitions.append(world.store.load_scope(header.journal_id, paths.UNDO))
    for partition in partitions:
        for path, record in partition.records.items():
            if record.output is not None:
                partition.records[path] = replace(record, output=_inline(world.blobs, record.output))
    output = _inline(world.blobs, header.output) if header.output is not None else None
    errors = [header.error, *(each.error for partition in partitions for each in partition.records.values())]
    if top.failure is not None:
        errors.append(top.failure.error)
    for error in errors:
        if error is not None and error.sealed is not None:
            PLAIN.open(error.sealed, f"run {run_id}")  # which it can't
    header = replace(header, event=_inline(world.blobs, header.event), output=output)
    return Recording(header, partitions)


def _inside(world: World, journal_id: str, partition: Partition) -> Iterator[Partition]:
    """The partitions of all that lies in a scope, which `partition` is."""
    for record in partition.records.values():
        if paths.is_branch(record.path) or not record.kind.has_scope:
            continue  # a branch's own scope comes with the plan that names it
        inner = world.store.load_scope(journal_id, record.path)
        yield inner
        yield from _inside(world, journal_id, inner)
        if record.plan is not None and record.kind is not Kind.MAP:
            for key in record.plan.keys:
                branch = world.store.load_scope(journal_id, paths.branch(record.path, key))
                if branch.records or branch.log:
                    yield branch
                    yield from _inside(world, journal_id, branch)


def _inline(blobs: Blobs, payload: Payload) -> Payload:
    return Payload(text=payloads.read(blobs, payload))
