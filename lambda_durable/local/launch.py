"""Runs ministack, and puts right what it does otherwise than AWS where a stack would notice.

A script of its own: the interpreter that has ministack need not have this package, and gets what it needs of it from
the file beside. What a later ministack has mended or moved is left as it is.
"""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

SCHEDULED_TIME = "<aws.scheduler.scheduled-time>"

SECONDS_TO_SAVE = 10
"""Until it is ended out of order, with every Lambda on it."""


def _wrap(module: Any, name: str, change: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    if callable(original := getattr(module, name, None)):
        setattr(module, name, change(original))


def _numbers_of_mappings(every_mapping: Callable[..., Any]) -> Callable[..., Any]:
    """CloudFormation gives a parameter's value as text, and AWS reads it as the number that it is."""

    def read(*args: Any, **options: Any) -> Iterator[Any]:
        for *scope, mapping in every_mapping(*args, **options):
            for holder in (mapping, mapping.get("ScalingConfig") or {}):
                for name in ("BatchSize", "MaximumBatchingWindowInSeconds", "MaximumConcurrency"):
                    if isinstance(holder.get(name), str):
                        holder[name] = int(holder[name])
            yield (*scope, mapping)

    return read


def _scheduled_time(invoke: Callable[..., Any]) -> Callable[..., Any]:
    """The Scheduler writes into a target's input when it was due."""

    def fire(target: Any, event: Any, rule: Any, *args: Any) -> Any:
        due = rule.get("ScheduleExpression", "") if isinstance(rule, dict) else ""
        if SCHEDULED_TIME in (target.get("Input") or ""):
            text = target["Input"].replace(SCHEDULED_TIME, _due(due, event.get("Time")))
            target = {**target, "Input": text}
        return invoke(target, event, rule, *args)

    return fire


def _due(expression: str, now: float) -> str:
    """When a schedule that fires now was due: a one-time one when it says, others in this very minute."""
    if once := re.fullmatch(r"at\((.+)\)", expression):
        return f"{once[1]}Z"
    return f"{datetime.fromtimestamp(now // 60 * 60, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _clock_that_goes_ahead(application: Callable[..., Any]) -> Callable[..., Any]:
    """Who skips time says so in a file: looked at before each request, as workers do before each invocation."""
    spec = importlib.util.spec_from_file_location("ahead", Path(__file__).with_name("ahead.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not (path := os.environ.get(module.VARIABLE)):
        return application
    ahead = module.Ahead(Path(path))
    ahead.follow()

    async def answer(*request: Any) -> None:
        ahead.follow()
        await application(*request)

    return answer


def _end_with_parent() -> None:
    """Who started us holds the other end of our standard input: it closes when they end, and be it by SIGKILL."""
    parent = os.dup(0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)

    def wait() -> None:
        while os.read(parent, 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(SECONDS_TO_SAVE)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, name="end-with-parent", daemon=True).start()


def main() -> None:
    from ministack import app
    from ministack.core import lambda_runtime
    from ministack.services import eventbridge, lambda_svc, scheduler

    _end_with_parent()
    # An empty AWS_ENDPOINT_URL of a function is none to an SDK, so it must not hide ministack's own.
    if (reserved := getattr(lambda_runtime, "_RESERVED_RUNTIME_ENV_VARS", None)) is not None:
        lambda_runtime._RESERVED_RUNTIME_ENV_VARS = {*reserved, "AWS_ENDPOINT_URL"}
    _wrap(lambda_svc, "_iter_all_esms", _numbers_of_mappings)
    _wrap(eventbridge, "_invoke_target", _scheduled_time)
    _wrap(app, "app", _clock_that_goes_ahead)
    scheduler._SCHEDULE_TICK_INTERVAL = 1  # seconds, of ten: a person waits for it
    app.main()


if __name__ == "__main__":
    main()
