"""Records and the like, with what a test does not care about filled in."""

from __future__ import annotations

from base64 import b64encode
from random import Random
from typing import Any

from lambda_durable.engine.journal import (
    Author,
    Failure,
    Header,
    Kind,
    LogEntry,
    Payload,
    Record,
    RunStatus,
    State,
)
from lambda_durable.errors import ErrorInfo
from lambda_durable.store import StoredEvent

NOW = 1_893_456_000_000
RUN = "01JZ8Q6Y7Z8A9B0C1D2E3F4G5H"
ME = Author(12, "Xy8abcde")
OTHER = Author(13, "Zz0other")
BOOM = ErrorInfo(type="shop.Boom", message='it said "boom" 💥', traceback="Traceback:\n  …", attempts=3)

HOSTILE = [
    "#",
    "!",
    "!a",
    "!p",
    "!t",
    "!t%2F000001",  # what paths.escape makes of "!t/000001"
    ".",
    "..",
    "//".replace("/", "%2F"),
    "%5B0%5D",  # "[0]", escaped
    "x:1",
    "charge",
    "e#1",
    " ",
    "\n\x00",
    "💥" * 256,
    "%2F" * 256,
    "é" * 256,
    "a" * 256,
]


def header(run_id: str = RUN, **changes: Any) -> Header:
    values: dict[str, Any] = {
        "run_id": run_id,
        "function_id": "checkout",
        "status": RunStatus.RUNNING,
        "event": Payload(text='{"id":"e1"}'),
        "author": ME,
        "created": NOW,
    }
    return Header(**values | changes)


def ended(run_id: str = RUN, status: RunStatus = RunStatus.COMPLETED, **changes: Any) -> Header:
    values: dict[str, Any] = {"status": status, "ended": NOW + 9, "ended_by": OTHER}
    return header(run_id, **values | changes)


def record(path: str = "charge", **changes: Any) -> Record:
    """A completed step, unless `changes` say otherwise."""
    values: dict[str, Any] = {
        "path": path,
        "kind": Kind.RUN,
        "state": State.COMPLETED,
        "author": ME,
        "began": NOW,
        "ended": NOW + 5,
        "attempts": 1,
        "output": Payload(text='"done"'),
    }
    return Record(**values | changes)


def pending(path: str = "charge", state: State = State.RUNNING, **changes: Any) -> Record:
    return record(path, **{"state": state, "ended": None, "attempts": 0, "output": None} | changes)


def retrying(attempts: int, path: str = "charge", **changes: Any) -> Record:
    values: dict[str, Any] = {"attempts": attempts, "error": BOOM, "wake_at": NOW + 1000}
    return pending(path, State.RETRYING, **values | changes)


def entry(position: int, **changes: Any) -> LogEntry:
    values: dict[str, Any] = {
        "author": ME,
        "order": {"": ["a", ":b"], "m[0]": ["m[0]/x"]},
        "dispatched": ("c",),
    }
    return LogEntry(position=position, **values | changes)


def failure(attempts: int) -> Failure:
    return Failure(attempts=attempts, seen=2, error=BOOM, wake_at=NOW + 5000, author=ME)


def event(id: str = "e1", **changes: Any) -> StoredEvent:
    values: dict[str, Any] = {
        "name": "store/checkout.completed",
        "time": NOW,
        "seen": NOW,
        "payload": Payload(text='{"sku":"💥"}'),
        "functions": ("checkout", "audit"),
        "author": ME,
    }
    return StoredEvent(id=id, **values | changes)


def noise(size: int) -> str:
    """Text that hardly gets smaller when it is packed."""
    return b64encode(Random(size).randbytes(size)).decode()[:size]
