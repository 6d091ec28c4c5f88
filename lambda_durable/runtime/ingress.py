"""Ingress: an event becomes runs.

Everything is derived from the event as it was stored first, so doing it again finishes what was begun and
starts nothing twice: which functions it starts, the runs' ids, their headers. A run's first message is sent
by whoever wrote its header, again if that one comes again.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

from ..durations import to_millis
from ..engine.journal import Author, Header, RunStatus
from ..errors import EventDataError, PayloadTooLargeError
from ..events import Event, MalformedEventError, from_eventbridge
from ..function import App
from ..ports import Delivery, Outgoing, StoredEvent, World
from ..schedules import SCHEDULED
from . import payloads
from .event_json import dump_event, load_event
from .messages import Continuation, PoisonError, Scheduled, Start, tag
from .run_ids import run_id

DEDUPE = 24 * 60 * 60 * 1000
"""Milliseconds from the first event with an id in which a second one starts nothing."""

logger = logging.getLogger(__name__)


def event(world: World, app: App, record: dict[str, Any], delivery: Delivery) -> list[str]:
    """An event that came over the bus: start every function that wants it. Returns the ids of the runs,
    also of those that were started before. Raises PoisonError."""
    try:
        arrived = from_eventbridge(record)
    except MalformedEventError as error:
        raise PoisonError(f"the message is no EventBridge event: {error}") from None
    now = to_millis(world.clock.now())
    author = Author(0, tag(delivery.message_id))
    text = _text(arrived, app)
    stored = world.store.add_event(
        StoredEvent(
            id=arrived.id,
            name=arrived.name,
            time=to_millis(arrived.time),
            seen=now,
            payload=payloads.store(
                world.blobs, f"events/{tag(arrived.id)}", text, inline=payloads.INLINE_OUTPUT
            ),
            functions=tuple(id for id, function in app.functions.items() if function.wants(arrived)),
            author=author,
        ),
        dedupe_after=now - DEDUPE,
    )
    first = load_event(payloads.read(world.blobs, stored.payload))
    runs, messages = [], []
    for id in stored.functions:
        run = run_id(stored.time, first.id, str(stored.seen), id)
        runs.append(run)
        message = _begin(world, app, run, id, first, author)
        if message is not None:
            messages.append(message)
    world.queue.send(messages)
    return runs


def start(world: World, app: App, message: Start, delivery: Delivery) -> None:
    """A function that was started directly."""
    text = message.event
    if text is None:
        if message.key is None:
            raise PoisonError("the message starts a function, and has no event")
        try:
            text = world.blobs.get(message.key)
        except KeyError:
            raise PoisonError(f"the message starts a function, and its event {message.key} is gone") from None
    try:
        invoked = load_event(text)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise PoisonError(f"the message starts a function with what is no event: {error}") from None
    _text(invoked, app)
    author = Author(0, tag(delivery.message_id))
    first = _begin(world, app, message.run, message.function, invoked, author)
    if first is not None:
        world.queue.send([first])


def scheduled(world: World, app: App, message: Scheduled, delivery: Delivery) -> None:
    """A schedule that was due. Its run follows from function, trigger and the time that was due, so that one
    which fires twice, or by two expressions at once, starts one run.

    Without a time (from an emulator) it is the minute in which the message came.
    """
    time = message.time
    if isinstance(time, str):
        time = world.clock.now().replace(second=0, microsecond=0)
    run = run_id(to_millis(time), message.function, message.schedule, message.timezone, str(to_millis(time)))
    data = {"schedule": message.schedule, "timezone": message.timezone}
    due = Event(name=SCHEDULED, data=data, id=run, time=time.astimezone(UTC))
    first = _begin(world, app, run, message.function, due, Author(0, tag(delivery.message_id)))
    if first is not None:
        world.queue.send([first])


def _text(event: Event[Any], app: App) -> str:
    """An event as it is kept. Raises PoisonError for one that can't be: too deep, too large, no Unicode."""
    try:
        text = dump_event(event)
        text.encode()
        payloads.check_size(text, app.max_output, f"event {event.name!r}")
    except (ValueError, RecursionError, PayloadTooLargeError) as error:
        raise PoisonError(f"event {event.name!r} can't be kept: {error}") from None
    return text


def _begin(
    world: World, app: App, run: str, function_id: str, event: Event[Any], author: Author
) -> Outgoing | None:
    """Write a run's header; its first message, unless another message saw to that."""
    text = dump_event(event)
    header = Header(
        run_id=run,
        function_id=function_id,
        status=RunStatus.RUNNING,
        event=payloads.store(world.blobs, run, text, inline=payloads.INLINE_EVENT),
        author=author,
        created=to_millis(world.clock.now()),
        labels=_labels(app, function_id, event),
        event_id=event.id,
    )
    found = world.store.create_run(header)
    if found is not None and found.author.tag != author.tag:
        return None
    return Outgoing(Continuation(run=run, generation=1).body())


def _labels(app: App, function_id: str, event: Event[Any]) -> tuple[str, ...]:
    function = app.functions.get(function_id)
    if function is None:
        return ()
    try:
        return function.labels(event)
    except EventDataError:
        return ()  # the run will say so
    except Exception as error:
        logger.warning("labels= of function %r failed: %s", function_id, type(error).__name__)
        return ()


def invoked_event(data: Any, id: str, time: datetime) -> Event[Any]:
    """The event of a run that was started directly."""
    return Event(name="lambda_durable/invoked", data=data, id=id, time=time.astimezone(UTC))
