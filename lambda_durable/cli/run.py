"""`lambda-durable run`: an event becomes finished runs, on a LocalRuntime."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from ..app import Durable
from ..config import StepsPerInvocation, check_steps_per_invocation
from ..costs import pricing
from ..errors import ConfigurationError, DurableError, RunNotFoundError
from ..events import Event
from ..runs import Run
from .event_files import check_wanted, read_events, scheduled_events
from .loading import load_app
from .plain import as_plain, plain_value, write_json
from .timeline import Timeline
from .usage_error import UsageError
from .watching import WatchedRuntime

START = datetime(2025, 1, 1, tzinfo=UTC)
"""When events happen that don't say it. Fixed, so that the same event gives the same run."""


def run_event(
    reference: str, path: Path | None, *, as_json: bool, steps_per_invocation: str | None, seed: int
) -> bool:
    """Run an app on an event file, or on its schedules. Whether all runs completed. Raises UsageError."""
    stdout = sys.stdout
    # What the user's code prints must not get among the JSON.
    with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
        mode = _mode(steps_per_invocation)
        app = load_app(reference)
        if path is None:
            events = scheduled_events(app, start=START, seed=seed)
        else:
            events = read_events(path, start=START, seed=seed)
            check_wanted(app, events)
        return _Report(app, events, mode, seed, stdout, as_json=as_json).run()


def _mode(text: str | None) -> StepsPerInvocation | None:
    if text is None:
        return None
    try:
        return check_steps_per_invocation(int(text) if text.lstrip("-").isdigit() else text)
    except ConfigurationError:
        raise UsageError(
            f"--steps-per-invocation is a number from 1, all or auto, and this is {text!r}"
        ) from None


class _Report:
    """One execution of the command, and what is shown of it."""

    def __init__(
        self,
        app: Durable,
        events: Sequence[Event[Any]],
        mode: StepsPerInvocation | None,
        seed: int,
        stdout: IO[str],
        *,
        as_json: bool,
    ) -> None:
        from .display import Display

        self._app = app
        self._events = events
        self._stdout = stdout
        self._as_json = as_json
        self._display = Display(stdout)
        wanted = [
            function for event in events for function in app.functions.values() if function.wants(event)
        ]
        self._timeline = Timeline(
            now=lambda: self._runtime.now(),
            show=(lambda _: None) if as_json else self._display.line,
            several=len(wanted) > 1,
        )
        self._runtime = WatchedRuntime(
            app,
            listener=self._timeline,
            start=min(event.time for event in events),
            steps_per_invocation=mode,
            seed=seed,
        )

    def run(self) -> bool:
        logging.getLogger("lambda_durable.failed_runs").setLevel(
            logging.CRITICAL
        )  # the timeline tells of them
        runtime = self._runtime
        try:
            runtime.send(*self._events)
        except DurableError as error:
            raise UsageError(f"the event cannot be sent: {error}") from None
        runtime.drain()
        calls, invocations, usage = runtime.calls.copy(), runtime.invocations, runtime.usage
        charges = pricing.bill(
            calls,
            invocations=invocations,
            read_units=usage.read_units,
            write_units=usage.write_units,
            index_units=usage.index_units,
            events=len(self._events),
            schedules=calls["scheduler:CreateSchedule"],
        )
        runs = [run for run_id in self._timeline.started if (run := self._get(run_id)) is not None]
        for letter in runtime.dead_letters:
            self._complain(f"a message was given up: {letter.reason}")
        if not runs:
            self._complain("nothing was started")
        if self._as_json:
            self._print_json(runs)
        else:
            self._print_end(runs)
            self._display.heading("AWS calls")
            self._display.calls(calls, invocations)
            self._display.heading("What it would cost" if len(runs) == 1 else "What they would cost")
            self._display.bill(charges)
        return bool(runs) and all(run.status == "completed" for run in runs) and not runtime.dead_letters

    def _get(self, run_id: str) -> Run[Any] | None:
        try:
            return self._runtime.get(run_id)
        except RunNotFoundError:
            return None

    def _print_end(self, runs: Sequence[Run[Any]]) -> None:
        for run in runs:
            whose = f" of {run.function_id}" if len(runs) > 1 else ""
            if run.error is not None:
                self._display.heading(f"Error{whose}")
                self._display.error(run.error)
            elif run.status == "completed":
                self._display.heading(f"Result{whose}")
                self._display.value(plain_value(run.output))
            else:
                self._complain(f"run {run.run_id} of {run.function_id!r} did not end: it is {run.status}")

    def _print_json(self, runs: Sequence[Run[Any]]) -> None:
        shown = [as_plain(run) for run in runs]
        single = len(self._events) == 1 and len(shown) == 1
        write_json(shown[0] if single else shown, self._stdout)

    def _complain(self, message: str) -> None:
        print(f"lambda-durable run: {message}", file=sys.stderr)  # noqa: T201
