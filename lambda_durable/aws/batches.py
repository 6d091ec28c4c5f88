"""Batches, as AWS takes them: at most so many entries, and a limit on their bytes together."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

T = TypeVar("T")

MOST_ENTRIES: Final = 10
"""Of SQS and EventBridge."""

PAUSES: Final = (0.1, 0.4, 1.6)
"""Seconds before entries that AWS refused for a reason of its own are sent again."""


def batches(
    items: Sequence[T], size: Callable[[T], int], most_bytes: int, *, most: int = MOST_ENTRIES
) -> Iterator[list[T]]:
    """Split what is to be sent. An entry that is too large by itself is a batch by itself."""
    batch: list[T] = []
    total = 0
    for item in items:
        bytes_ = size(item)
        if batch and (len(batch) == most or total + bytes_ > most_bytes):
            yield batch
            batch, total = [], 0
        batch.append(item)
        total += bytes_
    if batch:
        yield batch


def send_all(batch: list[T], send: Callable[[list[T]], tuple[list[T], str]]) -> None:
    """Send a batch, and what was refused of it again. `send` returns the refused entries and why.

    Raises PartlyRefusedError when some are refused to the end.
    """
    refused, why = send(batch)
    for pause in PAUSES:
        if not refused:
            return
        time.sleep(pause)
        refused, why = send(refused)
    if refused:
        raise PartlyRefusedError(
            f"{len(refused)} of {len(batch)} entries were refused, the last time with: {why}"
        )


class PartlyRefusedError(Exception):
    """AWS took a batch, but not all that is in it, and neither when that came again."""
