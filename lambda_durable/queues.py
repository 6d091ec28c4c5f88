"""What waits, as it is seen from outside."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict

QueueKind = Literal["function", "concurrency", "throttle", "rate_limit", "singleton", "idempotency"]


class Queue(BaseModel):
    """What waits at a function (`kind` is "function"), or at one limit, for one value of its key.

    Of a function: whether it is `paused`, how many `held_events` become runs when it goes on, how many messages of its
    runs are held (`waiting`; both are at least so many, if there is `more` than the 10,000 or so that are counted), and
    how many of its newest 1,000 runs of the last 24 hours were `skipped`.

    Of a limit: `key` is the beginning of the key's value, as JSON ("" for events without one; None: it has no key),
    `limit` how many may be at work, or `every` how long it lets pass between two starts. `in_use` slots are taken,
    `waiting` is how many wait, and `oldest` since when the first of them does, less its head start. `delayed` is how
    many ever had to wait, since the limit was last free. `function_id` is None where functions of the app share it.
    """

    model_config = ConfigDict(frozen=True)

    kind: QueueKind
    function_id: str | None
    counts: Literal["steps", "runs"] | None = None
    key: str | None = None
    limit: int | None = None
    every: timedelta | None = None
    in_use: int = 0
    waiting: int = 0
    oldest: datetime | None = None
    delayed: int = 0
    skipped: int = 0
    paused: bool = False
    held_events: int = 0
    more: bool = False
