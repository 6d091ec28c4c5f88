"""The allowance of a turn: how much of what can be started is started in the invocation at hand."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..config import StepsPerInvocation
from ..engine.journal import Kind
from ..engine.operations import FanOut, Operation, Sleep, StepCall, Wait
from .chain import Chain

WIDE = 8
"""With "auto", more parallel steps than this run in one invocation, and so do a map's after as many outcomes:
in an invocation of its own, each would read all the others'."""

MARGIN = 0.1
"""The part of an invocation's time that is kept for handing over. Nothing new starts in it, nor when there
is less time left than the longest step so far has taken."""


class Allowance:
    """What `steps_per_invocation`, and the time, leave for one turn of a chain."""

    def __init__(self, chain: Chain, mode: StepsPerInvocation) -> None:
        self._chain = chain
        self._mode = mode
        self._steps: float
        if mode == "all":
            self._steps = math.inf
        elif mode == "auto":
            # In proportion to what was read for it, so that the sum of all reads is, too.
            self._steps = max(1, chain.items_loaded // 4)
        else:
            self._steps = mode

    @property
    def is_used_up(self) -> bool:
        return self._steps < 1

    def spend(self) -> None:
        """A step begins here."""
        self._steps -= 1

    def has_room_for(self, ops: Sequence[Operation]) -> bool:
        """Whether all of it can run here."""
        if self._mode == "auto" and len(ops) > WIDE and all(isinstance(op, StepCall) for op in ops):
            return True
        if (
            self._mode == "auto"
            and self._chain.items_loaded > WIDE
            and all(op.kind is Kind.MAP for op in ops)
        ):
            return True
        return sum(map(_cost, ops)) <= self._steps

    @property
    def is_out_of_time(self) -> bool:
        """Whether nothing more may begin in this invocation."""
        visit = self._chain.visit
        if visit.stuck or self._chain.world.clock.monotonic() >= visit.until:
            return True
        return self._chain.remaining() <= max(visit.invocation.timeout * MARGIN, visit.longest_step)


def _cost(op: Operation) -> int:
    """How many steps it is at least."""
    if isinstance(op, Sleep | Wait):
        return 0
    return len(op.keys) if isinstance(op, FanOut) else 1
