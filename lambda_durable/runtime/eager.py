"""Eager starts: a run begins in the invocation that has written its header.

The message in hand is the run's driver then, as a continuation of generation 0 would be: it is acknowledged when the
next one is durable, or the run is over. Its redelivery finds a header and outcomes of its own, and goes on from there;
another message about the same event finds a header that is another's, and does nothing. Whatever is sent for the run
all the same (by who resumes its function, say) is of a later generation, and overtakes it.

One message begins one run so. Several runs each get a message, and so does one that something has to let pass first.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..engine.journal import Header
from ..events import MalformedEventError, from_eventbridge
from ..ports import Delivery, World
from .beginnings import was_begun
from .messages import Message, Scheduled, Start
from .run_ids import run_of_event, run_of_schedule

PROMPT = 2_000
"""Milliseconds that a message has waited in the ingress queue, above which those behind it come first: events end waits
and cancel runs, and nothing else takes them than as many invocations as `MaximumConcurrency` says."""

WHILE = 5.0
"""Seconds after which a run that an event has begun leaves its invocation to other events, before its next step."""


def may_begin_here(delivery: Delivery, *, last: bool) -> bool:
    """Whether the run that a message begins may go on at once: nobody in its batch waits behind it. One that comes
    again does so in any case: that a step killed the worker is charged to the deliveries of one message."""
    return last or delivery.receive_count > 1


def is_prompt(delivery: Delivery) -> bool:
    return delivery.waited <= PROMPT


def begun_by(world: World, runs: Sequence[str], tag: str) -> list[Header]:
    """Those of some runs that a message has begun in an earlier delivery."""
    headers = map(world.store.get_header, runs)
    return [header for header in headers if header is not None and was_begun(header, tag)]


def runs_of(world: World, message: Message) -> list[str]:
    """The ids of the runs that a message begins, as far as they are known."""
    if isinstance(message, Start):
        return [message.run]
    if isinstance(message, Scheduled):
        return [run_of_schedule(message)]
    if not isinstance(message, dict):
        return []
    try:
        stored = world.store.get_event(from_eventbridge(message).id)
    except MalformedEventError:
        return []
    return [run_of_event(stored, id) for id in stored.functions] if stored is not None else []
