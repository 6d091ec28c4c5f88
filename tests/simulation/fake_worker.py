"""A LocalRuntime whose worker is a function of the test's own: the simulation without the engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lambda_durable import Durable
from lambda_durable.ports import Delivery, Invocation, Outgoing, World
from lambda_durable.testing import LocalRuntime

FakeWorker = Callable[[World, Delivery, Invocation], object]


class Bench(LocalRuntime):
    def __init__(self, worker: FakeWorker, **options: Any) -> None:
        super().__init__(Durable("bench"), **options)
        self._worker = worker

    def _handle(self, world: World, delivery: Delivery, invocation: Invocation) -> None:
        self._worker(world, delivery, invocation)

    def message(self, body: str, delay: int = 0) -> None:
        self._queue.send([Outgoing(body, delay)])

    def elapsed(self) -> float:
        return self._simulation.monotonic()
