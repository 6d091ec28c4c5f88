"""How a function does, as far as the newest of its runs tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from pydantic import BaseModel

from ..runs import RunSummary

BUCKETS = 60
"""Points of a chart, at most."""

WIDTHS = [
    timedelta(**{unit: number})
    for unit, number in (
        ("seconds", 1), ("seconds", 5), ("seconds", 15), ("minutes", 1), ("minutes", 5), ("minutes", 15),
        ("hours", 1), ("hours", 3), ("hours", 6), ("days", 1), ("days", 7), ("days", 30), ("days", 365),
    )
]  # fmt: skip


class Bucket(BaseModel):
    """What began in a while from `start` on, by its status now."""

    start: datetime
    began: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    skipped: int = 0
    running: int = 0


class Latency(BaseModel):
    """Seconds from a run's beginning to its end, of those that have completed or failed."""

    p50: float
    p95: float
    longest: float


class Metrics(BaseModel):
    """Of the runs of a function that began from `since` to `until`. So many were `looked_at`, newest first; if that was
    not all, the oldest of them began at `looked_back_to`, and nothing is known of what began before. `failure_rate` is
    that of those which have completed or failed (None: none have)."""

    function_id: str
    since: datetime
    until: datetime
    looked_at: int
    looked_back_to: datetime | None
    bucket_seconds: float
    buckets: list[Bucket]
    counts: dict[str, int]
    failure_rate: float | None
    latency: Latency | None


def metrics_of(
    function_id: str, runs: Sequence[RunSummary], *, since: datetime, until: datetime, whole: bool
) -> Metrics:
    first = since if whole or not runs else max(runs[-1].created_at, since)
    width = next((each for each in WIDTHS if (until - first) / each < BUCKETS), WIDTHS[-1])
    counts = Counter(run.status for run in runs)
    over = counts["completed"] + counts["failed"]
    took = sorted(
        (run.ended_at - run.created_at).total_seconds()
        for run in runs
        if run.ended_at is not None and run.status in ("completed", "failed")
    )
    return Metrics(
        function_id=function_id,
        since=since,
        until=until,
        looked_at=len(runs),
        looked_back_to=None if whole or not runs else runs[-1].created_at,
        bucket_seconds=width.total_seconds(),
        buckets=_buckets(runs, first, until, width),
        counts={**counts},
        failure_rate=counts["failed"] / over if over else None,
        latency=Latency(p50=_at(took, 0.5), p95=_at(took, 0.95), longest=took[-1]) if took else None,
    )


def _buckets(runs: Sequence[RunSummary], first: datetime, until: datetime, width: timedelta) -> list[Bucket]:
    """From whole multiples of their width on, so that those of two looks are the same."""
    seconds = width.total_seconds()
    start = datetime.fromtimestamp(first.timestamp() // seconds * seconds, first.tzinfo)
    found: list[Counter[str]] = [Counter() for _ in range(int((until - start) / width) + 1)]
    for run in runs:
        place = int((run.created_at - start) / width)
        if 0 <= place < len(found):
            found[place][run.status if run.status in Bucket.model_fields else "running"] += 1
    return [
        Bucket(start=start + place * width, began=each.total(), **each) for place, each in enumerate(found)
    ]


def _at(ordered: Sequence[float], part: float) -> float:
    """The one that so large a part of them lies below."""
    return ordered[min(int(part * len(ordered)), len(ordered) - 1)]
