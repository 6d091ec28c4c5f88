"""A LocalRuntime that notes what happened: invocations, effects, commits."""

from __future__ import annotations

from collections import Counter
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from lambda_durable import current_step
from lambda_durable.ports import Delivery, Invocation, World
from lambda_durable.testing import LocalRuntime
from lambda_durable.testing.simulation import Crashed
from tests.simulation.nodes import INTERRUPTED

_visit: ContextVar[Visit] = ContextVar("visit")


@dataclass(eq=False)
class Visit:
    """An invocation. Ticks count what happens, over all invocations."""

    number: int
    message_id: str
    receive_count: int
    body: str
    began: int
    ended: int | None = None
    error: BaseException | None = None
    starts: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Effect:
    tick: int
    time: datetime
    visit: Visit
    path: str
    attempt: int
    succeeds: bool


class Storm(Exception):
    """More invocations than a run can need."""


class TracedRuntime(LocalRuntime):
    def __init__(self, *args: Any, most_invocations: int, verbose: bool = False, **options: Any) -> None:
        super().__init__(*args, **options)
        self.visits: list[Visit] = []
        self.effects: list[Effect] = []
        self.undos: list[str] = []
        """The paths of the steps that were undone, in that order."""
        self.committed: dict[str, int] = {}
        """When a step's outcome was durable for certain: its tick."""
        self.settled: dict[tuple[str, int], int] = {}
        """The same of each attempt, those that failed too."""
        self.interrupted: Counter[str] = Counter()
        """Attempts of each step that an invocation had no time left for."""
        self.reconciled = 0
        self.ticks = 0
        self._most = most_invocations
        self._verbose = verbose
        if verbose:
            self._traffic.watch = lambda _, place: self._say(place)

    def log(self, path: str, attempt: int, succeeds: bool) -> None:
        """Told by the steps' functions."""
        visit = _visit.get()
        self.effects.append(Effect(self.tick(), self.now(), visit, path, attempt, succeeds))
        self._say(f"EFFECT {path} attempt {attempt}")

    def note_undo(self) -> None:
        """Told by undos that they ran."""
        info = current_step()
        self.undos.append(info.step_id.removeprefix("undo/"))
        self._say(f"UNDO {info.step_id} attempt {info.attempt}")

    def tick(self) -> int:
        self.ticks += 1
        return self.ticks

    def reconcile(self) -> None:
        self.reconciled += 1
        super().reconcile()

    def _deliver(self, delivery: Delivery, done: Any) -> None:
        if len(self.visits) >= self._most:
            raise Storm(f"{len(self.visits)} invocations; the latest message: {delivery.body}")
        super()._deliver(delivery, done)

    def _handle(self, world: World, delivery: Delivery, invocation: Invocation) -> None:
        visit = Visit(
            len(self.visits), delivery.message_id, delivery.receive_count, delivery.body, self.tick()
        )
        self.visits.append(visit)
        token = _visit.set(visit)
        process = self._simulation.current()
        self._say(f"BEGINS {delivery.message_id[:8]} received {delivery.receive_count}: {delivery.body}")
        try:
            super()._handle(replace(world, store=_Watched(world.store, self)), delivery, invocation)  # type: ignore[arg-type]
        except BaseException as error:
            visit.error = error
            raise
        finally:
            if process is not None and process.dead and visit.error is None:
                visit.error = RuntimeError(process.dead)
            visit.ended = self.tick()
            self._say(f"ENDS {visit.error!r}" if visit.error is not None else "ENDS")
            _visit.reset(token)

    def _say(self, text: str) -> None:
        if self._verbose:
            visit = _visit.get(None)
            number = "" if visit is None else visit.number
            print(f"{self.ticks:5} {self.now():%d %H:%M:%S.%f} #{number} {text}")  # noqa: T201


class _Watched:
    """A store whose writes are shown, and whose commits are noted."""

    def __init__(self, store: Any, runtime: TracedRuntime) -> None:
        self._store = store
        self._runtime = runtime

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)

        def call(*args: Any, **options: Any) -> Any:
            process = self._runtime._simulation.current()
            dead = process is not None and process.dead
            try:
                result = method(*args, **options)
            except Crashed as crashed:
                if not dead and str(crashed).startswith("after "):
                    self._note(name, args, None)  # it was written, and nobody lives to know
                raise
            self._note(name, args, result)
            return result

        return call

    def _note(self, name: str, args: Any, result: Any) -> None:
        runtime = self._runtime
        if name == "commit":
            record = result or args[1]
            tick = runtime.tick()
            runtime.settled.setdefault((args[1].path, args[1].attempts), tick)
            if record.author == args[1].author and record.error and record.error.type == INTERRUPTED:
                runtime.interrupted[record.path] += 1
            if record.final:
                runtime.committed.setdefault(record.path, tick)
        if not name.startswith(("load", "get")):
            told = " ".join(map(str, args[1:]))
            runtime._say(f"{name} {told} -> {'ok' if result is None else result}")
