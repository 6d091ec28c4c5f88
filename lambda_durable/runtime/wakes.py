"""Messages that come at a time: up to 15 minutes by SQS's delay, later by a schedule."""

from __future__ import annotations

import hashlib
import math
from datetime import timedelta

from ..durations import from_millis
from ..ports import Invocation, Outgoing, World

LONGEST_DELAY = 900
"""Seconds. SQS: DelaySeconds is at most 900; what is due later goes through a schedule."""

SKEW = 5_000
"""Milliseconds by which two hosts' clocks may differ."""


def lifetime(invocation: Invocation) -> int:
    """Milliseconds after which an invocation of this Lambda that runs now is surely gone."""
    return round(invocation.timeout * 1000) + SKEW


def patience(invocation: Invocation) -> int:
    """Milliseconds in which a living chain writes something: an invocation that dies at once, its message's
    visibility timeout (the Lambda's timeout and a minute), and another invocation."""
    return 2 * lifetime(invocation) + 60_000


def send_at(world: World, body: str, at: int, *, now: int, name: str, late: bool = False) -> None:
    """Have a message delivered at `at` (milliseconds), never sooner than `now`.

    at() fires anywhere within its minute, so a schedule is set to the minute before, and who is woken goes
    back for the rest. One that is to be `late` may come a minute later instead. `name` tells schedules apart:
    one with an equal name and time is made once.
    """
    seconds = math.ceil((max(at, now) - now) / 1000)
    if seconds <= LONGEST_DELAY:
        world.queue.send([Outgoing(body, seconds)])
        return
    minute = from_millis(at).replace(second=0, microsecond=0) + timedelta(minutes=1 if late else -1)
    digest = hashlib.sha256(f"{name}/{minute}".encode()).hexdigest()
    world.scheduler.schedule(digest[:48], minute, body)
