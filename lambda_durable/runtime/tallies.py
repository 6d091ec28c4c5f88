"""Tallies: what becomes of runs and steps is counted, and what people look for is told of in the log.

A line names run, function and step, and the type of an error: what it says may hold what is in the event.
"""

from __future__ import annotations

import logging
from typing import Literal

from ..durations import from_millis
from ..engine import paths
from ..engine.journal import Header, Record, RunStatus
from ..metrics import (
    RUN_DURATION,
    RUNS_CANCELLED,
    RUNS_COMPLETED,
    RUNS_DELAYED,
    RUNS_FAILED,
    RUNS_SKIPPED,
    RUNS_STARTED,
    STEP_FAILURES,
    STEP_LATENCY,
    STEP_RETRIES,
    Metrics,
)

logger = logging.getLogger(__name__)

_ENDS = {
    RunStatus.COMPLETED: RUNS_COMPLETED,
    RunStatus.FAILED: RUNS_FAILED,
    RunStatus.CANCELLED: RUNS_CANCELLED,
}


def begun(metrics: Metrics, header: Header) -> None:
    """A run was begun."""
    metrics.add(RUNS_STARTED, 1, header.function_id)


def over(metrics: Metrics, header: Header) -> None:
    """A run has ended."""
    metrics.add(_ENDS[header.status], 1, header.function_id)
    if header.ended is not None:
        metrics.add(RUN_DURATION, header.ended - header.created, header.function_id)


def kept_from(
    metrics: Metrics, what: Literal["skipped", "delayed"], run_id: str, function_id: str, why: str
) -> None:
    """A run was skipped or delayed."""
    logger.info(
        "run %s of function %r is %s: %s",
        run_id,
        function_id,
        what,
        why,
        extra={"run_id": run_id, "function_id": function_id},
    )
    metrics.add(RUNS_SKIPPED if what == "skipped" else RUNS_DELAYED, 1, function_id)


def attempted(metrics: Metrics, header: Header, record: Record, seconds: float) -> None:
    """An attempt of a step has ended as the record says; it took so long."""
    metrics.add(STEP_LATENCY, round(seconds * 1000, 3), header.function_id)
    if record.error is None:
        return
    metrics.add(STEP_FAILURES if record.final else STEP_RETRIES, 1, header.function_id)
    again = (
        f"the next is due at {from_millis(record.wake_at).isoformat()}" if record.wake_at else "it has failed"
    )
    logger.info(
        "attempt %d of step %r failed, and %s: %s (run %s of function %r)",
        record.attempts,
        paths.shown(record.path),
        again,
        record.error.type,
        header.run_id,
        header.function_id,
        extra={
            "run_id": header.run_id,
            "function_id": header.function_id,
            "step_id": paths.shown(record.path),
            "attempt": record.attempts,
        },
    )
