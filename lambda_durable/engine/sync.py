"""Sync handlers: a call that has no outcome yet asks the driver to go on, in the handler's own stack.

The branches of a fan-out share that one stack. Each is run until it can't go on, left by `Blocked`, and run
again from its top once something has ended; its finished steps are memoized, so nothing is done twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from . import paths
from .interrupts import Blocked, Interrupt, Swallowed
from .operations import FanOut, Group, Operation
from .replay import Replay
from .scope import Scope, current_scope


class SyncReplay(Replay):
    """Replays a `def` handler."""

    _depth = 0  # how many branches of fan-outs are on the stack

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self._waits: dict[str, Sequence[Operation]] = {}  # what each branch could not go on without
        self._waiters: dict[str, dict[str, None]] = {}  # and the other way round
        self._changed: dict[str, dict[str, Group]] = {}  # of each fan-out, the branches that may go on

    def run(self, handler: Callable[[], Any]) -> Any:
        token = current_scope.set(self.top)
        try:
            result = handler()
        except Interrupt:
            raise
        except Exception:
            self._check_swallowed()
            raise
        finally:
            current_scope.reset(token)
        self._check_swallowed()
        return result

    def call(self, op: Operation) -> Any:
        """The outcome of an operation; blocks until it is there."""
        if op.ended_at() is None:
            op.scope.add(op)
            while op.ended_at() is None:
                self._step(op)
        self.deliver(op)
        return op.value()

    def join(self, ops: Sequence[Operation]) -> None:
        """Deliver all outcomes; in which order makes no difference to the handler."""
        for op in ops:
            while not op.delivered and op.ended_at() is None:
                self._go_on([op])
            if not op.delivered:
                self.deliver(op)

    def wait(self, scope: Scope, ops: Sequence[Operation], satisfied: Callable[[], bool]) -> None:
        """Deliver outcomes one at a time, as remembered, until the handler's condition is met."""
        while not satisfied():
            chosen = scope.choose([op for op in ops if not op.delivered])
            if chosen is not None:
                self.deliver(chosen)
            else:
                self._go_on(ops)

    def _step(self, op: Operation) -> None:
        """Bring the outcome of an operation closer: by its own code, if that was entered."""
        entered = self.entered.get(op.path)
        if isinstance(entered, Group):
            self._run_group(entered)
        elif entered is not None:
            self._run_branches(entered)
        else:
            self._go_on([op])

    def _go_on(self, ops: Sequence[Operation]) -> None:
        if self._depth:
            self.interrupt = Blocked(ops)
            raise self.interrupt
        self.advance()

    def _run_group(self, op: Group) -> None:
        scope = self.scope(op.path, op.scope.now)
        token = current_scope.set(scope)
        result, error = None, None
        try:
            result = op.body()
        except Interrupt:
            raise
        except Exception as raised:
            error = raised
        finally:
            current_scope.reset(token)
        self._check_swallowed()
        self.finish(op, result, error)

    def _run_branches(self, op: FanOut) -> None:
        """Run each branch as far as it goes; then let the driver go on with them all."""
        if self.pump():
            return
        ran = False
        for branch in self._take_changed(op):
            if branch.path in self.entered and self._can_go_on(branch):
                ran = self._run_branch(branch) or ran
        if not ran:
            self._go_on([op])

    def _take_changed(self, op: FanOut) -> Sequence[Group]:
        """The branches that may go on, since something has happened in them, or to what they wait for."""
        self.agenda.settle()
        return list(self._changed.pop(op.path, {}).values())

    def _can_go_on(self, branch: Group) -> bool:
        if branch.ended_at() is not None:
            return False
        waits = self._waits.get(branch.path)
        return waits is None or any(map(self._goes_on, waits))

    def _goes_on(self, op: Operation) -> bool:
        """Whether who waits for an operation can go on: it has an outcome, or its own code can be run."""
        entered = self.entered.get(op.path)
        if op.ended_at() is not None or not isinstance(entered, FanOut):
            return op.ended_at() is not None or entered is not None
        return any(map(self._can_go_on, self._changed.get(op.path, {}).values()))

    def noticed(self, path: str) -> None:
        for noticed in (path, *self._waiters.get(path, ())):
            inside = noticed
            while inside:
                group, inside = self.entered.get(inside), paths.parent(inside)
                if isinstance(group, Group) and paths.is_branch(group.path):
                    self._changed.setdefault(inside, {})[group.path] = group

    def _run_branch(self, branch: Group) -> bool:
        """Whether the branch came to its end (or is to be tried again)."""
        self._depth += 1
        for op in self._waits.pop(branch.path, ()):
            self._waiters[op.path].pop(branch.path, None)
        try:
            self._run_group(branch)
            return True
        except Blocked as blocked:
            self.interrupt = None
            self._waits[branch.path] = blocked.ops
            for op in blocked.ops:
                self._waiters.setdefault(op.path, {})[branch.path] = None
            return False
        finally:
            self._depth -= 1

    def _check_swallowed(self) -> None:
        if self.interrupt is not None:
            self.closed = True
            raise Swallowed
