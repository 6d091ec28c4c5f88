"""Steps' functions in virtual time."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from queue import SimpleQueue
from typing import Any

from ..calls import Adapted
from ..engine import paths
from ..runtime.executor import Job, step_loop
from ..runtime.hooks import Surrounded
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
        if isinstance(call, Adapted | Surrounded):
            return replace(call, call=self.instead_of(call.call))
        if not isinstance(call, functools.partial):
            return self.fn
        return functools.partial(self.fn, *call.args, **call.keywords)


class Stubs(dict[str, Stub]):
    """Stubs by path, as it is shown. That of a map stands for all its items: `m` for `m[3]`."""

    def of(self, path: str) -> Stub:
        found = self.get(paths.shown(path))
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
        place = "in step {!r} #{}, before its function"
        self._traffic.point(self._process, place, paths.shown(name), number)
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
        until = None if timeout is None else self._simulation.now + seconds(timeout)
        self._run_coroutines()
        # `min` keeps the order in which they were started among those that end together.
        first = min(self._calls, key=lambda call: call.ends, default=None)
        if timeout is None and first is None:
            raise RuntimeError("waits for ever: nothing was started")
        if first is None or (until is not None and until < first.ends):
            assert until is not None
            self._sleep_until(until)
            return None
        self._sleep_until(first.ends)
        self._calls.remove(first)
        assert first.outcome is not None
        return first.name, first.outcome.result, first.outcome.error

    def interrupt(self, name: str) -> bool:
        for call in [call for call in self._calls if call.name == name]:
            self._calls.remove(call)
            if inspect.iscoroutine(call.awaitable):
                call.awaitable.close()
        return True

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
        together = [(awaitable, call.context) for call, awaitable in waiting]
        for (call, _), outcome in zip(waiting, _run_together(together), strict=True):
            self._finish(call, outcome)

    def _finish(self, call: _Call, outcome: _Outcome) -> None:
        call.outcome = outcome
        place = "in step {!r} #{}, after its function"
        self._traffic.point(self._process, place, paths.shown(call.name), call.number)


def _run_together(calls: Sequence[tuple[Awaitable[Any], Context]]) -> list[_Outcome]:
    """Run coroutines side by side, each to its end. This thread waits, so nothing else moves meanwhile."""
    ended: SimpleQueue[tuple[int, _Outcome]] = SimpleQueue()

    def told(index: int, result: Any, error: BaseException | None) -> None:
        ended.put((index, _Outcome(result, error)))

    step_loop().start(
        *(
            Job(awaitable, context, functools.partial(told, index))
            for index, (awaitable, context) in enumerate(calls)
        )
    )
    outcomes = dict(ended.get() for _ in calls)
    return [outcomes[index] for index in range(len(calls))]
