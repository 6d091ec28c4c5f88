"""A function, crashed at every point at which a crash can fall."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from ..config import StepsPerInvocation
from ..runs import Run
from .local_runtime import LocalRuntime
from .simulation import Process

if TYPE_CHECKING:
    from ..app import Durable
    from ..function import Function

D = TypeVar("D")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Crash(Generic[R]):
    """A run that was crashed once, at `point`: "after dynamodb:PutItem #7". None: it was not disturbed.

    `runtime` is where it ran, for a closer look.
    """

    point: str | None
    run: Run[R]
    runtime: LocalRuntime = field(repr=False)


class _Points:
    """Counts the points that invocations come to, and crashes the one that is at `target`."""

    def __init__(self, target: int | None) -> None:
        self.target = target
        self.count = 0
        self.crashed_at: str | None = None

    def __call__(self, process: Process, place: str) -> None:
        self.count += 1
        if self.count - 1 == self.target:
            self.crashed_at = place
            process.crash(place)


def crash_everywhere(
    app: Durable,
    function: Function[D, R],
    data: D | None = None,
    *,
    drive: Callable[[LocalRuntime, Run[R]], object] | None = None,
    steps_per_invocation: StepsPerInvocation | None = None,
) -> Iterator[Crash[R]]:
    """Run the function once undisturbed, and then once for each point at which an invocation can die:
    before and after every AWS call, and inside every step, before and after its function.

    Each run has a fresh runtime, and the whole is lazy. `drive(rt, run)` plays the outside world and lets
    time pass; the default is `rt.drain()`.
    """

    def crash_at(target: int | None) -> tuple[Crash[R], _Points]:
        runtime = LocalRuntime(app, steps_per_invocation=steps_per_invocation)
        points = _Points(target)
        runtime._traffic.watch = points
        run = runtime.start(function, data)
        if drive is None:
            runtime.drain()
        else:
            drive(runtime, run)
        return Crash(points.crashed_at, runtime.get(run.run_id), runtime), points

    undisturbed, points = crash_at(None)
    yield undisturbed
    for target in range(points.count):
        crash, reached = crash_at(target)
        if crash.point is None:
            raise RuntimeError(
                f"{function} does not do the same every time: its first run had {points.count} points at"
                f" which a crash can fall, and a later one ended after {reached.count}"
            )
        yield crash
