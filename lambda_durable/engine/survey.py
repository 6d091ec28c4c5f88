"""A survey: a replay that begins nothing, to see which steps the code calls.

What undoes a step is in the code alone. A survey comes to all that has begun in the scopes that it is to enter,
finished ones included: their outcomes are held back until their code was run once more, as far as the journal
leads it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from . import paths
from .asynchronous import AsyncReplay
from .interrupts import Blocked, Suspend
from .journal import Kind, Partition, Payload, Record, State
from .loaded import Journal
from .operations import FanOut, Group, Operation, Undo
from .replay import Replay
from .scope import Scope
from .sync import SyncReplay

Decode = Callable[[str], Any]


@dataclass(slots=True)
class Surveyor:
    """The driver of a survey of the scopes that are `inside`."""

    journal: Journal
    inside: Collection[str]
    now: Callable[[], int]
    read: Callable[[Payload], str]
    _held_back: dict[str, Record] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        journal: Journal,
        targets: Sequence[str],
        *,
        now: Callable[[], int],
        read: Callable[[Payload], str],
    ) -> Surveyor:
        """One that comes to `targets`, whose scopes and all around them the journal has."""
        inside = {path for target in targets for path in paths.enclosing(target)}
        surveyor = cls(Journal(map(_without_gaps, journal.partitions.values())), inside, now, read)
        for path in inside:
            surveyor._hold_back(path)
        return surveyor

    def advance(self, replay: Replay) -> None:
        if replay.pump() or self.enter(replay) or self._leave(replay):
            return
        raise Suspend

    def finish(self, op: Group | FanOut, result: Any, error: Exception | None) -> None:  # noqa: ARG002
        self._give_out(op.path)

    def is_known(self, scope: str) -> bool:
        partition = self.journal.partitions.get(scope)
        return partition is not None and bool(partition.records)

    def enter(self, replay: Replay) -> bool:
        """Enter what is to be entered. Whether there was something."""
        ops = [op for op in replay.open() if isinstance(op, Group | FanOut) and op.path in self.inside]
        for op in ops:
            replay.enter(op)
        return bool(ops)

    def _leave(self, replay: Replay) -> bool:
        """The code can't go on: the innermost of what has an outcome is left with that."""
        stuck = [path for path in self._held_back if path in replay.entered]
        if stuck:
            self._give_out(max(stuck, key=len))
        return bool(stuck)

    def _hold_back(self, path: str) -> None:
        record = self.journal.find(path)
        if record is None or not record.final or record.kind is Kind.MAP or record.waits is not None:
            return  # a map's items are steps: to know the map is to know them; so is what submits a callback
        self._held_back[path] = record
        self.journal.put(replace(record, state=State.RUNNING, ended=None, output=None, error=None))

    def _give_out(self, path: str) -> None:
        if path in self._held_back:
            self.journal.put(self._held_back.pop(path))


class _Survey(Replay):
    """What surveys of sync and async handlers share."""

    driver: Surveyor

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self._over: set[str] = set()  # whose code was run to its end, and whose outcome nobody has written

    def has_begun(self, branch: str) -> bool:
        return branch in self.driver.inside or super().has_begun(branch)

    def _pump(self, op: FanOut, changed: Sequence[str]) -> bool:
        if op.path in self._over or not super()._pump(op, changed):
            return False
        if op.ended_at() is None:
            self._over.add(op.path)
        return op.ended_at() is not None

    def not_there(self, op: Operation) -> None:
        """It has an outcome, which is held back."""

    def find(self, path: str) -> tuple[Undo, Decode] | None:
        """How the step at a path is undone, and how its result is read. None if the code did not call it, or gave
        it no undo."""
        op = self.undoable.get(path)
        if op is not None and op.undo is not None:
            return op.undo, op.decode
        whole = self.undoable.get(paths.parent(path)) if paths.is_branch(path) else None
        if isinstance(whole, FanOut) and whole.undo is not None:
            codec = whole.branch_codec(paths.branch_key(path))
            return (whole.undo, codec.decode) if codec is not None else None
        return None


class SyncSurvey(_Survey, SyncReplay):
    """Surveys a `def` handler."""

    def _go_on(self, ops: Sequence[Operation]) -> None:
        super()._go_on(ops)
        if self._left(ops):
            self.interrupt = Blocked(ops)
            raise self.interrupt

    def _run_group(self, op: Group) -> None:
        if op.path in self._over:
            self._go_on([op])
            return
        try:
            super()._run_group(op)
        except Blocked:
            if op.ended_at() is None:
                raise
            self.interrupt = None
        if op.ended_at() is None:
            self._over.add(op.path)

    def _take_changed(self, op: FanOut) -> Sequence[Group]:
        return [branch for branch in op.branches.values() if isinstance(branch, Group)]

    def _goes_on(self, op: Operation) -> bool:
        return op.ended_at() is not None or op.path in self.entered

    def _can_go_on(self, branch: Group) -> bool:
        if branch.path in self._over or branch.ended_at() is not None:
            return False
        return super()._can_go_on(branch) or self._left(self._waits[branch.path])

    def _left(self, ops: Sequence[Operation]) -> bool:
        """Whether what the code waits for lies in a group that was left."""
        return any(self.cut_off(op.scope) for op in ops)


class AsyncSurvey(_Survey, AsyncReplay):
    """Surveys an `async def` handler. What is inside a group goes first: what is outside may abandon it."""

    def _deliver_next(self) -> bool:
        self.pump()
        self.driver.enter(self)
        return self._start_groups() or super()._deliver_next()

    def _in_turn(self) -> Iterable[Scope]:
        return sorted(
            map(self.scopes.__getitem__, self._changed), key=lambda scope: len(scope.path), reverse=True
        )


def _without_gaps(partition: Partition) -> Partition:
    """A copy, without what was cancelled: the code has never seen that end."""
    records = {
        path: record for path, record in partition.records.items() if record.state is not State.CANCELLED
    }
    return Partition(partition.scope, records, list(partition.log))
