"""A LocalRuntime that notes what happened: invocations, effects, commits."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Container, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from lambda_durable import current_step
from lambda_durable.aws.headers import listed
from lambda_durable.durations import to_millis
from lambda_durable.engine.journal import Header
from lambda_durable.ports import Delivery, Invocation, World
from lambda_durable.runs import Message, Run, RunSummary, StepRecord
from lambda_durable.runtime.executor import NoExecutor
from lambda_durable.runtime.views import run_of, summary_of
from lambda_durable.store import Store
from lambda_durable.testing import Faults, LocalRuntime
from lambda_durable.testing.dynamo_shortcut import with_bytes
from lambda_durable.testing.fakes import SentMessage, VirtualClock
from lambda_durable.testing.simulation import Crashed
from tests.simulation.nodes import INTERRUPTED
from tests.simulation.state import TABLE_NAME, alive, changed, committed

_visit: ContextVar[Visit] = ContextVar("visit")


@dataclass(eq=False)
class Visit:
    """An invocation. Ticks count what happens, over all invocations."""

    number: int
    message_id: str
    receive_count: int
    body: str
    began: int
    time: datetime
    inner: bool = False
    """Whether another version of the code was handed the message, in an invocation inside of one."""
    ended: int | None = None
    error: BaseException | None = None


@dataclass(frozen=True)
class Effect:
    tick: int
    time: datetime
    visit: Visit
    path: str
    attempt: int
    succeeds: bool
    version: int


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
        """When a step's outcome became durable: its tick."""
        self.settled: dict[tuple[str, int], int] = {}
        """When an attempt's was durable for certain, those that failed too."""
        self.interrupted: Counter[str] = Counter()
        """Attempts of each step that an invocation had no time left for."""
        self.wrong: dict[str, list[str]] = defaultdict(list)
        """What was seen to be wrong on the way, by the name of the check."""
        self.heard: list[Message] = []
        """What the run has published, to who looks now and then."""
        self._followed = ""
        self._seen: Run[Any] | None = None
        self._others: dict[str, RunSummary] = {}
        self._expired_at = self.now()
        self._cloud.note_changes(self.now, self._dice.lag).watch = self._changed
        self.reconciled = 0
        self.ticks = 0
        self._most = most_invocations
        self._verbose = verbose
        if verbose:
            self._dice.watch = lambda kind: self._say(f"FAULT {kind}")
            self._traffic.watch = lambda _, place: self._say(place)

    @property
    def faults_so_far(self) -> Counter[str]:
        return self._dice.rolled

    def let_strike(self, only: Container[int] | None) -> None:
        """Let only these faults strike, by their numbers."""
        self._dice.only = only

    def follow(self, run_id: str) -> str:
        """Let this be the run that it is all about."""
        self._followed = run_id
        return run_id

    def listen(self) -> None:
        """Take what the run has published since the last time."""
        self.heard += self.client._rest(self._followed, self.heard[-1].cursor if self.heard else "")

    def last_seen(self) -> Run[Any]:
        """The run, with the steps of all its rounds, as it is now or was when the last of it expired."""
        header = self._store().get_header(self._followed)
        if header is None:
            if self._seen is None:
                raise RuntimeError("the run was never written")
            return self._seen
        run = self.get(self._followed)
        steps = dict(self._seen.steps) if self._seen is not None else {}
        for number in range(header.renewal.number if header.renewal is not None else 0):
            steps |= self._earlier_steps(header, number)
        self._seen = run.model_copy(update={"steps": steps | run.steps})
        return self._seen

    def _earlier_steps(self, header: Header, number: int) -> dict[str, StepRecord]:
        """The steps of an earlier journal of the run."""
        assert header.renewal is not None
        renewal = replace(header.renewal, number=number) if number else None
        # Later than all that is in it, on whichever host it was written.
        ended = to_millis(self.now() + timedelta(minutes=1))
        earlier = replace(header, renewal=renewal, ended=ended, ends_as=None)
        world = self._world(VirtualClock(self._simulation), NoExecutor())
        return dict(run_of(world, earlier, world.store.load_scope(earlier.journal_id, ""), None).steps)

    def other_runs(self) -> list[RunSummary]:
        """All runs but that one, those that have expired too."""
        self._others |= {run.run_id: run for run in self.all_runs() if run.run_id != self._followed}
        return list(self._others.values())

    def all_runs(self) -> Iterator[RunSummary]:
        """Those that are in the table, in no order. A list of them takes half of what a case takes."""
        world = self._world(VirtualClock(self._simulation), NoExecutor())
        for partition in self._cloud.tables()[TABLE_NAME].items.values():
            for item in partition.values():
                if "gs" in item.attrs:
                    yield summary_of(world, listed(with_bytes(item.to_json()["Attributes"])))

    def expire(self) -> None:
        """Delete what has expired, as DynamoDB does, at once."""
        if self.now() < self._expired_at + timedelta(days=1):
            return
        self._expired_at = self.now()
        table = self._cloud.tables()[TABLE_NAME]
        now = self.now().timestamp()
        expired = [
            item
            for partition in table.items.values()
            for item in partition.values()
            if "x" in item.attrs and float(item.attrs["x"].value) < now
        ]
        if not expired:
            return
        self.last_seen()
        self.listen()
        self.other_runs()
        for item in expired:
            attributes = item.to_json()["Attributes"]
            if (why := alive(self._store(), attributes)) is not None:
                self.wrong["what_lives_does_not_expire"].append(why)
            del table.items[item.hash_key][item.range_key]

    def _store(self) -> Store:
        return self._world(VirtualClock(self._simulation), NoExecutor()).store

    def _changed(self, table: str, key: Any, before: Any, after: Any) -> None:
        """Told of each change of an item."""
        if table == TABLE_NAME:
            for check, why in changed(before, after):
                self.wrong[check].append(why)
            if (path := committed(before, after)) is not None:
                self.committed.setdefault(path, self.tick())

    def log(self, path: str, attempt: int, succeeds: bool, version: int = 0) -> None:
        """Told by the steps' functions."""
        visit = _visit.get()
        self.effects.append(Effect(self.tick(), self.now(), visit, path, attempt, succeeds, version))
        self._say(f"EFFECT {path} attempt {attempt}")

    def note_undo(self) -> None:
        """Told by undos that they ran."""
        info = current_step()
        self.undos.append(info.step_id.removeprefix("undo/"))
        self._say(f"UNDO {info.step_id} attempt {info.attempt}")

    def tick(self) -> int:
        self.ticks += 1
        return self.ticks

    def calm_down(self) -> None:
        """From now on, nothing goes wrong."""
        self._dice.faults = Faults(interleave=False)

    def deliver_again(self, visit: Visit) -> None:
        """Have a message come once more that was received, and perhaps acknowledged, before."""
        message = SentMessage(visit.body, visit.message_id, visit.receive_count, to_millis(visit.time))
        self._queue.copy(message)

    def reconcile(self) -> None:
        self.reconciled += 1
        super().reconcile()

    def _deliver(self, delivery: Delivery, done: Any) -> None:
        if len(self.visits) >= self._most:
            raise Storm(f"{len(self.visits)} invocations; the latest message: {delivery.body}")
        super()._deliver(delivery, done)

    def _handle(self, world: World, delivery: Delivery, invocation: Invocation) -> None:
        outer = _visit.get(None)
        if outer is None:
            self.expire()
        visit = Visit(
            len(self.visits),
            delivery.message_id,
            delivery.receive_count,
            delivery.body,
            self.tick(),
            self.now(),
            inner=outer is not None,
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
            runtime.settled.setdefault((args[1].path, args[1].attempts), runtime.tick())
            if record.author == args[1].author and record.error and record.error.type == INTERRUPTED:
                runtime.interrupted[record.path] += 1
        if not name.startswith(("load", "get")):
            told = " ".join(map(str, args[1:]))
            runtime._say(f"{name} {told} -> {'ok' if result is None else result}")
