"""Ingress: an event becomes runs.

Everything is derived from the event as it was stored first, so doing it again finishes what was begun and
starts nothing twice: which functions it starts, the runs' ids, their headers.
"""

from __future__ import annotations

import logging
import math
from datetime import UTC
from random import Random
from typing import Any

from ..durations import LONGEST, in_millis, to_millis
from ..engine.journal import Author, Payload
from ..errors import DamagedItemError
from ..event_json import dump_event, load_event
from ..events import SCHEDULED, Event, MalformedEventError, from_eventbridge
from ..function import App
from ..ports import Delivery, World
from ..store import StoredEvent
from . import payloads
from .arrivals import Arrived
from .beginnings import Begun, NewRun, begin, set_off
from .collecting import Newcomer, keep_for
from .gathering import collect, collects
from .held_events import is_held_back
from .large_events import unwrap
from .messages import Arrival, PoisonError, Postponed, Scheduled, tag
from .run_ids import run_of_event, run_of_schedule
from .starting import kept
from .wakes import SKEW, send_at

DEDUPE = 24 * 60 * 60 * 1000
"""Milliseconds from the first event with an id in which a second one starts nothing."""

LATE = 1.0
"""Seconds after which the run that an event starts begins, though the event ends more waits: a message ends those."""

logger = logging.getLogger(__name__)


def event(
    world: World,
    app: App,
    record: dict[str, Any],
    delivery: Delivery,
    until: float = math.inf,
    *,
    eagerly: bool = False,
) -> tuple[list[str], Begun | None]:
    """An event that came over the bus: start every function that wants it, at the event's time if that is to
    come, and wake who waits for it. What is not done `until` then (monotonic) goes to a message of its own.
    Returns the runs' ids, also of those that were started before; and the one that is to begin `eagerly`. Raises
    PoisonError."""
    try:
        arrived = from_eventbridge(unwrap(world, record))
    except MalformedEventError as error:
        raise PoisonError(f"the message is no EventBridge event: {error}") from None
    now = to_millis(world.clock.now())
    author = Author(0, tag(delivery.message_id))
    if to_millis(arrived.time) > now + in_millis(LONGEST):
        raise PoisonError(
            f"event {arrived.name!r} is of {arrived.time.isoformat()}, more than ten years away"
        )
    text = kept(arrived, app.max_output)
    functions = tuple(id for id, function in app.functions.items() if function.wants(arrived))
    stored = world.store.add_event(
        StoredEvent(
            id=arrived.id,
            name=arrived.name,
            time=to_millis(arrived.time),
            seen=now,
            payload=payloads.store(
                world.blobs, f"events/{tag(arrived.id)}", text, inline=payloads.INLINE_OUTPUT
            ),
            functions=functions,
            author=author,
            collected=tuple(id for id in functions if collects(app, id)),
        ),
        dedupe_after=now - DEDUPE,
    )
    if not stored.functions:
        logger.info("event %r (%r) starts no function", stored.name, stored.id)
    elif stored.author != author:
        logger.info("event %r (%r) came before, and starts nothing again", stored.name, stored.id)
    first = load_event(payloads.read(world.blobs, stored.payload))
    starts = stored.time if stored.time > stored.seen + SKEW else None
    runs = {id: run_of_event(stored, id) for id in stored.functions}
    again = (stored.seen, stored.author) != (now, author)
    began, collected = [], []
    for id in stored.functions:
        new = NewRun(run_id=runs[id], function_id=id, event=first, author=author, starts=starts)
        if is_held_back(world, app, new, stored.seen):
            continue
        if id not in stored.collected:
            began.append(begin(world, app, new))
        elif starts is not None:
            del runs[id]
            keep_for(world, stored.payload, starts)
            _postpone(world, Postponed(function=id, event=stored.id, at=starts), now)
        else:
            del runs[id]
            newcomer = Newcomer(first, stored.payload, len(text.encode()), stored.seen, again)
            collected.append(collect(world, app, newcomer, delivery, alone=new))
    set_off(world, collected)
    eager = set_off(world, began, eagerly=eagerly)
    if eager is not None:
        until = min(until, world.clock.monotonic() + LATE)
    try:
        Arrived(world, stored, first, author.tag, delivery.receive_count > 1).wake(until)
    except DamagedItemError:
        set_off(world, [eager])
        raise
    return list(runs.values()), eager


def arrival(world: World, message: Arrival, delivery: Delivery, until: float) -> None:
    """An event that ends more waits than one invocation has time for."""
    stored = world.store.get_event(message.event)
    if stored is None:
        raise PoisonError(f"the event {message.event!r}, which was to end waits, is gone")
    first = load_event(payloads.read(world.blobs, stored.payload))
    Arrived(world, stored, first, tag(delivery.message_id), delivery.receive_count > 1).wake(until, message)


def postponed(world: World, app: App, message: Postponed, delivery: Delivery) -> None:
    """An event that was to come: its time has come, or it goes back until then."""
    now = to_millis(world.clock.now())
    if message.at > now:
        _postpone(world, message, now)
        return
    stored = world.store.get_event(message.event)
    if stored is None:
        raise PoisonError(
            f"the event {message.event!r}, which was to start function {message.function!r}, is gone"
        )
    text = payloads.read(world.blobs, stored.payload)
    event = load_event(text)
    alone = NewRun(
        run_id=run_of_event(stored, message.function),
        function_id=message.function,
        event=event,
        author=Author(0, tag(delivery.message_id)),
    )
    if is_held_back(world, app, alone, message.at):
        return
    newcomer = Newcomer(event, stored.payload, len(text.encode()), message.at, again=True)
    set_off(world, [collect(world, app, newcomer, delivery, alone=alone)])


def scheduled(
    world: World, app: App, message: Scheduled, delivery: Delivery, *, eagerly: bool = False
) -> Begun | None:
    """A schedule that was due. Its run follows from function, trigger and the time that was due, so that one
    which fires twice, or by two expressions at once, starts one run, and its jitter is the same each time. Returns the
    run if it is to begin `eagerly`."""
    time, run = to_millis(message.time), run_of_schedule(message)
    data = {"schedule": message.schedule, "timezone": message.timezone}
    due = Event(name=SCHEDULED, data=data, id=run, time=message.time.astimezone(UTC))
    put_off = time + round(message.jitter * 1000 * Random(run).random())
    new = NewRun(
        run_id=run,
        function_id=message.function,
        event=due,
        author=Author(0, tag(delivery.message_id)),
        starts=put_off if put_off > to_millis(world.clock.now()) else None,
    )
    if is_held_back(world, app, new, time):
        return None
    if not collects(app, message.function):
        return set_off(world, [begin(world, app, new)], eagerly=eagerly)
    if new.starts is not None:
        now = to_millis(world.clock.now())
        send_at(world, delivery.body, new.starts, now=now, name=f"{run}/{message.function}")
    else:
        text = dump_event(due)
        newcomer = Newcomer(due, Payload(text=text), len(text.encode()), put_off, again=True)
        set_off(world, [collect(world, app, newcomer, delivery, alone=new)])
    return None


def _postpone(world: World, message: Postponed, now: int) -> None:
    name = f"{message.event}/{message.function}/{message.at}"
    send_at(world, message.body(), message.at, now=now, name=name)
