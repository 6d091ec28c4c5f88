"""Gathering: a run begins with what was collected for it."""

from __future__ import annotations

from ..engine.journal import Author
from ..event_json import join_events, load_event
from ..function import App
from ..ports import Delivery, World
from . import payloads
from .beginnings import Begun, NewRun, begin, set_off
from .collecting import Collecting, Newcomer, leave_a_stand_in, run_of
from .messages import Gather, tag


def collects(app: App, function_id: str) -> bool:
    """Whether a function is started with events that were collected."""
    function = app.functions.get(function_id)
    return function is not None and function.flow.collects


def collect(world: World, app: App, newcomer: Newcomer, delivery: Delivery, *, alone: NewRun) -> Begun | None:
    """An event joins what its function collects. The run that starts with that at once, if one does.
    `alone` is the run that it starts where a deploy has put an end to collecting."""
    if not collects(app, alone.function_id):
        return begin(world, app, alone)
    filled = _collecting(world, app, alone.function_id).join(newcomer)
    return _gather(world, app, filled, delivery, stragglers=True) if filled is not None else None


def gather(world: World, app: App, message: Gather, delivery: Delivery) -> None:
    """A function is to be started with what it has collected."""
    set_off(world, [_gather(world, app, message, delivery)])


def _collecting(world: World, app: App, function_id: str) -> Collecting:
    function = app.functions.get(function_id)
    return Collecting(world, function_id, function.flow if function is not None else None, app.max_output)


def _gather(
    world: World, app: App, message: Gather, delivery: Delivery, *, stragglers: bool = False
) -> Begun | None:
    """Begin the run of what was collected, if its time has come. None if its first message is not ours to send."""
    run, collecting = run_of(message), _collecting(world, app, message.function)
    author = Author(0, message.stands_for or tag(delivery.message_id))
    found, began, text = world.store.get_header(run), None, ""
    if found is None:
        texts = collecting.ready(message, stragglers=stragglers)
        if not texts:
            return None
        text = join_events(texts)
    elif found.author.tag == author.tag:
        text = payloads.read(world.blobs, found.event)
    if delivery.receive_count > 1:
        leave_a_stand_in(world, message, author.tag)
    if text:
        first = load_event(text)
        new = NewRun(run_id=run, function_id=message.function, event=first, author=author, text=text)
        began = begin(world, app, new)
    present = began.header if began is not None else found or world.store.get_header(run)
    assert present is not None
    collecting.over(message, present.event_id, mine=began is not None)
    return began
