"""Replay: a handler and its journal in, what it wants next out.

The engine knows no I/O and no clock. When the handler can't go on with what the journal holds, the replay
asks its Driver to `advance`: to make the outcome of something open known, or to leave the handler by an
Interrupt. Sync and async handlers differ only in who notices that: a blocked call (`sync.py`) or an idle
event loop (`loop.py`).
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, NoReturn, Protocol, TypeVar

from ..config import Retry
from . import paths
from .agenda import Agenda
from .code import UNKNOWN, Code
from .interrupts import Broken, Reload, Renewed, Suspend, Swallowed
from .journal import Kind, Payload, Record
from .loaded import Journal
from .operations import FanOut, Group, Operation, StepCall
from .scope import Scope

T = TypeVar("T")


class Driver(Protocol):
    """What a replay needs of whoever runs it."""

    def now(self) -> int:
        """The run's time, in milliseconds: never behind an outcome that the journal holds."""
        ...

    def read(self, payload: Payload) -> str: ...

    def advance(self, replay: Replay) -> None:
        """Start what may be started; return once something has ended or was entered, or raise an
        Interrupt."""
        ...

    def finish(self, op: Group | FanOut, result: Any, error: Exception | None) -> None:
        """Commit how an entered group or fan-out ended. Afterwards it has an outcome, or is to be entered
        again."""
        ...

    def is_known(self, scope: str) -> bool:
        """Whether the journal has anything of a scope."""
        ...


class Log(Protocol):
    """What holds back the lines that a handler logs, and the messages that it publishes."""

    def publish(self, scope: str, topic: str, text: str) -> None:
        """The handler publishes a message (JSON)."""
        ...

    def known(self, scope: str, *, recorded: bool) -> None:
        """The handler calls a step, in a scope, that the journal knows; by a record, if it is `recorded`."""
        ...

    def flush(self) -> None:
        """Something happens for the first time: write the lines."""
        ...

    def decided(self) -> None:
        """What led to it is agreed upon: publish the messages, too."""
        ...

    @property
    def has_messages(self) -> bool:
        """Whether there are any that may have to be published."""
        ...

    def counts(self) -> dict[str, int]:
        """How many lines each scope has logged in this replay."""
        ...


class Replay(ABC):
    """One pass of a handler over its journal.

    `focus` is the path of the branch or step that this invocation is about, if it is not the whole run:
    what encloses it is replayed, and nothing beside it is touched.
    """

    is_async = False

    def __init__(
        self,
        *,
        run_id: str,
        journal_id: str,
        journal: Journal,
        driver: Driver,
        started: int,
        retry: Retry,
        focus: str,
        began_on: Code = UNKNOWN,
        code: Code = UNKNOWN,
        seed: str = "",
    ) -> None:
        self.run_id = run_id
        self.journal_id = journal_id
        self.seed = seed or journal_id  # of the random numbers that its code draws
        self.began_on = began_on  # where a record does not say otherwise
        self.code = code
        self.journal = journal
        self.driver = driver
        self.retry = retry
        self.focus = focus
        self.event: Any = None  # the run's own, as it came
        self.lost: FanOut | None = None  # whose list no longer has the branch that this is about
        self.closed = False
        self.interrupt: BaseException | None = None  # what is on its way out of the handler
        self.log: Log | None = None
        self.entered: dict[str, Group | FanOut] = {}
        self.undoable: dict[str, Operation] = {}  # what was called that has an undo
        self.scopes: dict[str, Scope] = {}
        self.agenda = Agenda(self)
        self._inner: dict[str, list[str]] = {}
        self._undecided: dict[str, Scope] = {}
        self.top = self.scope("", started)

    @abstractmethod
    def run(self, handler: Callable[[], Any]) -> Any:
        """Run the handler; what it returns, or the error that it raised. Raises the Interrupt that left it."""

    # -- scopes and operations -----------------------------------------------------------------------

    def scope(self, path: str, now: int) -> Scope:
        """A fresh scope: its code begins from the top."""
        before = self.scopes.get(path)
        for called in before.pending if before is not None else ():
            self.agenda.note(called)
        self._undecided.pop(path, None)
        self.scopes[path] = scope = self.new_scope(path, now)
        if before is None and path:
            self._inner.setdefault(paths.parent(path), []).append(path)
        return scope

    def new_scope(self, path: str, now: int) -> Scope:
        return Scope(self, path, now)

    def within(self, path: str) -> Iterator[Scope]:
        """The scope at a path, and those that lie in it."""
        if path in self.scopes:
            yield self.scopes[path]
        for inner in self._inner.get(path, ()):
            yield from self.within(inner)

    def pending(self, path: str) -> Operation | None:
        """The operation at a path, if the code waits for it."""
        scope = self.scopes.get(paths.parent(path))
        return scope.pending.get(path) if scope is not None else None

    def decides(self, scope: Scope) -> bool:
        """Whether this invocation may decide an order in a scope: not in those around its focus."""
        return not self.focus or (self._in_focus(scope.path))

    def _in_focus(self, path: str) -> bool:
        return paths.within(path, self.focus)

    def encloses_focus(self, path: str) -> bool:
        return bool(self.focus) and self.focus != path and paths.within(self.focus, path)

    def concerns(self, op: Operation) -> bool:
        """Whether this invocation may work on an operation."""
        return not self.focus or self._in_focus(op.path)

    def open(self) -> Collection[Operation]:
        """What waits for an outcome and could be worked on here."""
        return self.agenda.open()

    @abstractmethod
    def noticed(self, path: str) -> None:
        """Something has happened to an operation."""

    def pump(self) -> bool:
        """Begin the branches that may begin; join fan-outs whose branches are over. Whether one was."""
        joined = False
        for path, branches in self.agenda.branches().items():
            op = self.entered.get(path)
            if isinstance(op, FanOut) and not op.abandoned and op.ended_at() is None:
                joined = self._pump(op, branches) or joined
        return joined

    def cut_off(self, scope: Scope) -> bool:
        """Whether the scope belongs to a group that was abandoned or is over."""
        path = scope.path
        while path:
            op = self.entered.get(path)
            if op is not None and (op.abandoned or op.ended_at() is not None):
                return True
            path = paths.parent(path)
        return False

    def to_enter(self) -> list[Group | FanOut]:
        """Groups and fan-outs that enclose the focus, and are reached but not entered."""
        if not self.focus:
            return []
        return [
            op
            for scope in self.scopes.values()
            for op in scope.open()
            if isinstance(op, (Group, FanOut))
            and op.path not in self.entered
            and self.encloses_focus(op.path)
        ]

    def reached(self, path: str) -> bool:
        """Whether the code has come to an operation."""
        return path in self.entered or any(path in scope.pending for scope in self.scopes.values())

    def awaits(self, path: str) -> bool:
        """Whether the code waits for an operation, which has no outcome and was not abandoned. Of one in a
        scope that other invocations run, whether it waits for what is around it."""
        while not self._runs(path):
            path = path[: -len(paths.branch_key(path)) - 2] if paths.is_branch(path) else paths.parent(path)
        return any(
            op.path == path and not op.abandoned for scope in self.scopes.values() for op in scope.open()
        )

    def _runs(self, path: str) -> bool:
        """Whether this replay comes to an operation if the code does."""
        scope = paths.parent(path)
        if paths.is_branch(path) and self.encloses_focus(scope):
            return paths.within(self.focus, path)
        return scope in self.scopes

    def enter(self, op: Group | FanOut) -> None:
        """Run an operation's own code in this replay."""
        self.entered[op.path] = op
        self.agenda.note(op.path)

    def leave(self, op: Group | FanOut) -> None:
        self.entered.pop(op.path, None)
        self.agenda.note(op.path)

    def _pump(self, op: FanOut, changed: Sequence[str]) -> bool:
        scope = self.scopes.get(op.path) or self.scope(op.path, op.scope.now)
        records = self.journal.partitions[op.path].records
        if self.encloses_focus(op.path):
            key = paths.branch_key(self.focus[: self.focus.index("]", len(op.path)) + 1])
            if key in op.keys:
                self._begin_branch(op, op.keys.index(key), scope)
                self.lost = None
            else:
                self.lost = op
            return False
        progress, new = op.progress, False
        if progress.known:
            indices = [branch.index for path in changed if (branch := scope.pending.get(path)) is not None]
        else:
            progress.waiting = dict.fromkeys(range(len(op.keys)))
            progress.known, indices = True, list(progress.waiting)
        for index in indices:
            self._see_branch(op, index, scope, records.get(op.branch_path(index)))
        for index in progress.next(op.width):
            # The first ones began together, and a failure among them keeps none of them back: who replays
            # this may not see that they have begun.
            if not progress.halted or index < op.width or self._began_before(op, op.branch_path(index)):
                self._begin_branch(op, index, scope)
                new = True
        for record in progress.made_room() if new else ():
            scope.build_upon(record.path, record.kind)
        if progress.running:
            return False
        self.finish(op, None, None)
        return True

    def _see_branch(self, op: FanOut, index: int, scope: Scope, record: Record | None) -> None:
        path = op.branch_path(index)
        if record is not None and record.final:
            op.progress.ends(index, record, halts=op.halted_by(record))
            scope.drop(path)
        elif record is not None or index in op.branches or self.has_begun(path):
            self._begin_branch(op, index, scope)

    def has_begun(self, branch: str) -> bool:
        """Whether a branch that has no record of its own is known to have begun."""
        return branch in self.journal.dispatched

    def _began_before(self, op: FanOut, branch: str) -> bool:
        """Whether a branch began before another one failed: its steps say so. An item of a map does itself."""
        return op.kind is not Kind.MAP and self._outside(lambda: self.driver.is_known(branch))

    def _begin_branch(self, op: FanOut, index: int, scope: Scope) -> None:
        if index in op.branches:
            return
        common: dict[str, Any] = {"path": op.branch_path(index), "scope": scope, "index": index}
        branch: StepCall | Group
        if op.kind is Kind.MAP:
            branch = StepCall(
                kind=Kind.RUN, call=op.bodies[index], retry=op.retry, codec=op.codecs[index],
                at_most_once=op.at_most_once, timeout=op.timeout, undo=op.undo, **common,
            )  # fmt: skip
        else:
            branch = Group(
                kind=Kind.GROUP, body=op.bodies[index], retry=op.retry, codec=op.codecs[index],
                context=op.contexts[index], **common,
            )  # fmt: skip
        op.branches[index] = branch
        op.progress.begins(index)
        scope.add(branch)

    def not_there(self, op: Operation) -> None:  # noqa: ARG002
        """The log has an outcome's place, and the journal has no outcome."""
        raise Reload  # written after the page that should have held it was read

    # -- what the handler has decided, and nobody has written down -----------------------------------

    def undecided(self) -> dict[str, list[str]]:
        return {
            scope.path: list(scope.undecided)
            for scope in self._undecided.values()
            if scope.undecided and self.decides(scope)
        }

    def has_undecided(self, scope: Scope) -> None:
        """A scope has a choice that is not written down."""
        self._undecided[scope.path] = scope

    def decided(self) -> None:
        """What the handler does next happens for the first time, and what led to it is written down."""
        if self.log is not None:
            self.log.decided()
        for scope in self._undecided.values():
            scope.decided()
        self._undecided.clear()

    def renew(self, event: str) -> NoReturn:
        """Leave the handler, which asks to continue as new."""
        self.closed = True
        self.interrupt = Renewed(event)
        raise self.interrupt

    def leave_handler(self) -> NoReturn:
        """A step is called after an interrupt. On the way out of the handler (`finally`) nothing new begins,
        and the interrupt goes on; a handler that has caught it is found out."""
        if self.interrupt is None:
            raise Suspend
        passing = sys.exc_info()[1]
        while passing is not None and passing is not self.interrupt:
            passing = passing.__context__
        raise Swallowed if passing is None else self.interrupt

    # -- the driver's side ---------------------------------------------------------------------------

    def advance(self) -> None:
        """Let the driver go on. Once it interrupts, nothing more is done in this replay."""
        self._outside(lambda: self.driver.advance(self))

    def finish(self, op: Group | FanOut, result: Any, error: Exception | None) -> None:
        self._outside(lambda: self.driver.finish(op, result, error))

    def deliver(self, op: Operation) -> None:
        """Let the handler see an outcome."""
        self._outside(op.fetch)
        op.scope.deliver(op)

    def _outside(self, work: Callable[[], T]) -> T:
        """Do what may fail for reasons that are none of the handler's: it must not be able to catch them."""
        try:
            return work()
        except Exception as error:
            self.closed = True
            self.interrupt = Broken()
            raise self.interrupt from error
        except BaseException as interrupt:
            self.closed = True
            self.interrupt = interrupt
            raise
