"""The end of it: until all runs have ended, and what was set for later has come and done nothing."""

from __future__ import annotations

import sys
import time
from datetime import timedelta

from chaos.kinds import CHILDREN, KINDS
from chaos.stage import Stage

ENDED = ("completed", "failed", "cancelled", "skipped")

LONGEST_WAIT = timedelta(hours=2)
LONGEST_DELAY = timedelta(minutes=16)

TICK = 0.03
"""Seconds between two looks."""


def open_runs(stack: Stage) -> int:
    client = stack.deployment.client
    return sum(each.status not in ENDED for kind in (*KINDS, CHILDREN) for each in client.runs(kind))


def let_pass(stack: Stage) -> timedelta:
    """Have all messages and schedules come that are still to come. By how much the clock was moved."""
    stack.jump(LONGEST_WAIT)
    moved = LONGEST_WAIT
    for _ in range(8):
        while not stack.idle():
            time.sleep(TICK)
        if not stack.pending():
            break
        stack.jump(LONGEST_DELAY)
        moved += LONGEST_DELAY
    return moved


def report(text: str) -> None:
    """Tell a person who waits."""
    print(text, file=sys.stderr, flush=True)
