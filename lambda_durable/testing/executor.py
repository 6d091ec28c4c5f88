"""Steps' functions in virtual time."""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from .simulation import Crashed, Process, Simulation, seconds
from .traffic import Traffic

_INSTANTLY = timedelta()


@dataclass(frozen=True, slots=True)
class Stub:
    """What a test put in the place of a step's function, and how long the step takes."""

    fn: Callable[..., Any] | None = None
    takes: timedelta = _INSTANTLY

    def instead_of(self, call: Callable[[], Any]) -> Callable[[], Any]:
        """The stub's function, called as the step's own would be."""
        if self.fn is None:
            return call
        if not isinstance(call, functools.partial):
            return self.fn
        return functools.partial(self.fn, *call.args, **call.keywords)


class Stubs(dict[str, Stub]):
    """Stubs by path. That of a map stands for all its items: `m` for `m[3]`."""

    def of(self, path: str) -> Stub:
        found = self.get(path)
        if found is None and path.endswith("]"):
            found = self.get(path[: path.rindex("[")])
        return found or Stub()


@dataclass(frozen=True, slots=True)
class _Outcome:
    result: Any = None
    error: BaseException | None = None


@dataclass(slots=True)
class _Call:
    name: str
    number: int
    ends: datetime
    context: Context
    awaitable: Awaitable[Any] | None = None
    outcome: _Outcome | None = None


class VirtualExecutor:
    """Calls a function at the moment at which it starts, and hands out its outcome when its time is over.

    So functions run one after the other, and overlap in virtual time. Coroutines run when the invocation
    next waits, side by side, on one loop that lives as long as the process.
    """

    def __init__(self, simulation: Simulation, process: Process, traffic: Traffic, stubs: Stubs) -> None:
        self._simulation = simulation
        self._process = process
        self._traffic = traffic
        self._stubs = stubs
        self._calls: list[_Call] = []

    def start(self, name: str, call: Callable[[], Any]) -> None:
        number = self._traffic.number(f"step {name}")
        self._traffic.point(self._process, "in step {!r} #{}, before its function", name, number)
        stub = self._stubs.of(name)
        started = _Call(name, number, self._simulation.now + stub.takes, copy_context())
        try:
            result = started.context.run(stub.instead_of(call))
        except Crashed:
            raise
        except BaseException as error:
            self._finish(started, _Outcome(error=error))
        else:
            if inspect.isawaitable(result):
                started.awaitable = result
            else:
                self._finish(started, _Outcome(result))
        self._calls.append(started)

    def wait(self, timeout: float | None) -> tuple[str, Any, BaseException | None] | None:
        self._process.check()
        self._run_coroutines()
        # `min` keeps the order in which they were started among those that end together.
        first = min(self._calls, key=lambda call: call.ends, default=None)
        if timeout is None and first is None:
            raise RuntimeError("waits for ever: nothing was started")
        until = None if timeout is None else self._simulation.now + seconds(timeout)
        if first is None or (until is not None and until < first.ends):
            assert until is not None
            self._sleep_until(until)
            return None
        self._sleep_until(first.ends)
        self._calls.remove(first)
        assert first.outcome is not None
        return first.name, first.outcome.result, first.outcome.error

    def close(self) -> None:
        """Drop coroutines that a crash left behind: they were never begun."""
        for call in self._calls:
            if inspect.iscoroutine(call.awaitable):
                call.awaitable.close()
        self._calls.clear()

    def _sleep_until(self, when: datetime) -> None:
        if when > self._simulation.now:
            self._process.sleep_until(when)

    def _run_coroutines(self) -> None:
        waiting = [(call, call.awaitable) for call in self._calls if call.awaitable is not None]
        if not waiting:
            return
        for call, _ in waiting:
            call.awaitable = None
        for (call, _), outcome in zip(
            waiting, step_loop().run([(awaitable, call.context) for call, awaitable in waiting]), strict=True
        ):
            self._finish(call, outcome)

    def _finish(self, call: _Call, outcome: _Outcome) -> None:
        call.outcome = outcome
        self._traffic.point(self._process, "in step {!r} #{}, after its function", call.name, call.number)


class NoExecutor:
    """Outside an invocation no steps run."""

    def start(self, name: str, call: Callable[[], Any]) -> None:  # noqa: ARG002
        raise RuntimeError(f"step {name!r} was started outside of an invocation")

    def wait(self, timeout: float | None) -> None:  # noqa: ARG002
        raise RuntimeError("no steps run outside of an invocation")


class StepLoop:
    """The event loop that runs steps' coroutines, in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="lambda-durable-steps", daemon=True).start()

    def run(self, calls: Sequence[tuple[Awaitable[Any], Context]]) -> list[_Outcome]:
        """Run them side by side, each to its end. The thread waits, so nothing else moves meanwhile."""
        return asyncio.run_coroutine_threadsafe(self._all(calls), self._loop).result()

    async def _all(self, calls: Sequence[tuple[Awaitable[Any], Context]]) -> list[_Outcome]:
        tasks = [self._loop.create_task(_outcome(awaitable), context=context) for awaitable, context in calls]
        return [await task for task in tasks]


@functools.cache
def step_loop() -> StepLoop:
    return StepLoop()


async def _outcome(awaitable: Awaitable[Any]) -> _Outcome:
    try:
        return _Outcome(await awaitable)
    except BaseException as error:
        return _Outcome(error=error)
