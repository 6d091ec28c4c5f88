"""The event loop that async handlers run on. It holds steps only, and tells when the handler is quiescent."""

from __future__ import annotations

import asyncio
import contextvars
import selectors
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from ..errors import ConfigurationError

_GATHERED = "gather.<locals>._done_callback"
_GROUPED = "TaskGroup._on_task_done"


class HandlerTask(asyncio.Task[Any]):
    """A task that remembers who watches it."""

    watchers: list[Any]

    def add_done_callback(self, fn: Any, /, *, context: contextvars.Context | None = None) -> None:
        try:
            self.watchers.append(fn)
        except AttributeError:
            self.watchers = [fn]
        loop = self.get_loop()
        if isinstance(loop, HandlerLoop):
            loop.watched += 1
        super().add_done_callback(fn, context=context)

    def joined_by(self) -> object | None:
        """The gather or TaskGroup that waits for this task and its siblings, if nobody else watches it.

        Such a join shows nothing of a success before the last one, so the order among them can't matter.
        Whatever it does not recognize is None, and then orders are written down.
        """
        watchers: Sequence[object] = getattr(self, "watchers", ())
        if len(watchers) != 1:
            return None
        name = getattr(watchers[0], "__qualname__", "")
        if name == _GATHERED:
            return watchers[0]
        return getattr(watchers[0], "__self__", None) if name == _GROUPED else None


class _Selector(selectors.BaseSelector):
    """Wraps the default selector, which the loop asks to wait when nothing is ready to run."""

    def __init__(self, idle: Callable[[], None], look: Callable[[], None]) -> None:
        self._inner = selectors.DefaultSelector()
        self._idle = idle
        self._look = look

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._look()
        if timeout is None:
            self._idle()
            return []
        return self._inner.select(timeout)

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        if len(self._inner.get_map()):  # the loop's own wake-up pipe comes first, and alone
            refuse("waits for I/O")
        return self._inner.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._inner.unregister(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._inner.get_map()

    def close(self) -> None:
        self._inner.close()


class HandlerLoop(asyncio.SelectorEventLoop):
    """The loop of one replay; calls `idle` whenever every task waits, and `look` before each of its rounds. What
    they raise leaves the loop. No timers, threads or I/O: those belong in steps."""

    def __init__(self, idle: Callable[[], None], look: Callable[[], None]) -> None:
        super().__init__(_Selector(idle, look))
        self.alive = 0
        self.watched = 0  # how often somebody began to watch a task
        self.set_task_factory(self._make_task)
        self.set_exception_handler(lambda *_: None)  # tasks left behind by an interrupt are no accident

    def _make_task(self, loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> HandlerTask:
        task = HandlerTask(coro, loop=loop, **options)
        self.alive += 1
        asyncio.Task.add_done_callback(task, self._ended)
        return task

    def _ended(self, _: object) -> None:
        self.alive -= 1

    def call_at(self, *_: Any, **__: Any) -> NoReturn:  # type: ignore[override]
        refuse("waits for a timer (asyncio.sleep, asyncio.timeout or wait_for)")

    def call_later(self, *_: Any, **__: Any) -> NoReturn:  # type: ignore[override]
        refuse("waits for a timer (asyncio.sleep, asyncio.timeout or wait_for)")

    def run_in_executor(self, *_: Any, **__: Any) -> NoReturn:  # type: ignore[override]
        refuse("waits for a thread (run_in_executor or to_thread)")


def refuse(what: str) -> NoReturn:
    raise ConfigurationError(
        f"the handler {what} outside a step; that could not be replayed. Sleep with `await ctx.step.sleep(...)`; "
        "I/O, threads and time limits go into a step's function: `await ctx.step.run(...)`"
    )
