"""An invocation that finds nothing to do: what the worker itself adds to its AWS calls.

The store answers from memory, so nothing but our own code is measured.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from lambda_durable.durations import to_millis
from lambda_durable.engine.journal import Author, Header, Kind, Partition, Payload, Record, RunStatus, State
from lambda_durable.event_json import dump_event
from lambda_durable.pauses import Pause
from lambda_durable.ports import Delivery, Invocation, World
from lambda_durable.runtime.messages import Continuation
from lambda_durable.runtime.starting import invoked_event
from lambda_durable.runtime.worker import Worker

from .replays import app

NOW = datetime(2025, 1, 1, tzinfo=UTC)


class Clock:
    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return time.monotonic()


class SleepingRun:
    """A store with one run, whose first step another message has just committed."""

    def __init__(self, status: RunStatus) -> None:
        event = Payload(text=dump_event(invoked_event({"steps": 3}, "e", NOW)))
        author = Author(0, "start")
        self.header = Header(
            run_id="r", function_id="sync", status=status, event=event, author=author, created=to_millis(NOW)
        )

    def pauses(self, *, latest: bool = False) -> Mapping[str, Pause]:
        return {}

    def load_run(self, run_id: str) -> tuple[Header, Partition]:
        first = Record(
            path="s0",
            kind=Kind.RUN,
            state=State.COMPLETED,
            author=Author(5, "other"),
            began=0,
            ended=1,
            attempts=1,
            output=Payload(text="0"),
        )
        return self.header, Partition("", {"s0": first})


def _invoke(status: RunStatus) -> Callable[[], None]:
    nothing: Any = None
    store: Any = SleepingRun(status)
    world = World(
        clock=Clock(),
        store=store,
        blobs=nothing,
        queue=nothing,
        scheduler=nothing,
        bus=nothing,
        executor=nothing,
    )
    worker = Worker(app, world)
    delivery = Delivery(Continuation(run="r", generation=1).body(), "message")

    def invoke() -> None:
        worker.handle(delivery, Invocation(deadline=time.monotonic() + 60))

    return invoke


INVOCATIONS: dict[str, Callable[[], None]] = {
    "the run is over": _invoke(RunStatus.COMPLETED),
    "another message has gone on": _invoke(RunStatus.RUNNING),
}
