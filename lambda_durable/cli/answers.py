"""`lambda-durable callback` and `lambda-durable signal`: what a run of a deployed app waits for."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from ..client import Client
from .deployed import deployed
from .json_data import read_data
from .plain import write_json
from .remarks import remark

Act = Callable[[Client], bool]

SETTLED = "it did nothing: the callback was settled already, has timed out, or its run is over"


def complete_callback(token: str, *, data: str | None, **where: Any) -> bool:
    """Whether it did. Raises UsageError and FailedError, as do all of these."""
    result = read_data(data)
    return _tell(
        "callback complete",
        lambda client: client.complete_callback(token, result),
        "completed",
        SETTLED,
        **where,
    )


def fail_callback(token: str, message: str, **where: Any) -> bool:
    return _tell(
        "callback fail",
        lambda client: client.fail_callback(token, message),
        "failed",
        SETTLED,
        **where,
    )


def heartbeat_callback(token: str, **where: Any) -> bool:
    return _tell(
        "callback heartbeat",
        lambda client: client.heartbeat_callback(token),
        "alive",
        SETTLED,
        **where,
    )


def send_signal(name: str, *, data: str | None, **where: Any) -> bool:
    content = read_data(data)
    nobody = f"nobody waits for signal {name!r}"
    return _tell("signal", lambda client: client.send_signal(name, content), "sent", nobody, **where)


def _tell(
    command: str, act: Act, done: str, otherwise: str, *, app: str | None, stack: str | None, as_json: bool
) -> bool:
    with deployed(stack, app) as client:
        did = act(client)
    if as_json:
        write_json({done: did}, sys.stdout)
    elif did:
        sys.stdout.write(f"{done}\n")
    if not did:
        remark(command, otherwise)
    return did
