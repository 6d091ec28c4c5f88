"""`lambda-durable check --replay`: runs, replayed in other processes under another clock, with other random numbers,
hashes and settings."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..app import Durable
from ..errors import ConfigurationError
from ..testing.elsewhere import ITSELF, PROCESS, Repetition, judge
from ..testing.local_runtime import LocalRuntime
from ..verify.files import read_files, save
from ..verify.recording import Recording
from ..verify.report import as_plain, tell
from ..verify.verdict import Change, Difference, Outcome, Verdict
from .display import Display
from .event_files import check_wanted, read_events, scheduled_events
from .loading import load_app
from .run import START
from .usage_error import FailedError, UsageError

HASH_SEEDS = ("1", "2", "3")
"""One process for each: in the first, all else is varied as well."""


@dataclass(frozen=True, slots=True)
class Runs:
    """Which runs are replayed: those in files, or those that events start here, whose steps are then really run."""

    journals: Sequence[Path] = ()
    event: Path | None = None
    run_steps: bool = False

    def check(self) -> None:
        """Raises UsageError."""
        if self.journals and (self.event is not None or self.run_steps):
            raise UsageError("--journals are runs that were recorded: leave --event and --run-steps out")
        if not self.journals and not self.run_steps:
            raise UsageError(
                "--replay needs a run: recorded ones (--journals FOLDER, which `lambda-durable export` writes), or one "
                "that is made here (-e EVENT.json --run-steps), for which the functions of its steps are called"
            )
        if importlib.util.find_spec("time_machine") is None:
            raise UsageError(
                "--replay changes the clock with time-machine: pip install 'lambda-durable[cli]'"
            )

    def record(self, app: Durable) -> Iterator[Recording]:
        """The runs. Raises UsageError."""
        for journal in self.journals:
            try:
                yield from (recording for _, recording in read_files(journal))
            except ConfigurationError as error:
                raise UsageError(str(error)) from None
        if self.journals:
            return
        events = scheduled_events(app, start=START, seed=0) if self.event is None else None
        if events is None:
            assert self.event is not None
            events = read_events(self.event, start=START, seed=0)
            check_wanted(app, events)
        runtime = LocalRuntime(app, start=min(event.time for event in events))
        try:
            runtime.send(*events)
            runtime.drain()
            yield from (runtime.recording(run.run_id) for run in runtime.runs())
        finally:
            runtime.close()


def replay_runs(reference: str, runs: Runs) -> list[Repetition]:
    """How each run goes elsewhere. Raises UsageError and FailedError."""
    runs.check()
    with TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        app = load_app(reference)
        empty = []
        for recording in runs.record(app):
            header = recording.header
            if header.error is not None and not any(recording.records()):
                empty.append(
                    f"run {header.run_id} of {header.function_id!r} failed before its first step: "
                    f"{header.error.type}: {header.error.message}"
                )
            save(recording, folder)
        if empty:
            raise UsageError("\n".join([*empty, "nothing was compared, which says nothing about it"]))
        if not any(Path(folder).iterdir()):
            raise UsageError("there is no run to be replayed: nothing was started, or the journals are none")
        return [judge(replays) for replays in _replays(reference, folder)]


def show(repetitions: Iterable[Repetition], display: Display) -> None:
    for repetition in repetitions:
        verdict = repetition.verdict
        if not repetition.differs:
            continue
        display.words(
            [
                ("replay", "bold red"),
                (f"run {verdict.run_id} of {verdict.function_id!r}", "bold"),
                ("does not do elsewhere what it did", ""),
            ]
        )
        for each in verdict.differences:
            display.words([("   ", ""), (tell(each), "")])
        if repetition.depends_on:
            display.words([("    it depends on:", "dim"), (", ".join(repetition.depends_on), "")])


def summary(repetitions: Sequence[Repetition]) -> str:
    runs = "1 run" if len(repetitions) == 1 else f"{len(repetitions):,} runs"
    if differing := sum(each.differs for each in repetitions):
        return f"{differing:,} of {runs} did something else when replayed elsewhere"
    return f"replayed elsewhere, {runs} did the same, which is no proof"


def plain(repetition: Repetition) -> dict[str, Any]:
    return {
        **as_plain(repetition.verdict),
        "differs": repetition.differs,
        "depends_on": repetition.depends_on,
    }


def _replays(reference: str, folder: str) -> Iterator[dict[str, list[Verdict]]]:
    """The verdicts on each run, from all processes."""
    processes = [_start(reference, folder, seed) for seed in HASH_SEEDS]
    first, *others = [_result(process) for process in processes]
    for run_id, replays in first.items():
        found = {name: [_verdict(each) for each in several] for name, several in replays.items()}
        found[PROCESS] = [_verdict(each) for other in others for each in other[run_id][ITSELF]]
        yield found


def _start(reference: str, folder: str, seed: str) -> subprocess.Popen[str]:
    where = "elsewhere" if seed == HASH_SEEDS[0] else "here"
    return subprocess.Popen(
        [sys.executable, "-m", "lambda_durable.cli.replay_worker", reference, folder, where],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )


def _result(process: subprocess.Popen[str]) -> dict[str, dict[str, list[Any]]]:
    out, errors = process.communicate()
    if process.returncode:
        last = errors.strip().splitlines()[-1:] or [f"it ended with {process.returncode}"]
        raise FailedError(f"a process that was to replay the runs failed: {last[0]}")
    found: dict[str, dict[str, list[Any]]] = json.loads(out)
    return found


def _verdict(kept: dict[str, Any]) -> Verdict:
    differences = tuple(
        Difference(**{**each, "change": Change(each["change"])}) for each in kept["differences"]
    )
    return Verdict(
        **{**kept, "outcome": Outcome(kept["outcome"]), "differences": differences, "at": tuple(kept["at"])}
    )
