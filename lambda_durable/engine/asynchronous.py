"""Async handlers: outcomes are delivered when the handler is quiescent, one at a time, each to quiescence."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from typing import Any

from ..errors import ConfigurationError
from .interrupts import Renewed, Swallowed
from .loop import HandlerLoop, HandlerTask, refuse
from .operations import Group, Operation
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
        scope.pending[op.path] = op
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
        op.scope.pending.pop(op.path, None)
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

    def _deliver_next(self) -> bool:
        for scope in self._in_turn():
            ops = self._next(scope) if not self._cut_off(scope) else []
            for op in ops:
                self.deliver(op)
                assert op.future is not None
                if not op.future.done():
                    op.future.set_result(None)
            if ops:
                return True
        return False

    def _in_turn(self) -> list[Scope]:
        """The scopes, in the order in which it is looked for an outcome that the handler can see."""
        return list(self.scopes.values())

    def _next(self, scope: Scope) -> list[Operation]:
        """What the handler sees next: one outcome, or all of a join, which shows them only as a whole."""
        candidates = [op for op in scope.pending.values() if op.future is not None]
        if len(candidates) > 1 and _are_joined(candidates):
            ended = [op for op in candidates if op.ended_at() is not None]
            if not any(op.record.error for op in ended if op.record):
                if len(ended) == len(candidates):
                    return sorted(ended, key=lambda op: op.index)
                if not scope.remembers(candidates):
                    return []  # the join shows nothing before the last one has ended
        chosen = scope.choose(candidates) if candidates else None
        return [] if chosen is None else [chosen]

    def _start_groups(self) -> bool:
        """Run the code of groups that were entered since the handler was last quiescent."""
        started = False
        for op in list(self.entered.values()):
            if (
                isinstance(op, Group)
                and op.ended_at() is None
                and not op.abandoned
                and op.path not in self._groups
            ):
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


def _are_joined(candidates: list[Operation]) -> bool:
    """Whether all are tasks of one gather or TaskGroup, which shows their successes only as a whole."""
    joins = []
    for op in candidates:
        task = op.task
        if not isinstance(task, HandlerTask) or task.get_coro() is not op.awaitable:
            return False
        joins.append(task.joined_by())
    return joins[0] is not None and all(join is joins[0] for join in joins)
