"""Runs steps' functions: plain ones in threads, coroutines on one event loop that lives as long as the process.

So a client that a user's module keeps (an HTTP session, a connection pool) finds the loop it was made on in
every invocation.
"""

from __future__ import annotations

import functools
import inspect
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from .threads import run_in_thread

if TYPE_CHECKING:
    import asyncio

THREADS: Final = 64
"""Plain functions of one delivery that run at once; others wait. Lambda: 1,024 threads and processes."""


@dataclass(frozen=True, slots=True, eq=False)
class _Call:
    name: str
    function: Callable[[], Any]
    context: Context


class ThreadExecutor:
    """The `Executor` port, for one delivery of a message.

    Each delivery has one of its own, so that what an abandoned step of an earlier one ends with goes nowhere.
    """

    def __init__(self, threads: int = THREADS) -> None:
        self._most_threads = threads
        self._waiting: deque[_Call] = deque()
        self._in_threads: set[_Call] = set()
        self._coroutines: dict[_Call, Job] = {}
        self._current: dict[str, _Call] = {}
        self._ended: SimpleQueue[tuple[_Call, Any, BaseException | None]] = SimpleQueue()
        self._closed = False
        self._changed = threading.Condition()

    def start(self, name: str, call: Callable[[], Any]) -> None:
        started = self._current[name] = _Call(name, call, copy_context())
        with self._changed:
            if len(self._in_threads) == self._most_threads:
                self._waiting.append(started)
                return
            self._in_threads.add(started)
        run_in_thread(lambda: self._work(started))

    def wait(self, timeout: float | None) -> tuple[str, Any, BaseException | None] | None:
        if timeout is None and not self._current:
            raise RuntimeError("waits for ever: nothing was started")
        until = None if timeout is None else monotonic() + timeout
        while True:
            left = None if until is None else max(until - monotonic(), 0)
            try:
                call, result, error = self._ended.get(timeout=left)
            except Empty:
                return None
            if self._current.get(call.name) is call:  # not one that was abandoned, and started again since
                del self._current[call.name]
                return call.name, result, error

    def interrupt(self, name: str) -> bool:
        call = self._current.pop(name)
        with self._changed:
            if call in self._waiting:
                self._waiting.remove(call)
            elif call in self._coroutines:
                step_loop().cancel(self._coroutines[call])
            return call not in self._in_threads

    def close(self, timeout: float = 0) -> list[str]:
        """The delivery is over: what has not begun never does, coroutines are cancelled, and threads, which
        can't be stopped, have `timeout` seconds to end. Returns the names of what still runs."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            if self._coroutines:
                step_loop().cancel(*self._coroutines.values())
            self._changed.wait_for(lambda: not self._in_threads and not self._coroutines, timeout)
            return sorted(call.name for call in (*self._in_threads, *self._coroutines))

    def _work(self, call: _Call | None) -> None:
        while call is not None:
            self._run(call)
            with self._changed:
                self._in_threads.discard(call)
                call = self._waiting.popleft() if self._waiting else None
                if call is not None:
                    self._in_threads.add(call)
                self._changed.notify_all()

    def _run(self, call: _Call) -> None:
        try:
            result = call.context.run(call.function)
        except BaseException as error:
            self._ended.put((call, None, error))
            return
        if not inspect.isawaitable(result):
            self._ended.put((call, result, None))
            return
        job = Job(result, call.context, functools.partial(self._coroutine_ended, call))
        with self._changed:
            if not self._closed:
                self._coroutines[call] = job
                step_loop().start(job)
            elif inspect.iscoroutine(result):
                result.close()

    def _coroutine_ended(self, call: _Call, result: Any, error: BaseException | None) -> None:
        with self._changed:
            self._coroutines.pop(call, None)
            self._changed.notify_all()
        self._ended.put((call, result, error))


class NoExecutor:
    """Outside an invocation no steps run."""

    def start(self, name: str, call: Callable[[], Any]) -> None:  # noqa: ARG002
        raise RuntimeError(f"step {name!r} was started outside of an invocation")

    def wait(self, timeout: float | None) -> None:  # noqa: ARG002
        raise RuntimeError("no steps run outside of an invocation")

    def interrupt(self, name: str) -> bool:  # noqa: ARG002
        raise RuntimeError("no steps run outside of an invocation")


Ended = Callable[[Any, BaseException | None], None]


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A coroutine to run. `ended` is told its result and error, on the loop's thread."""

    awaitable: Awaitable[Any]
    context: Context
    ended: Ended


class StepLoop:
    """The event loop that runs steps' coroutines, in a thread of its own."""

    def __init__(self) -> None:
        import asyncio  # only for who has coroutines

        self._loop = asyncio.new_event_loop()
        self._tasks: dict[Job, asyncio.Task[None]] = {}
        threading.Thread(target=self._loop.run_forever, name="lambda-durable-steps", daemon=True).start()

    def start(self, *jobs: Job) -> None:
        """Run them side by side with the others; all of them begin before any goes on."""
        self._loop.call_soon_threadsafe(self._begin, jobs)

    def cancel(self, *jobs: Job) -> None:
        """Interrupt those that have not ended."""
        self._loop.call_soon_threadsafe(self._cancel, jobs)

    def _begin(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            task = self._tasks[job] = self._loop.create_task(_run(job), context=job.context)
            task.add_done_callback(functools.partial(self._forget, job))

    def _cancel(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            if (task := self._tasks.get(job)) is not None:
                task.cancel()

    def _forget(self, job: Job, _: object) -> None:
        del self._tasks[job]


async def _run(job: Job) -> None:
    try:
        result = await job.awaitable
    except BaseException as error:
        job.ended(None, error)
    else:
        job.ended(result, None)


@functools.cache
def step_loop() -> StepLoop:
    """The process's own, made when the first coroutine comes."""
    return StepLoop()
