"""The client: what can be done with runs from outside a handler."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, TypeVar, overload
from uuid import uuid4

from .callbacks import callback_failure, read_token
from .connected import check_choice, check_run_id
from .durations import Duration, parse_duration, to_millis
from .engine.journal import Partition, RunStatus
from .errors import (
    ConfigurationError,
    RunCancelledError,
    RunFailedError,
    RunNotFoundError,
    RunSkippedError,
    RunTimeoutError,
)
from .events import Event, to_eventbridge_entry
from .following import Following
from .function import Function
from .lists import Lists
from .pauses import Events, Hold, Pause, Runs
from .ports import Outgoing
from .queues import Queue
from .repeats import Repeats
from .runs import Run, StepRecord
from .runtime import backlogs, callbacks, payloads, signals, starting
from .runtime.hooks import Hooks
from .runtime.large_events import wrap
from .runtime.messages import Continuation, Paused, Resume, tag
from .runtime.resuming import end
from .runtime.run_ids import run_id as make_run_id
from .runtime.views import load, run_of
from .serialization import codec, plain_data, to_plain
from .signals import check_signal, signal_text

D = TypeVar("D")
R = TypeVar("R")

POLL = 0.5
"""Seconds between two looks at a run that is waited for."""


class Client(Lists, Repeats, Following):
    """Sends events, starts, reads and cancels runs.

    `stack` is the CloudFormation stack whose app it is; without one, the environment says where things are:
    LAMBDA_DURABLE_TABLE, _BUCKET, _QUEUE_URL and _BUS, as in the worker. Region and credentials are boto3's
    own. With `app`, outputs are decoded to their functions' return types; without it they are plain values.

    Raises ConfigurationError, here and in any method: a missing setting, no credentials, no permission.
    """

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
        carrying = map(Hooks.of(self._app).carrying, events)
        timed = [replace(event, time=now) if event.time_is_default else event for event in carrying]
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
        run = check_run_id(run_id) if run_id is not None else make_run_id(to_millis(now), Event("x").id)
        plain = plain_data(data)
        carried = Hooks.of(self._app).carry()
        message = starting.start_message(self._world, id, run, plain, now, limit=self._limit, carried=carried)
        self._world.queue.send([Outgoing(message.body())])
        event = starting.invoked_event(plain, run, now, carried)
        return Run(run_id=run, function_id=id, status="queued", event=event, created_at=now)

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

    def overview(self, run_id: str) -> Run[Any]:
        """As `get`, for people to look at: its output is plain JSON values, and event, output and outputs of steps that
        lie in S3, since they are large, are left out (`truncated`). Raises RunNotFoundError."""
        world = replace(self._world, blobs=payloads.Unread())
        loaded = load(world, run_id)
        if loaded is None:
            raise RunNotFoundError(f"there is no run {run_id!r}")
        return run_of(world, *loaded, None)

    def step(self, run_id: str, step_id: str) -> StepRecord:
        """One step of a run, whole. Raises RunNotFoundError, also for a step that the run does not have."""
        run = self.overview(run_id)
        if (step := run.steps.get(step_id)) is None:
            raise RunNotFoundError(f"run {run_id!r} has no step {step_id!r}")
        if not step.truncated:
            return step
        header = self._header(run_id, "look at")
        record = self._world.store.get_record(header.journal_id, step_id)
        text = payloads.peek(self._world.blobs, record.output if record is not None else None)
        output = to_plain(text) if text is not None else None
        return step.model_copy(update={"output": output, "truncated": False})

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
        id, store = self.function_id_of(function, "pause"), self._world.store
        check_choice(events, Events, "pause(events=)")
        check_choice(runs, Runs, "pause(runs=)")
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
            self.function_id_of(function, "resume")
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
        """What waits: a `Queue` for each function (the one asked for, or those of the app), and one for each limit at
        which somebody waits; with an app, those of its limits that have no key in any case. What has waited for longest
        comes first."""
        ids = None if function is None else [self.function_id_of(function, "queues")]
        return list(backlogs.queues(self._world, self._app, ids))

    def _resume(self, hold: Hold) -> bool:
        message = Resume(number=hold.number, function=hold.function, run=hold.run)
        self._world.queue.send([Outgoing(message.body())])
        return end(self._world, hold)

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
