"""Giving a message up: what it has begun goes on all the same."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from ..engine.journal import Header
from ..events import from_eventbridge
from ..ports import Delivery, Outgoing, World
from . import children
from .eager import begun_by, runs_of
from .messages import Arrival, Continuation, Message, PoisonError, Start, parse, tag


def give_up(world: World, message: Message, delivery: Delivery) -> None:
    """A message was received too often that is no continuation. If it has begun runs, it is what drove them: they are
    brought back, and if they are all, nothing is left to put aside."""
    mine, runs = tag(delivery.message_id), runs_of(world, message)
    begun = begun_by(world, runs, mine)
    for header in begun:
        bring_back(world, Continuation(run=header.run_id), header, mine)
    if begun and len(begun) == len(runs):
        if isinstance(message, dict):  # some who wait for the event may not know
            world.queue.send([Outgoing(Arrival(event=from_eventbridge(message).id).body())])
        return
    reason = "every invocation that took this message failed"
    if isinstance(message, Start):
        children.refuse(world, message, delivery, reason)
    world.queue.dead_letter(delivery, reason)


def bring_back(world: World, message: Continuation, header: Header | None, tag: str) -> None:
    """Bring a run back once whose message was given up, since an outage may be over."""
    messages = [message.as_check(gate=None, order=None, revived=1)]
    if header is not None and not header.runs_in(message.run):  # did it do what follows that?
        messages.append(replace(message, stands_for=tag, revived=1))
    world.queue.send([Outgoing(each.body()) for each in messages])


def leave(world: World, delivery: Delivery) -> None:
    """Nobody can make sense of a message any more; what it has begun before goes on."""
    mine = tag(delivery.message_id)
    with suppress(PoisonError):
        for header in begun_by(world, runs_of(world, parse(delivery.body)), mine):
            world.queue.send([Outgoing(Continuation(run=header.run_id, stands_for=mine).body())])
