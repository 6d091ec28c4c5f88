"""The journal of a run, as far as an invocation has loaded it."""

from __future__ import annotations

from collections.abc import Iterable

from . import paths
from .journal import LogEntry, Partition, Record


class Journal:
    """The partitions of a run that an invocation has loaded. `changed` are the paths of what was put there, or handed
    out, since its replay looked at that."""

    def __init__(self, partitions: Iterable[Partition] = ()) -> None:
        self.partitions: dict[str, Partition] = {}
        self.order: dict[str, list[str]] = {}
        self.dispatched: dict[str, LogEntry] = {}
        self.lines: dict[str, int] = {}
        self.changed: dict[str, None] = {}
        self._around_dispatched: set[str] = set()
        for partition in partitions:
            self.add(partition)

    def add(self, partition: Partition) -> None:
        self.partitions[partition.scope] = partition
        for entry in partition.log:
            self.note(entry)

    def find(self, path: str) -> Record | None:
        """The record at a path, if its scope is loaded and holds one."""
        partition = self.partitions.get(paths.parent(path))
        return partition.records.get(path) if partition is not None else None

    def put(self, record: Record) -> None:
        """Take a record in that was written."""
        scope = paths.parent(record.path)
        partition = self.partitions.get(scope)
        if partition is None:
            partition = self.partitions[scope] = Partition(scope)
        partition.records[record.path] = record
        self.changed[record.path] = None

    def note(self, entry: LogEntry) -> None:
        """Take a log entry into account."""
        for scope, seen in entry.order.items():
            self.order.setdefault(scope, []).extend(seen)
        for path in entry.dispatched:
            self.dispatched[path] = entry
            self.changed[path] = None
            self._around_dispatched.update(paths.enclosing(path))
        for scope, count in entry.lines.items():
            self.lines[scope] = max(self.lines.get(scope, 0), count)

    def hands_out(self, path: str) -> bool:
        """Whether a step was handed out to a message of its own, or something that lies in it."""
        return path in self.dispatched or path in self._around_dispatched
