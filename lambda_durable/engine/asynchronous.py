"""Async handlers: outcomes are delivered when the handler is quiescent, one at a time, each to quiescence."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from ..errors import ConfigurationError
from . import paths
from .interrupts import Renewed, Swallowed
from .loop import HandlerLoop, HandlerTask, refuse
from .operations import FanOut, Group, Operation
from .replay import Replay
from .scope import Scope, current_scope


class AsyncReplay(Replay):
    """Replays an `async def` handler."""

    is_async = True
    _loop: HandlerLoop
    _waiting = 0  # tasks that wait for an operation

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.called: set[Operation] = set()  # and not awaited yet
        self._changed: dict[str, None] = {}  # scopes in which something has happened
        self._entered: list[Group] = []  # since the handler was last quiescent
        self._joined: dict[Scope, tuple[tuple[int, int], bool]] = {}

    def run(self, handler: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        self._loop = HandlerLoop(self._on_idle, self._leave_if_interrupted)
        self._groups: dict[str, asyncio.Task[Any]] = {}
        self._ended: list[tuple[Group, Any, Exception | None]] = []
        token = current_scope.set(self.top)
        main = self._loop.create_task(handler())
        try:
            result = self._loop.run_until_complete(main)
            self._check_awaited()
            return result
        except BaseException:
            for op in self.called:  # what the handler was left before it awaited, it has not forgotten
                if op.awaitable is not None:
                    op.awaitable.close()
            if isinstance(self.interrupt, Renewed) and main.done() and main.exception() is not self.interrupt:
                raise Swallowed from None
            raise
        finally:
            current_scope.reset(token)
            self.closed = True
            self._close_tasks()
            self._loop.close()

    def _check_awaited(self) -> None:
        """A step that was called and never awaited did not run, and that is hardly what was meant."""
        in_tasks = {task.get_coro() for task in asyncio.all_tasks(self._loop)}
        forgotten = [
            op.path
            for op in self.called
            if op.awaitable is not None
            and op.awaitable not in in_tasks
            and inspect.getcoroutinestate(op.awaitable) == inspect.CORO_CREATED
        ]
        if forgotten:
            raise ConfigurationError(
                f"step {min(forgotten)!r} was called and never awaited, so it did not run; write `await` before it"
            )

    def _close_tasks(self) -> None:
        """Close what is still suspended. What the handler does on its way out (`finally`) starts nothing."""
        for task in asyncio.all_tasks(self._loop):
            coro: Any = task.get_coro()
            try:
                coro.close()
            except BaseException:
                continue

    async def call(self, op: Operation) -> Any:
        """The outcome of an operation."""
        self.called.discard(op)
        scope = op.scope
        if (
            op.at_hand
            and op.ended_at() is not None
            and not scope.pending
            and self._loop.alive - self._waiting == 1
        ):
            self.deliver(op)  # nothing else could come first
            return op.value()
        op.task = asyncio.current_task()
        op.future = self._loop.create_future()
        scope.add(op)
        self._waiting += 1
        try:
            await op.future
        except asyncio.CancelledError:
            self._abandon(op)
            raise
        finally:
            self._waiting -= 1
        return op.value()

    def _abandon(self, op: Operation) -> None:
        op.abandoned = True
        op.scope.drop(op.path)
        if op.path in self._groups:
            self._groups[op.path].cancel()

    def _leave_if_interrupted(self) -> None:
        """Whichever task raised what is to leave the handler: nobody else gets to see it."""
        if self.interrupt is not None:
            raise self.interrupt

    # -- at quiescence -------------------------------------------------------------------------------

    def _on_idle(self) -> None:
        while True:
            ended, self._ended = self._ended, []
            for op, result, error in ended:
                self.finish(op, result, error)
            if self._deliver_next() or self._start_groups():
                return
            if not any(scope.pending for scope in self.scopes.values()):
                refuse("waits for something that is no step")
            self.advance()

    def noticed(self, path: str) -> None:
        scope = self.scopes.get(paths.parent(path))
        if scope is not None:
            scope.notice(path)
            self._changed.setdefault(scope.path)

    def _deliver_next(self) -> bool:
        self.agenda.settle()
        for scope in self._in_turn():
            ops = self._next(scope) if not self.cut_off(scope) else []
            for op in ops:
                self.deliver(op)
                assert op.future is not None
                if not op.future.done():
                    op.future.set_result(None)
            if ops:
                return True
            del self._changed[scope.path]
        return False

    def _in_turn(self) -> Iterable[Scope]:
        """The scopes in which something has happened, in the order in which it is looked for an outcome that the
        handler can see."""
        while self._changed:
            yield self.scopes[next(iter(self._changed))]

    def _next(self, scope: Scope) -> list[Operation]:
        """What the handler sees next: one outcome, or all of a join, which shows them only as a whole."""
        awaited = scope.pending
        if (
            not awaited or next(iter(awaited.values())).future is None
        ):  # nobody sees the branches of a fan-out
            return []
        if len(awaited) > 1 and not scope.failed and self._is_joined(scope):
            if len(scope.came) == len(awaited):
                return sorted(awaited.values(), key=lambda op: op.index)
            if scope.first_remembered() is None:
                return []  # the join shows nothing before the last one has ended
        chosen = scope.choose_of_all()
        return [] if chosen is None else [chosen]

    def _is_joined(self, scope: Scope) -> bool:
        """Whether all that a scope waits for are tasks of one gather or TaskGroup, which shows their successes only as
        a whole. Found out anew when the scope waits for something else, or somebody else for a task."""
        now = (scope.changes, self._loop.watched)
        known = self._joined.get(scope)
        if known is None or known[0] != now:
            known = self._joined[scope] = (now, _are_joined(scope.pending.values()))
        return known[1]

    def enter(self, op: Group | FanOut) -> None:
        super().enter(op)
        if isinstance(op, Group):
            self._entered.append(op)

    def _start_groups(self) -> bool:
        """Run the code of groups that were entered since the handler was last quiescent."""
        entered, self._entered = self._entered, []
        started = False
        for op in entered:
            if op.ended_at() is None and not op.abandoned and op.path not in self._groups:
                task = self._loop.create_task(self._run_group(op), context=op.context.copy())
                self._groups[op.path] = task
                started = True
        return started

    async def _run_group(self, op: Group) -> None:
        current_scope.set(self.scope(op.path, op.scope.now))
        result: Any = None
        error: Exception | None = None
        try:
            result = await op.body()
        except asyncio.CancelledError:
            if op.abandoned:
                raise
            error = RuntimeError("the group was cancelled from inside")
        except Exception as raised:
            error = raised
        self._ended.append((op, result, error))

    def leave(self, op: Any) -> None:
        super().leave(op)
        self._groups.pop(op.path, None)


def _are_joined(awaited: Iterable[Operation]) -> bool:
    join: object | None = None
    for op in awaited:
        task = op.task
        if not isinstance(task, HandlerTask) or task.get_coro() is not op.awaitable:
            return False
        joined_by = task.joined_by()
        if joined_by is None or (join is not None and joined_by is not join):
            return False
        join = joined_by
    return join is not None
