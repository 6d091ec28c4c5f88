"""Run ids: 26 characters that sort by time, and are the same whenever the same run is begun again."""

from __future__ import annotations

import hashlib

from ..durations import to_millis
from ..store import StoredEvent
from .messages import Scheduled

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32, as in a ULID


def run_id(time: int, *parts: str) -> str:
    """The id of the run that `parts` (event id, function id) begin, at a time in milliseconds."""
    digest = hashlib.sha256("\0".join(parts).encode()).digest()[:10]
    number = (time & (1 << 48) - 1) << 80 | int.from_bytes(digest)
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))


def run_of_event(stored: StoredEvent, function_id: str) -> str:
    """The run of a function that an event starts: it follows from what was stored first."""
    return run_id(stored.time, stored.id, str(stored.seen), function_id)


def run_of_schedule(message: Scheduled) -> str:
    """The run that a schedule starts, at the time that was due."""
    time = to_millis(message.time)
    return run_id(time, message.function, message.schedule, message.timezone, str(time))
