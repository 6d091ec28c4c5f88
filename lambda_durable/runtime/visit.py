"""A visit: one invocation's work on one message, across the replays that it takes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from heapq import heappop
from typing import TYPE_CHECKING, NamedTuple

from ..engine.journal import Header
from ..engine.operations import StepCall
from ..flow_control import MOST_AT_ONCE
from ..ports import Delivery, Invocation
from ..store import Lease
from .messages import Continuation, tag

if TYPE_CHECKING:
    from .attempts import Attempts
    from .feeds import Feed


class Running(NamedTuple):
    """A step whose function runs: since when the step is at it (milliseconds), since when this attempt is, and
    until when it may be (monotonic)."""

    op: StepCall
    began: int
    since: float
    until: float


@dataclass(slots=True)
class Visit:
    """One invocation's work on one message, across the replays that it takes."""

    delivery: Delivery
    invocation: Invocation
    message: Continuation
    """What the delivery says, or stands for: a redelivery would begin with it."""
    new: Header | None = None  # the run that it has just begun, so that there is nothing to load
    until: float = math.inf  # when the invocation is left to others (monotonic)
    loads: int = 0
    sent_again: set[str] = field(default_factory=set)  # what it handed out, as it would after a redelivery
    registered: set[str] = field(default_factory=set)  # waits that others can find for certain
    looks_again: dict[str, int] = field(default_factory=dict)  # by chain: when it sent who looks back again
    running: dict[str, Running] = field(default_factory=dict)
    limits: list[tuple[float, str]] = field(default_factory=list)  # a heap: until when they may run
    longest_step: float = 0.0  # seconds that an attempt took
    stuck: bool = False  # an attempt whose time was up can't be stopped: nothing may begin beside it
    left: bool = (
        False  # the function of a step that was abandoned, or interrupted with the invocation, may still run
    )
    has_stand_in: bool = False  # a message follows that replaces this one
    abandoned: dict[str, tuple[Attempts, Running]] = field(default_factory=dict)  # what may have to be undone
    strayed: dict[str, Continuation] = field(default_factory=dict)  # what it was about, and did not come to
    lease: Lease | None = None  # the slots that its steps' functions are called with
    keeps_place: bool = False  # in a line, where what goes on with the run lies
    most_slots: int = MOST_AT_ONCE  # of the gate where it is not its turn
    handed_over: bool = False  # to another version, which does all that is to be done
    missed: bool = False  # the code did not come to a step that is to be undone: all was loaded once more

    feed: Feed | None = None  # what it publishes of the run

    @property
    def stands_for(self) -> str | None:
        """The tag of the message that this one replaces."""
        return self.message.stands_for

    @property
    def first_limit(self) -> float:
        """When (monotonic) the first of the steps that run has had its time."""
        while self.limits:
            until, path = self.limits[0]
            running = self.running.get(path)
            if running is not None and running.until == until:
                return until
            heappop(self.limits)
        return math.inf

    @property
    def leaves_running(self) -> bool:
        """Whether a step's function may run on when this is over: until the process ends."""
        return bool(self.running) or self.stuck or self.left

    @property
    def tag(self) -> str:
        return self.message.stands_for or tag(self.delivery.message_id)
