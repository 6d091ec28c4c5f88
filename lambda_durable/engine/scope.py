"""A scope: the handler, a group or a branch, in which step ids are unique and outcomes have an order."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterable, Sequence
from contextvars import ContextVar
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError, DeterminismError, DuplicateStepError, NestedStepError
from ..step_info import running_step
from . import paths
from .journal import Kind, Partition, Record
from .operations import Operation, Sleep

if TYPE_CHECKING:
    import asyncio

    from .replay import Replay

current_scope: ContextVar[Scope] = ContextVar("lambda_durable.scope")
"""The scope whose code runs: an asyncio task inherits that of its creator."""


class Scope:
    """What one replay knows of a scope."""

    def __init__(self, replay: Replay, path: str, now: int) -> None:
        self.replay = replay
        self.path = path
        self.now = now
        self.random = random.Random(f"{replay.seed}/{path}")
        self.pending: dict[str, Operation] = {}
        self.changes = 0  # how often it began or ceased to wait for something
        self.came: dict[str, Operation] = {}  # of these, what has an outcome, as far as was noticed
        self.failed: set[str] = set()  # of those, what has failed
        self._arrivals: list[tuple[int, int, Operation]] = []  # by when they ended
        self._remembered: list[tuple[int, int, Operation]] = []  # by their places in the log
        self.undecided: list[str] = []
        self._counts: dict[str, int] = {}
        self._owners: dict[str, object] = {}
        self._called = 0
        self.called: set[str] = set()
        self._ranks: dict[str, int] = {}
        self._misses: dict[str, int] = {}
        self.replay.journal.partitions.setdefault(path, Partition(path))
        for rank, seen in enumerate(self.replay.journal.order.get(path, ())):
            if seen.startswith(":"):
                self._misses[seen[1:]] = self._misses.get(seen[1:], 0) + 1
            else:
                self._ranks.setdefault(seen, rank)

    def name(self, id: object, kind: Kind) -> tuple[str, int]:
        """The path of a step that is called now, and its place among the scope's calls.

        Raises the error that a bad call deserves: see API.md, 'Ids'.
        """
        if self.replay.interrupt is not None or self.replay.closed:
            self.replay.leave_handler()
        outer = running_step.get()
        if outer is not None:
            raise NestedStepError(
                f"step {id!r} was called inside step {outer.step_id!r}; call it from the handler, or make the "
                "outer one a step.group"
            )
        name = paths.check_id(id)
        task = current_task()
        owner = self._owners.setdefault(name, task)
        if owner is not task:
            raise DuplicateStepError(
                f"step id {id!r} is used by two tasks of one scope; give each task its own scope with step.group, "
                f"or its own id"
            )
        count = self._counts.get(name, 0)
        self._counts[name] = count + 1
        path = paths.join(self.path, f"{name}:{count}" if count else name)
        record = self.replay.journal.partitions[self.path].records.get(path)
        if record is not None and record.kind is not kind:
            raise DeterminismError(
                f"step {path!r} is a {kind} in the code and a {record.kind} in the journal of run "
                f"{self.replay.run_id}{self._versions(record)}; give the new step another id, deploy the old code "
                "until its runs are over, or let runs stay on the code that they began on (pin=True of the function)"
            )
        if self.replay.log is not None and (record is not None or path in self.replay.journal.dispatched):
            self.replay.log.known(self.path, recorded=record is not None)
        self._called += 1
        self.called.add(path)
        return path, self._called

    def undoable(self, op: Operation) -> None:
        """Note an operation that may have an undo."""
        if op.undo is not None:
            self.replay.undoable[op.path] = op

    def _versions(self, record: Record) -> str:
        """Which code wrote a record, and which this is, as far as is known."""
        was, now = record.code or self.replay.began_on, self.replay.code
        if was == now or not was.spelled() or not now.spelled():
            return ""
        return f", which {was.spelled()} wrote, and this is {now.spelled()}"

    def add(self, op: Operation) -> None:
        """The code waits for an operation."""
        self.pending[op.path] = op
        self.changes += 1
        self.replay.agenda.note(op.path)
        if op.path in self._ranks:
            heappush(self._remembered, (self._ranks[op.path], op.index, op))

    def notice(self, path: str) -> None:
        """Something has happened to an operation: it may have an outcome."""
        op = self.pending.get(path)
        ended = op.ended_at() if op is not None else None
        if op is None or ended is None or self.came.get(path) is op:
            return
        self.came[path] = op
        heappush(self._arrivals, (ended, op.index, op))
        record = op.record
        if record is not None and record.error is not None:
            self.failed.add(path)

    def drop(self, path: str) -> None:
        """It does so no longer."""
        op = self.pending.pop(path, None)
        self.came.pop(path, None)
        self.failed.discard(path)
        if op is not None:
            self.changes += 1
            for part in op.together() or (op,):
                self.replay.agenda.note(part.path)

    def check_renewal(self) -> None:
        """Raises the error that continue_as_new deserves anywhere but in the handler itself."""
        if self.replay.interrupt is not None or self.replay.closed:
            self.replay.leave_handler()
        outer = running_step.get()
        if outer is not None:
            raise NestedStepError(
                f"continue_as_new was called inside step {outer.step_id!r}; return what it needs from the step, and "
                "call it from the handler"
            )
        if self.path:
            raise ConfigurationError(
                f"continue_as_new was called inside {self.path!r}, beside which others of its kind may be at work; "
                "call it from the handler itself, after that has returned"
            )

    def choose(self, candidates: Sequence[Operation]) -> Operation | None:
        """Which candidate's outcome the handler sees next, if one is there: as remembered, else as it came.

        A choice that is not yet remembered goes to `undecided`, which is written down before the handler
        acts on it.
        """
        ranked = [op for op in candidates if op.path in self._ranks]
        first = min(ranked, key=lambda op: self._ranks[op.path]) if ranked else None
        there = [(ended, op.index, op) for op in candidates if (ended := op.ended_at()) is not None]
        earliest = min(there, key=lambda found: found[:2])[2] if there else None
        return self._chosen(first, earliest, alone=len(candidates) == 1)

    def choose_of_all(self) -> Operation | None:
        """As `choose`, of all that the code waits for."""
        return self._chosen(
            self.first_remembered(), self._first(self._arrivals), alone=len(self.pending) == 1
        )

    def _chosen(
        self, first: Operation | None, earliest: Operation | None, *, alone: bool
    ) -> Operation | None:
        if first is not None:
            if isinstance(first, Sleep):
                first.known_over = True
            if first.ended_at() is None:
                self.replay.not_there(first)
                return None
            return first
        if earliest is None or (not alone and not self.replay.decides(self)):
            return None
        if not alone:
            self.undecide(earliest.path)
        return earliest

    def first_remembered(self) -> Operation | None:
        """Of all that the code waits for, what the log has the first place of."""
        return self._first(self._remembered)

    def _first(self, heap: list[tuple[int, int, Operation]]) -> Operation | None:
        while heap and self.pending.get(heap[0][2].path) is not heap[0][2]:
            heappop(heap)
        return heap[0][2] if heap else None

    def asks(self, op: Operation) -> bool:
        """Whether the handler is told, now that it asks, that an outcome is there."""
        if op.path in self._ranks:
            if self._misses.get(op.path, 0) > 0:
                self._misses[op.path] -= 1
                return False
            return True
        if self._misses.get(op.path, 0) > 0:
            self._misses[op.path] -= 1
            return False
        there = op.ended_at() is not None
        self.undecide(op.path if there else f":{op.path}")
        return there

    def deliver(self, op: Operation) -> None:
        """Note that the handler has seen an outcome."""
        op.delivered = True
        self.drop(op.path)
        self.now = max(self.now, op.ended_at() or 0)
        self.build_upon(op.path, op.kind)

    def build_upon(self, path: str, kind: Kind) -> None:
        """Note that what comes next follows an outcome. If that came back from what was handed out, several messages
        may be about to act on it: the log decides which of them does."""
        if path in self._ranks or path in self.undecided:
            return
        journal = self.replay.journal
        if path in journal.dispatched or (kind.has_scope and journal.hands_out(path)):
            self.undecide(path)

    def undecide(self, path: str) -> None:
        """Note a choice that is to be written down."""
        self.undecided.append(path)
        self.replay.has_undecided(self)

    def decided(self) -> None:
        """The undecided choices are written down."""
        for path in self.undecided:
            if not path.startswith(":"):
                self._ranks.setdefault(path, len(self._ranks))
        self.undecided.clear()

    def open(self) -> Iterable[Operation]:
        """What was called and awaited, and has no outcome yet."""
        return [op for op in self.pending.values() if op.ended_at() is None]


def scope_here() -> Scope:
    """The scope of the code that is running. Raises ConfigurationError outside a handler."""
    try:
        return current_scope.get()
    except LookupError:
        raise ConfigurationError(
            "a step was called where no handler runs (a thread of the handler's own?); call it from the handler itself"
        ) from None


def current_task() -> asyncio.Task[Any] | None:
    """The task that is running. Nobody has one who has not imported asyncio, which a sync handler need not for this."""
    find = getattr(sys.modules.get("asyncio"), "current_task", None)
    try:
        return find() if find is not None else None
    except RuntimeError:
        return None
