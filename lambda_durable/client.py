"""The client: what can be done with runs from outside a handler."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar, get_args, overload
from uuid import uuid4

from .callbacks import callback_failure, read_token
from .durations import Duration, parse_duration, require_aware, to_millis
from .engine.journal import Header, Partition, RunStatus
from .engine.journal_ids import run_of as run_of_journal
from .errors import (
    ConfigurationError,
    RunCancelledError,
    RunFailedError,
    RunNotFoundError,
    RunSkippedError,
    RunTimeoutError,
)
from .event_json import dump_event, is_plain, load_events
from .events import Event, to_eventbridge_entry
from .function import App, Function
from .pauses import Events, Hold, Pause, Runs
from .ports import Outgoing, World
from .queues import Queue
from .runs import Run, RunSummary, Status
from .runtime import backlogs, callbacks, payloads, rerunning, signals, starting
from .runtime.executor import NoExecutor
from .runtime.large_events import wrap
from .runtime.messages import Continuation, Paused, Resume, tag
from .runtime.resuming import end
from .runtime.run_ids import run_id as make_run_id
from .runtime.sealing import sealed
from .runtime.views import load, run_of, summary_of
from .serialization import codec, plain_data, plain_json
from .signals import check_signal, signal_text

D = TypeVar("D")
R = TypeVar("R")

POLL = 0.5
"""Seconds between two looks at a run that is waited for."""

LONGEST_RUN_ID = 256


class Client:
    """Sends events, starts, reads and cancels runs.

    `stack` is the CloudFormation stack whose app it is; without one, the environment says where things are:
    LAMBDA_DURABLE_TABLE, _BUCKET, _QUEUE_URL and _BUS, as in the worker. Region and credentials are boto3's
    own. With `app`, outputs are decoded to their functions' return types; without it they are plain values.

    Raises ConfigurationError, here and in any method: a missing setting, no credentials, no permission.
    """

    def __init__(
        self, app: App | None = None, *, stack: str | None = None, world: World | None = None
    ) -> None:
        self._app = app
        self._world = world if world is not None else sealed(_connect(stack), app)

    def send(self, *events: Event[Any]) -> list[str]:
        """Publish events on the app's bus; returns their ids. An id that was sent in the last 24 hours
        starts nothing again. What an event with a `time` in the future starts begins then. Raises
        SerializationError or PayloadTooLargeError before anything is sent."""
        for event in events:
            if not isinstance(event, Event):
                raise ConfigurationError(
                    f"send() takes events, and this is {event!r}: write Event(name, data)"
                )
        now = self._world.clock.now()
        timed = [replace(event, time=now) if event.time_is_default else event for event in events]
        entries = [to_eventbridge_entry(event, self._encode) for event in timed]
        self._world.bus.put([wrap(self._world, entry) for entry in entries])
        return [event.id for event in events]

    @overload
    def start(
        self, function: Function[D, R], data: D | None = None, *, run_id: str | None = None
    ) -> Run[R]: ...
    @overload
    def start(self, function: str, data: Any = None, *, run_id: str | None = None) -> Run[Any]: ...
    def start(
        self, function: Function[Any, Any] | str, data: Any = None, *, run_id: str | None = None
    ) -> Run[Any]:
        """Start a function directly, whatever its triggers. With a `run_id` of your own, doing it again
        starts nothing twice. The run is `queued` until a worker takes it."""
        if not isinstance(function, str | Function):
            raise ConfigurationError(
                f"{function!r} is no durable function; decorate it with @app.function(...)"
            )
        id = self._function_id(function, "start")
        if data is None:
            started = self._app.functions[id] if self._app is not None else function
            data = {} if isinstance(started, str) else started.no_data
        now = self._world.clock.now()
        run = _check_run_id(run_id) if run_id is not None else make_run_id(to_millis(now), Event("x").id)
        plain = plain_data(data)
        message = starting.start_message(self._world, id, run, plain, now, limit=self._limit)
        self._world.queue.send([Outgoing(message.body())])
        event = starting.invoked_event(plain, run, now)
        return Run(run_id=run, function_id=id, status="queued", event=event, created_at=now)

    def rerun(
        self, run_id: str, *, from_step: str | None = None, data: Any = None, new_run_id: str | None = None
    ) -> Run[Any]:
        """Repeat a run on the present code: a new run with the same event, or with other `data` in it. With
        `from_step`, what had ended before that step did is kept, and that step and what came after it is done anew;
        what was undone is so too. The run may still be going on. Flow control is as for `start`, but that of an
        idempotency key. With a `new_run_id` of your own, doing it again starts nothing twice.

        Raises RunNotFoundError, and ConfigurationError for a step that the run does not have."""
        header = self._header(run_id, "repeat")
        id = self._function_id(header.function_id, "rerun")
        now = self._world.clock.now()
        new = (
            _check_run_id(new_run_id)
            if new_run_id is not None
            else make_run_id(to_millis(now), Event("x").id)
        )
        step = rerunning.step_of(self._world, header, from_step) if from_step is not None else ""
        edited = self._edited(header, data) if data is not None else None
        message = rerunning.message(self._world, header, new, step=step, text=edited)
        self._world.queue.send([Outgoing(message.body())])
        return Run(
            run_id=new,
            function_id=id,
            status="queued",
            created_at=now,
            rerun_of=run_id,
            rerun_from=step or None,
        )

    def _edited(self, header: Header, data: Any) -> str:
        """The event of a run with other data (JSON)."""
        if self._app is None:
            self._check_plain(header.run_id)
        text = payloads.read(self._world.blobs, header.event)
        first, *more = load_events(text, f"the event of run {header.run_id!r}")
        if more:
            raise ConfigurationError(
                f"run {header.run_id} has a batch of {len(more) + 1} events: rerun(data=) is for a run of one; "
                "send or start what is to be done instead"
            )
        edited = dump_event(replace(first, data=plain_data(data)))
        payloads.check_size(edited, self._limit, f"the data of function {header.function_id!r}")
        return edited

    def get(self, run_id: str) -> Run[Any]:
        """A run with all its steps. Raises RunNotFoundError."""
        loaded = load(self._world, run_id)
        if loaded is None:
            raise RunNotFoundError(
                f"there is no run {run_id!r} (one that was just started may not be there yet)"
            )
        header, top = loaded
        function = self._app.functions.get(header.function_id) if self._app is not None else None
        return run_of(self._world, header, top, function)

    def result(self, run_id: str, *, timeout: Duration) -> Any:
        """Wait for a run and return its output. Raises RunFailedError, RunCancelledError or RunSkippedError
        as it ended, and RunTimeoutError if it did not end in time."""
        deadline = self._world.clock.monotonic() + parse_duration(timeout, "result(timeout=)").total_seconds()
        while True:
            header = self._world.store.get_header(run_id)
            if header is not None and header.status.ended:
                function = self._app.functions.get(header.function_id) if self._app is not None else None
                return self._outcome(run_of(self._world, header, Partition(""), function))
            if self._world.clock.monotonic() >= deadline:
                status = header.status if header is not None else "queued"
                raise RunTimeoutError(f"run {run_id} is still {status} after {timeout}")
            time.sleep(POLL)

    def _outcome(self, run: Run[Any]) -> Any:
        if run.status == "completed":
            return run.output
        if run.status == "cancelled":
            raise RunCancelledError(f"run {run.run_id} of {run.function_id!r} was cancelled")
        if run.status == "skipped":
            raise RunSkippedError(
                f"run {run.run_id} of {run.function_id!r} was skipped: {run.skipped_reason}"
            )
        why = f"{run.error.type}: {run.error.message}" if run.error is not None else "no reason is known"
        raise RunFailedError(
            f"run {run.run_id} of {run.function_id!r} failed: {why}", run_id=run.run_id, error=run.error
        )

    def runs(
        self,
        function: Function[Any, Any] | str | None = None,
        status: Status | None = None,
        label: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
    ) -> Iterator[RunSummary]:
        """Runs, newest first; read as far as they are asked for. Without `function`, those of the app's."""
        if status is not None and status not in list(RunStatus):
            raise ConfigurationError(f"status= is one of {', '.join(RunStatus)}, and this is {status!r}")
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
            raise ConfigurationError(f"limit= is a whole number from 1, and this is {limit!r}")
        headers = self._world.store.runs(
            self._function_ids(function),
            statuses=("queued", "running") if status == "queued" else (status,) if status is not None else (),
            label=label,
            since=to_millis(require_aware(since, "runs(since=)")) if since is not None else None,
            until=to_millis(require_aware(until, "runs(until=)")) if until is not None else None,
        )
        summaries = (summary_of(self._world, header) for header in headers)
        yield from islice((found for found in summaries if status in (None, found.status)), limit)

    def cancel(self, run_id: str) -> bool:
        """Cancel a run: it starts no further step, and what its steps did is undone where they have an undo. True
        if this call did it, False if it was already cancelled, compensating or over. Raises RunNotFoundError."""
        found = self._world.store.begin_cancel(run_id)
        if found is None:
            raise RunNotFoundError(f"there is no run {run_id!r} to cancel")
        if found.status.ended:
            return False
        message = Continuation(run=run_id, forced=True)
        self._world.queue.send([Outgoing(message.body())])
        return found.status in (RunStatus.RUNNING, RunStatus.QUEUED)

    def pause(
        self, function: Function[Any, Any] | str, *, events: Events = "hold", runs: Runs = "hold"
    ) -> bool:
        """Let a function begin nothing, within ten seconds, until it is resumed. New events are held, and become
        runs then, in their order; or they are skipped. Its runs stop before their next step; or they are
        cancelled. What is started directly is queued. True if this call paused it, or changed how; False if it was
        paused like that."""
        id, store = self._function_id(function, "pause"), self._world.store
        _check_choice(events, Events, "pause(events=)")
        _check_choice(runs, Runs, "pause(runs=)")
        while True:
            before = store.pauses(latest=True).get(id)
            ongoing = before if before is not None and not before.over else None
            wanted = Pause(
                number=ongoing.number if ongoing is not None else (before.number if before else 0) + 1,
                at=ongoing.at if ongoing is not None else to_millis(self._world.clock.now()),
                events=events,
                runs=runs,
            )
            if wanted == before or store.change_pause(id, before, wanted):
                break
        self._world.pauses.forget()
        if runs == "cancel":
            message = Paused(function=id, number=wanted.number, until=wanted.at - 1)
            self._world.queue.send([Outgoing(message.body())])
        return wanted != before

    def resume(self, function: Function[Any, Any] | str) -> bool:
        """Let a paused function go on. True if this call did it, False if it was not paused; what an earlier call
        may have left is brought back all the same."""
        id = self._function_id(function, "resume")
        pause = self._world.store.pauses(latest=True).get(id)
        if pause is None:
            return False
        return self._resume(Hold(number=pause.number, function=id))

    def pause_run(self, run_id: str) -> bool:
        """Let a run begin nothing, until it is resumed: a step that runs ends, and sleeps and waits go on. It is
        still cancelled and timed out. True if this call did it, False if it was paused, or is over."""
        before = self._header(run_id, "pause")
        if before.pauses > 0 or before.status not in (RunStatus.QUEUED, RunStatus.RUNNING):
            return False
        after = 1 - before.pauses
        found = self._world.store.change_pauses_of_run(run_id, before.pauses, after)
        return found is not None and found.paused and found.pauses == after

    def resume_run(self, run_id: str) -> bool:
        """Let a paused run go on. True if this call did it, False if it was not paused, or is over. If its function
        is paused, it waits for that. Raises RunNotFoundError."""
        header = self._header(run_id, "resume")
        if not header.pauses or header.status.ended:
            return False
        return self._resume(Hold(number=abs(header.pauses), run=run_id))

    def queues(self, function: Function[Any, Any] | str | None = None) -> list[Queue]:
        """What waits: a `Queue` for each function (the one asked for, those of the app, or without an app those that
        are paused), and one for each limit at which somebody waits; with an app, those of its limits that have no
        key in any case. What has waited for longest comes first."""
        ids = None if function is None else [self._function_id(function, "queues")]
        return list(backlogs.queues(self._world, self._app, ids))

    def _resume(self, hold: Hold) -> bool:
        message = Resume(number=hold.number, function=hold.function, run=hold.run)
        self._world.queue.send([Outgoing(message.body())])
        return end(self._world, hold)

    def _header(self, run_id: str, what: str) -> Header:
        header = self._world.store.get_header(run_id)
        if header is None:
            raise RunNotFoundError(f"there is no run {run_id!r} to {what}")
        return header

    def _function_id(self, function: Function[Any, Any] | str, what: str) -> str:
        if not isinstance(function, str | Function):
            raise ConfigurationError(f"{what}() takes a function or its id, and this is {function!r}")
        id = function if isinstance(function, str) else function.id
        if self._app is not None and id not in self._app.functions:
            known = ", ".join(map(repr, self._app.functions)) or "none"
            raise ConfigurationError(f"the app has no function {id!r}; it has {known}")
        return id

    def send_signal(self, name: str, data: Any = None) -> bool:
        """Send a signal to the run that waits for it. True if this did it, False if nobody waits."""
        check_signal(name, "client.send_signal()")
        text = signal_text(name, data)
        if self._app is None and (holder := self._world.store.signal_holder(name)) is not None:
            self._check_plain(holder.run_id)
        payloads.check_size(text, self._limit, f"the data of signal {name!r}")
        return signals.send(self._world, name, text, tag(uuid4().hex))

    def complete_callback(self, token: str, result: Any = None) -> bool:
        """Hand a callback's token back with a result. True if this did it, False if it was settled already or
        nobody waits any more. Raises CallbackTokenError for a token that is none of this app's."""
        text = codec().encode(result)
        payloads.check_size(text, self._limit, "the result of the callback")
        if self._app is None:
            self._check_plain(read_token(token).journal_id)
        return callbacks.complete(self._world, token, text, tag(uuid4().hex))

    def fail_callback(self, token: str, error: str | BaseException) -> bool:
        """Hand a callback's token back with a failure, which is a CallbackError in the run; otherwise as
        `complete_callback`."""
        failure = callback_failure(error)
        if self._app is None:
            self._check_plain(read_token(token).journal_id)
        return callbacks.fail(self._world, token, failure, tag(uuid4().hex))

    def heartbeat_callback(self, token: str) -> bool:
        """Say that what a callback waits for is still at work. True if the run still waits; otherwise as
        `complete_callback`."""
        return callbacks.heartbeat(self._world, token)

    def _check_plain(self, journal_id: str) -> None:
        """Refuses to write an answer as it is to a run that keeps everything encoded, which takes the app."""
        header = self._world.store.get_header(run_of_journal(journal_id))
        if header is not None and not is_plain(payloads.read(self._world.blobs, header.event)):
            raise ConfigurationError(
                f"run {header.run_id} of {header.function_id!r} keeps what it is told encoded by its app's middleware: "
                "give the client the app, Client(app, stack=...), and a command --app path/to/app.py"
            )

    # -- helpers -------------------------------------------------------------------------------------

    @property
    def _limit(self) -> int:
        return self._app.max_output if self._app is not None else payloads.MAX_OUTPUT

    def _encode(self, value: Any) -> str:
        text = plain_json(value)
        payloads.check_size(text, self._limit, "the data of the event")
        return text

    def _function_ids(self, function: Function[Any, Any] | str | None) -> list[str]:
        if function is None:
            if self._app is None:
                raise ConfigurationError("runs() without a function needs a Client(app)")
            return list(self._app.functions)
        return [function if isinstance(function, str) else function.id]


def _check_choice(value: object, choices: Any, what: str) -> None:
    if value not in get_args(choices):
        allowed = " or ".join(map(repr, get_args(choices)))
        raise ConfigurationError(f"{what}: expected {allowed}, got {value!r}")


def _connect(stack: str | None) -> World:
    from .aws.settings import Settings
    from .aws.world import connect

    settings = Settings.from_environment(worker=False) if stack is None else Settings.from_stack(stack)
    return connect(settings, NoExecutor())


def _check_run_id(run_id: object) -> str:
    if (
        not isinstance(run_id, str)
        or not 1 <= len(run_id) <= LONGEST_RUN_ID
        or "/" in run_id
        or "#" in run_id
    ):
        raise ConfigurationError(
            f"a run id has 1 to {LONGEST_RUN_ID} characters, without `/` and `#`, and this is {run_id!r}"
        )
    return run_id
