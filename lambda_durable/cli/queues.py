"""`lambda-durable queues`: what waits in a deployed app."""

from __future__ import annotations

import sys

from ..durations import spell
from ..queues import Queue
from .deployed import deployed
from .display import Display
from .plain import write_json
from .remarks import remark
from .timeline import stamp


def list_queues(function: str | None, *, app: str | None, stack: str | None, as_json: bool) -> None:
    """Print them. Raises UsageError and FailedError."""
    with deployed(stack, app) as client:
        found = client.queues(function)
    if as_json:
        write_json([queue.model_dump(mode="json") for queue in found], sys.stdout)
        return
    display = Display(sys.stdout)
    for queue in found:
        name = queue.kind if queue.counts is None else f"{queue.kind} of {queue.counts}"
        style = "yellow" if queue.paused else ""
        display.columns(
            [(queue.function_id or "(the app)", 24, "bold"), (name, 22, style), (_told(queue), 0, "")]
        )
    if not found:
        remark("queues", "nothing waits, and nothing is paused")


def _told(queue: Queue) -> str:
    if queue.kind == "function":
        least = "at least " if queue.more else ""
        held = f"paused, {least}{queue.held_events:,} events held, " if queue.paused else ""
        return f"{held}{least}{queue.waiting:,} messages held, {queue.skipped:,} runs skipped lately"
    told = []
    if queue.key is not None:
        told.append(f"key {queue.key or '(none)'}")
    if queue.limit is not None:
        told.append(f"{queue.in_use:,} of {queue.limit:,} in use")
    if queue.every is not None:
        told.append(f"one each {spell(queue.every)}")
    told.append(f"{queue.waiting:,} wait")
    if queue.oldest is not None:
        told.append(f"since {stamp(queue.oldest)}")
    if queue.delayed:
        told.append(f"{queue.delayed:,} had to")
    return ", ".join(told)
