"""`lambda-durable pause` and `lambda-durable resume`: a function, or a run, of a deployed app."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, cast

from ..client import Client
from ..errors import RunNotFoundError
from ..pauses import Events, Runs
from .deployed import deployed
from .plain import write_json
from .remarks import remark
from .usage_error import UsageError


def pause(target: str, *, events: str, runs: str, **where: Any) -> bool:
    """Whether it did. Raises UsageError and FailedError."""

    def a_run(client: Client) -> bool:
        if (events, runs) != ("hold", "hold") and client.get(target):
            raise UsageError(f"{target} is a run: --events and --runs are for functions")
        return client.pause_run(target)

    def a_function(client: Client) -> bool:
        return client.pause(target, events=cast(Events, events), runs=cast(Runs, runs))

    return _tell("pause", target, a_run, a_function, "paused", "is paused already", **where)


def resume(target: str, **where: Any) -> bool:
    """Whether it did. Raises UsageError and FailedError."""
    return _tell(
        "resume",
        target,
        lambda client: client.resume_run(target),
        lambda client: client.resume(target),
        "resumed",
        "was not paused",
        **where,
    )


def _tell(
    command: str,
    target: str,
    a_run: Callable[[Client], bool],
    a_function: Callable[[Client], bool],
    done: str,
    otherwise: str,
    *,
    app: str | None,
    stack: str | None,
    as_json: bool,
) -> bool:
    with deployed(stack, app) as client:
        try:
            did, what = a_run(client), "run"
        except RunNotFoundError:
            _check_function(client, target)
            did, what = a_function(client), "function"
    if as_json:
        write_json({done: did, what: target}, sys.stdout)
    elif did:
        sys.stdout.write(f"{done} {what} {target}\n")
    if not did:
        over = ", or over" if what == "run" and done == "paused" else ""
        remark(command, f"{what} {target} {otherwise}{over}")
    return did


def _check_function(client: Client, target: str) -> None:
    """Where no deploy has registered the functions yet, refuses what is probably a slip: one that has never run."""
    if client.functions() or any(queue.paused for queue in client.queues(target) if queue.kind == "function"):
        return
    if next(client.runs(target, limit=1), None) is None:
        raise UsageError(
            f"there is no run {target!r}, and no function {target!r} has ever run; if there is one, say --app APP"
        )
