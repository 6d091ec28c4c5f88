"""Runs an app in this process: moto underneath, a virtual clock on top."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..config import StepsPerInvocation, check_steps_per_invocation
from ..durations import Duration, from_millis, parse_duration, require_aware, to_millis
from ..function import Function
from ..ports import Clock, Delivery, Executor, Invocation, VersionGoneError, World
from ..runs import Message, Run, RunSummary
from ..runtime.executor import NoExecutor
from ..runtime.hooks import Hooks
from ..runtime.reconciler import reconcile
from ..runtime.registration import register
from ..runtime.run_ids import run_id as make_run_id
from ..runtime.sealing import sealed
from ..runtime.worker import Worker
from ..store import Store
from ..verify.files import save
from ..verify.recording import Recording, read_recording
from .executor import Stub, Stubs, VirtualExecutor
from .fakes import DeadLetter, FakeBus, FakeQueue, FakeScheduler, Misuse, VirtualClock, random_uuid
from .faults import Dice, Faults
from .local_client import LocalClient
from .local_pauses import LocalPauses
from .simulation import Process, Simulation
from .traffic import Traffic
from .usage import Usage

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from ..app import Durable
    from ..events import Event

D = TypeVar("D")
R = TypeVar("R")

_TABLE = "lambda-durable"
_MOST_INVOCATIONS = 100_000
_LONG = timedelta(days=7)
_logger = logging.getLogger(__name__)
_START = datetime(2025, 1, 1, tzinfo=UTC)


class LocalRuntime:
    """An app, deployed to a cloud of its own, in virtual time: days of sleep take milliseconds.

    `start` is the time it is at first. The same `seed` gives the same run, faults included. A Lambda's
    timeout is `lambda_timeout`; the message of an invocation that failed comes back 60 seconds after it.

    `invocations` counts those of the worker so far; `usage` what DynamoDB would charge for: `read_units`,
    `write_units` and, beside them, `index_units` of its indexes; and `items_read` and `bytes_read`.
    """

    def __init__(
        self,
        app: Durable,
        *,
        start: datetime = _START,
        steps_per_invocation: StepsPerInvocation | None = None,
        faults: Faults | None = None,
        seed: int | str = 0,
        lambda_timeout: Duration = "900s",
    ) -> None:
        from .cloud import Cloud  # boto3 and moto: a second, and only for who makes a runtime

        self._app = app
        self._releases = {"1": app}
        self._live = "1"
        self._steps_per_invocation = (
            None if steps_per_invocation is None else check_steps_per_invocation(steps_per_invocation)
        )
        self._eager = True  # whether a message comes alone, so that its run begins in its invocation
        self._timeout = parse_duration(lambda_timeout, "LocalRuntime(lambda_timeout=)")
        self._simulation = Simulation(
            seed,
            require_aware(start, "LocalRuntime(start=)"),
            interleave=faults is not None and faults.interleave,
        )
        self._dice = Dice(self._simulation, faults)
        self._traffic = Traffic(self._simulation, self._dice)
        self._stubs = Stubs()
        self._pauses = LocalPauses(at_once=faults is None)
        self.usage = Usage()
        self.invocations = 0
        self._bound = _MOST_INVOCATIONS
        self._latest: deque[str] = deque(maxlen=5)
        self._usual_points = 16

        self._cloud = Cloud(self._traffic, self.usage)
        if self._dice.faults.stale:
            self._cloud.note_changes(self.now, self._dice.lag)
        self._bucket = self._cloud.create_bucket()
        self._queue = FakeQueue(
            self._simulation,
            self._traffic,
            self._dice,
            visibility=self._timeout + timedelta(seconds=60),
            deliver=self._deliver,
            bury=self._bury,
        )
        self._scheduler = FakeScheduler(self._simulation, self._traffic, self._dice, self._queue)
        self._bus = FakeBus(self._simulation, self._traffic, self._queue)
        self._create_table()
        self._client: LocalClient | None = None
        self._fired_until = self.now()
        self._register()
        self._run_ids = self._simulation.random("run ids")

    # What a test does

    def send(self, *events: Event[Any]) -> list[str]:
        """Send events; returns their ids. What they start runs when time is advanced."""
        return self.client.send(*events)

    def deliver(self, event: Mapping[str, Any]) -> None:
        """Have an EventBridge event come in as it is: an AWS service's own, from a file, say. What it starts
        runs when time is advanced."""
        self._bus.deliver(event)

    def start(self, function: Function[D, R], data: D | None = None, *, run_id: str | None = None) -> Run[R]:
        """Start a run, which begins when time is advanced."""
        if run_id is None:
            # One that follows from the seed: retries' jitter and `ctx.random` follow from it in turn.
            run_id = make_run_id(to_millis(self.now()), random_uuid(self._run_ids))
        return self.client.start(function, data, run_id=run_id)

    def run(self, function: Function[D, R], data: D | None = None) -> Run[R]:
        """Start a run, do all that is ever due, and return the run as it is then."""
        run_id = self.start(function, data).run_id
        self.drain()
        return self.get(run_id)

    def advance(self, duration: Duration) -> None:
        """Let time pass, and do what falls due; `advance("0s")` does what is due now."""
        self._pass_time(parse_duration(duration, "advance()"))

    def drain(self) -> None:
        """Do all that is ever due, skipping the time between; but for `cron` and `every`, which never end: what
        they would start in that time is left out."""
        self._bound = self.invocations + _MOST_INVOCATIONS
        if self._dice.faults.lose:
            self._drain_and_reconcile()
        else:
            self._simulation.run_until_idle()
        self._fired_until = self.now()

    def reconcile(self) -> None:
        """Look after runs that nothing drives any more, as a deployed app does every five minutes."""

        def body(_: Process) -> None:
            reconcile(self._world(VirtualClock(self._simulation), NoExecutor()), self._app.functions)

        self._simulation.spawn(body)
        self._simulation.run_until(self.now())

    def stub(
        self, step_id: str, fn: Callable[..., Any] | None = None, *, takes: Duration = timedelta()
    ) -> None:
        """Have `fn` called in the place of a step's function, with its arguments, and let the step take
        time. `step_id` is a path (`m[1]`, `g/a`), or a map's id for all its items."""
        self._stubs[step_id] = Stub(fn, parse_duration(takes, "stub(takes=)"))

    def deploy(self, app: Durable, *, retain: bool = True) -> None:
        """Go on with other code, and the same state. Schedules become those of the new code. Runs that are pinned
        go on with the code that they began on, unless `retain` is false: then its versions are deleted."""
        self._app = app
        self._live = str(int(self._live) + 1)
        self._releases = {**(self._releases if retain else {}), self._live: app}
        self._client = None
        self._register()

    def close(self) -> None:
        """Let go of everything. Also happens when the runtime is garbage."""
        self._simulation.close()
        self._cloud.close()

    # What a test sees

    def now(self) -> datetime:
        """The virtual time."""
        return self._simulation.now

    def get(self, run_id: str) -> Run[Any]:
        """A run with its steps. Raises RunNotFoundError."""
        return self.client.get(run_id)

    def published(self, run_id: str) -> list[Message]:
        """What a run has published so far."""
        return list(self.client._rest(run_id, ""))

    def runs(self, function: Function[Any, Any] | str | None = None, **filters: Any) -> Iterator[RunSummary]:
        """Newest first; `filters` as of `Client.runs`."""
        return self.client.runs(function, **filters)

    def record(self, run_id: str, where: str | Path) -> Path:
        """Write the journal of a run, as it is now, for `verify_journals`: a file whose name ends with `.json`, or one
        named by the run in a folder named by its function. Returns where."""
        return save(self.recording(run_id), where)

    def recording(self, run_id: str) -> Recording:
        """All that is remembered of a run, as it is now."""
        return read_recording(self._world(VirtualClock(self._simulation), NoExecutor()), run_id)

    @property
    def app(self) -> Durable:
        """The app, as it was deployed last."""
        return self._app

    @property
    def client(self) -> LocalClient:
        """A Client on this runtime; its `result` lets time pass."""
        if self._client is None:
            world = self._world(VirtualClock(self._simulation), NoExecutor())
            self._client = LocalClient(self._app, world=world, pass_time=self._pass_time)
        return self._client

    def aws(self, service: str) -> Any:
        """A low-level boto3 client on the local cloud; its calls are counted and disturbed as our own."""
        return self._cloud.client(service)

    @property
    def calls(self) -> Counter[str]:
        """AWS calls so far: `calls["dynamodb:Query"]`. Lambda's own, receiving and deleting, are not ours."""
        return self._traffic.calls

    @property
    def dead_letters(self) -> list[DeadLetter]:
        """Messages that were given up, for people to look at."""
        return self._queue.dead_letters

    # How it runs

    def _pass_time(self, duration: timedelta, stop: Callable[[], bool] = lambda: False) -> None:
        self._bound = self.invocations + _MOST_INVOCATIONS
        until = self.now() + duration
        while (due := self._scheduler.next_due(self._fired_until)) is not None and due <= until:
            self._simulation.run_until(due, stop=stop)
            if stop():
                return
            self._scheduler.fire(due)
            self._fired_until = due
        self._simulation.run_until(until, stop=stop)
        if not stop():
            self._fired_until = until

    def _unended(self) -> Iterator[tuple[str, int]]:
        """Runs that have not ended, and when they are to be looked after."""
        store = self._world(VirtualClock(self._simulation), NoExecutor()).store
        return store.overdue(to_millis(self.now() + timedelta(days=10_000)))

    def _drain_and_reconcile(self) -> None:
        """A run is looked after when it is overdue, or at least before much time is skipped: what nothing drives
        would expire."""
        while True:
            self._simulation.run_until_idle(gap=_LONG)
            overdue = min((from_millis(at) for _, at in self._unended()), default=None)
            due = self._simulation.next_due()
            if overdue is not None and (due is None or overdue < due):
                self._simulation.run_until(max(self.now(), overdue))
                self.reconcile()
            elif due is not None:
                self._simulation.run_until(due)
            else:
                return

    def _deliver(self, delivery: Delivery, done: Callable[[str | None], None]) -> None:
        self._invoke(delivery, done, self._handle)

    def _bury(self, delivery: Delivery, done: Callable[[str | None], None]) -> None:
        self._invoke(delivery, done, self._handle_dead_letter)

    def _invoke(
        self,
        delivery: Delivery,
        done: Callable[[str | None], None],
        handle: Callable[[World, Delivery, Invocation], None],
    ) -> None:
        self._latest.append(delivery.body)
        if self.invocations >= self._bound:
            latest = "\n".join(body[:500] for body in self._latest)
            raise RuntimeError(
                f"{_MOST_INVOCATIONS:,} invocations, and no end; the latest messages:\n{latest}"
            )
        self.invocations += 1
        invocation = Invocation(
            deadline=self._simulation.monotonic() + self._timeout.total_seconds(),
            timeout=self._timeout.total_seconds(),
        )

        def body(process: Process) -> None:
            process.dies_at = self._dice.dies_at(self._usual_points)
            process.freezes_at = self._dice.freezes_at(self._usual_points)
            executor = VirtualExecutor(self._simulation, process, self._traffic, self._stubs)
            clock = VirtualClock(self._simulation, self._dice.skew())
            try:
                handle(self._world(clock, executor), delivery, invocation)
                left = max(invocation.deadline - self._simulation.monotonic(), 0)
                Hooks.of(self._app).invocation_ended(left)
            finally:
                executor.close()
                self._usual_points = max(process.points, 4)

        def ended(error: BaseException | None) -> None:
            if isinstance(error, Misuse):
                raise error
            if isinstance(error, Exception) and not self._dice.on:
                _logger.warning(
                    "an invocation failed; its message will come back: %s", delivery, exc_info=error
                )
            done(None if error is None else f"failed: {type(error).__name__}: {error}")

        self._simulation.spawn(body, deadline=self._simulation.now + self._timeout, ended=ended)

    def _handle(self, world: World, delivery: Delivery, invocation: Invocation) -> None:
        """What the Lambda does with a message."""
        self._make_worker(world).handle(delivery, invocation, last=self._eager)

    def _handle_dead_letter(self, world: World, delivery: Delivery, invocation: Invocation) -> None:
        self._make_worker(world).dead_letter(delivery, invocation)

    def _make_worker(self, world: World) -> Worker:
        app = self._releases[world.versions.present]
        return Worker(app, world, steps_per_invocation=self._steps_per_invocation)

    def _register(self) -> None:
        """As a deployment does."""
        store = self._store_on(self._cloud.uncounted("dynamodb"), VirtualClock(self._simulation))
        register(self._app, self._scheduler, "local", publish=lambda told: store.looked_after({}, known=told))

    def _create_table(self) -> None:
        from ..aws.table import table_definition

        self._cloud.create_table(table_definition(_TABLE))

    def _store_on(self, client: DynamoDBClient, clock: Clock) -> Store:
        from ..aws.dynamodb import DynamoStore

        return DynamoStore(client, _TABLE, retention=timedelta(days=30), clock=clock)

    def _world(self, clock: Clock, executor: Executor, version: str | None = None) -> World:
        present = self._live if version is None else version
        from ..aws.s3 import S3Blobs

        world = World(
            clock=clock,
            store=self._store_on(self.aws("dynamodb"), clock),
            blobs=S3Blobs(self.aws("s3"), self._bucket),
            queue=self._queue,
            scheduler=self._scheduler,
            bus=self._bus,
            executor=executor,
            versions=_LocalVersions(self, present),
            pauses=self._pauses,
        )
        return sealed(world, self._releases[present])

    def _hand_over(self, version: str, delivery: Delivery, invocation: Invocation) -> None:
        """What Lambda does when a version is invoked by another."""
        if version not in self._releases:
            raise VersionGoneError(version)
        process = self._simulation.current()
        assert process is not None
        executor = VirtualExecutor(self._simulation, process, self._traffic, self._stubs)
        clock = VirtualClock(self._simulation, self._dice.skew())
        self.invocations += 1
        try:
            self._handle(self._world(clock, executor, version), delivery, invocation)
        finally:
            executor.close()


class _LocalVersions:
    """The `Versions` port: each deployment publishes one."""

    def __init__(self, runtime: LocalRuntime, present: str) -> None:
        self._runtime = runtime
        self.present = present

    @property
    def live(self) -> str:
        return self._runtime._live

    def hand_over(self, version: str, delivery: Delivery, invocation: Invocation) -> None:
        runtime = self._runtime
        runtime._traffic.call("lambda:Invoke", lambda: runtime._hand_over(version, delivery, invocation))
