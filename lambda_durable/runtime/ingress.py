"""Ingress: an event becomes runs.

Everything is derived from the event as it was stored first, so doing it again finishes what was begun and
starts nothing twice: which functions it starts, the runs' ids, their headers. A run's first message is sent
by whoever wrote its header, again if that one comes again.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from random import Random
from typing import Any

from ..config import Timeouts
from ..durations import LONGEST, in_millis, to_millis
from ..engine.gates import Queueing
from ..engine.journal import Author, Header, Parent, Payload, RunStatus
from ..errors import DamagedItemError, EventDataError, PayloadTooLargeError
from ..event_json import dump_event, join_events, load_event
from ..events import Event, MalformedEventError, from_eventbridge
from ..function import App, Function
from ..pauses import Hold
from ..ports import Delivery, Outgoing, World
from ..schedules import SCHEDULED
from ..seals import UnsealedError
from ..store import StoredEvent, Waiter
from . import payloads
from .arrivals import Arrived, cancelling
from .checks import INTERVAL
from .collecting import Collecting, Newcomer, keep_for, leave_a_stand_in, run_of
from .holding import EVENT, keep, paused
from .hooks import Hooks
from .large_events import LARGEST, unwrap
from .messages import (
    FINISH,
    START,
    START_BY,
    Arrival,
    Continuation,
    Due,
    Gather,
    Held,
    Invoker,
    PoisonError,
    Postponed,
    Scheduled,
    Start,
    tag,
)
from .run_ids import run_id
from .tallies import tally
from .versions import code_of
from .wakes import SKEW, send_at

DEDUPE = 24 * 60 * 60 * 1000
"""Milliseconds from the first event with an id in which a second one starts nothing."""

ROOM_FOR_FAILURE = 64 * 1024
"""Bytes that a Failure has beside the failed run's event."""

logger = logging.getLogger(__name__)


def event(
    world: World, app: App, record: dict[str, Any], delivery: Delivery, until: float = math.inf
) -> list[str]:
    """An event that came over the bus: start every function that wants it, at the event's time if that is to
    come, and wake who waits for it. What is not done `until` then (monotonic) goes to a message of its own.
    Returns the runs' ids, also of those that were started before. Raises PoisonError."""
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
    text = _text(arrived, app.max_output)
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
            collected=tuple(id for id in functions if _collects(app, id)),
        ),
        dedupe_after=now - DEDUPE,
    )
    if not stored.functions:
        logger.info("event %r (%r) starts no function", stored.name, stored.id)
    first = load_event(payloads.read(world.blobs, stored.payload))
    starts = stored.time if stored.time > stored.seen + SKEW else None
    runs = {id: run_id(stored.time, first.id, str(stored.seen), id) for id in stored.functions}
    again = (stored.seen, stored.author) != (now, author)
    began = []
    for id in stored.functions:
        if _is_held_back(world, app, runs[id], id, first, author, starts, stored.seen):
            continue
        if id not in stored.collected:
            began.append(_begin(world, app, runs[id], id, first, author, starts))
        elif starts is not None:
            del runs[id]
            keep_for(world, stored.payload, starts)
            _postpone(world, Postponed(function=id, event=stored.id, at=starts), now)
        else:
            newcomer = Newcomer(first, stored.payload, _size(text), stored.seen, again)
            began.append(_collect(world, app, id, newcomer, delivery, alone=runs.pop(id)))
    _set_off(world, began)
    Arrived(world, stored, first, author.tag, delivery.receive_count > 1).wake(until)
    return list(runs.values())


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
    alone = run_id(stored.time, event.id, str(stored.seen), message.function)
    author = Author(0, tag(delivery.message_id))
    if _is_held_back(world, app, alone, message.function, event, author, None, message.at):
        return
    newcomer = Newcomer(event, stored.payload, _size(text), message.at, again=True)
    _set_off(world, [_collect(world, app, message.function, newcomer, delivery, alone=alone)])


def gather(world: World, app: App, message: Gather, delivery: Delivery) -> None:
    """A function is to be started with what it has collected."""
    _set_off(world, [_gather(world, app, message, delivery)])


def _collects(app: App, function_id: str) -> bool:
    function = app.functions.get(function_id)
    return function is not None and function.flow.collects


def _collecting(world: World, app: App, function_id: str) -> Collecting:
    function = app.functions.get(function_id)
    return Collecting(world, function_id, function.flow if function is not None else None, app.max_output)


def _collect(
    world: World, app: App, function_id: str, newcomer: Newcomer, delivery: Delivery, *, alone: str
) -> Header | None:
    """An event joins what its function collects. The header of the run that starts with that at once, if one does.
    `alone` is the run that it starts where a deploy has put an end to collecting."""
    if not _collects(app, function_id):
        author = Author(0, tag(delivery.message_id))
        return _begin(world, app, alone, function_id, newcomer.event, author)
    filled = _collecting(world, app, function_id).join(newcomer)
    return _gather(world, app, filled, delivery, stragglers=True) if filled is not None else None


def _gather(
    world: World, app: App, message: Gather, delivery: Delivery, *, stragglers: bool = False
) -> Header | None:
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
        began = _begin(world, app, run, message.function, load_event(text), author, text=text)
    present = began or found or world.store.get_header(run)
    assert present is not None
    collecting.over(message, present.event_id, mine=began is not None)
    return began


def _postpone(world: World, message: Postponed, now: int) -> None:
    name = f"{message.event}/{message.function}/{message.at}"
    send_at(world, message.body(), message.at, now=now, name=name)


def _size(text: str) -> int:
    return len(text.encode())


def start(world: World, app: App, message: Start, delivery: Delivery) -> None:
    """A function that was started directly."""
    try:
        invoked = load_event(_given(world, message))
    except UnsealedError as error:
        raise PoisonError(
            f"the message starts a function, and {error}; was its client given the app?"
        ) from None
    except DamagedItemError as error:
        raise PoisonError(f"the message starts a function with what is no event: {error}") from None
    _text(invoked, app.max_output + ROOM_FOR_FAILURE)
    author = Author(0, tag(delivery.message_id))
    by = message.invoker
    parent = Parent(by.run, by.path, by.resume, by.depth) if by is not None else None
    _set_off(
        world,
        [
            _begin(
                world,
                app,
                message.run,
                message.function,
                invoked,
                author,
                parent=parent,
                pinned=message.pin is not None,
            )
        ],
    )


def _given(world: World, message: Start) -> str:
    """The text of the event with which a function is started."""
    if message.event is not None:
        return world.seal.open(message.event, message.run)
    if message.key is None:
        raise PoisonError("the message starts a function, and has no event")
    try:
        return world.blobs.get(message.key)
    except KeyError:
        raise PoisonError(f"the message starts a function, and its event {message.key} is gone") from None


def start_message(
    world: World,
    function_id: str,
    run: str,
    data: Any,
    now: datetime,
    *,
    limit: int = payloads.MAX_OUTPUT,
    parent: Parent | None = None,
    pin: str | None = None,
) -> Start:
    """The message that starts a function with `data` (plain JSON values). Raises PayloadTooLargeError."""
    text = dump_event(invoked_event(data, run, now))
    payloads.check_size(text, limit, f"the data of function {function_id!r}")
    invoker = None
    if parent is not None:
        invoker = Invoker(run=parent.run_id, path=parent.path, resume=parent.resume, depth=parent.depth)
    return start_of(world, function_id, run, text, invoker=invoker, pin=pin)


def start_of(
    world: World,
    function_id: str,
    run: str,
    text: str,
    *,
    invoker: Invoker | None = None,
    pin: str | None = None,
    inline: int = LARGEST,
) -> Start:
    """The message that starts a function with an event (JSON), which waits in the bucket if it is large."""
    closed = world.seal.close(text, run)
    if len(closed.encode()) <= inline:
        return Start(function=function_id, run=run, event=closed, invoker=invoker, pin=pin)
    key = f"inbox/{world.blobs.digest(text)}"
    world.blobs.put(key, text)
    return Start(function=function_id, run=run, key=key, invoker=invoker, pin=pin)


def scheduled(world: World, app: App, message: Scheduled, delivery: Delivery) -> None:
    """A schedule that was due. Its run follows from function, trigger and the time that was due, so that one
    which fires twice, or by two expressions at once, starts one run, and its jitter is the same each time.
    """
    time = to_millis(message.time)
    run = run_id(time, message.function, message.schedule, message.timezone, str(time))
    data = {"schedule": message.schedule, "timezone": message.timezone}
    due = Event(name=SCHEDULED, data=data, id=run, time=message.time.astimezone(UTC))
    put_off = time + round(message.jitter * 1000 * Random(run).random())
    starts = put_off if put_off > to_millis(world.clock.now()) else None
    author = Author(0, tag(delivery.message_id))
    if _is_held_back(world, app, run, message.function, due, author, starts, time):
        return
    if not _collects(app, message.function):
        _set_off(world, [_begin(world, app, run, message.function, due, author, starts)])
    elif starts is not None:
        now = to_millis(world.clock.now())
        send_at(world, delivery.body, starts, now=now, name=f"{run}/{message.function}")
    else:
        text = dump_event(due)
        newcomer = Newcomer(due, Payload(text=text), _size(text), put_off, again=True)
        _set_off(world, [_collect(world, app, message.function, newcomer, delivery, alone=run)])


def let_go(world: World, app: App, held: Held, newest: int, delivery: Delivery) -> int:
    """Start what an event starts that was held, after those that came before it, of which the `newest` began then.
    When it began (milliseconds). Its first message is sent whoever began it: an earlier delivery of the event may have
    died before it did."""
    text = _given(world, held)
    event = load_event(text)
    starts = held.starts if held.starts is not None and held.starts > to_millis(world.clock.now()) else None
    if _collects(app, held.function):
        payload = payloads.store(world.blobs, f"events/{tag(event.id)}", text, inline=payloads.INLINE_OUTPUT)
        newcomer = Newcomer(event, payload, _size(text), held.seen, again=True)
        _set_off(world, [_collect(world, app, held.function, newcomer, delivery, alone=held.run)])
        return newest
    author = Author(0, tag(f"held/{held.run}"))
    begun = _begin(world, app, held.run, held.function, event, author, starts, after=newest)
    header = begun if begun is not None else world.store.get_header(held.run)
    if header is None:
        return newest
    if not header.status.ended:
        _set_off(world, [header])
    return max(newest, header.created)


def _is_held_back(
    world: World,
    app: App,
    run: str,
    function_id: str,
    event: Event[Any],
    author: Author,
    starts: int | None,
    seen: int,
) -> bool:
    """Whether a function is paused that an event was to start: then it is held, or skipped."""
    while (pause := paused(world, function_id)) is not None:
        if pause.events == "skip":
            _begin(world, app, run, function_id, event, author, starts, skipped="paused")
            return True
        start = start_of(world, function_id, run, dump_event(event), inline=payloads.INLINE_OUTPUT)
        if start.key is not None:
            world.blobs.extend(start.key)
        held = Held(**start.model_dump(exclude={"kind"}), starts=starts, seen=seen)
        hold = Hold(number=pause.number, function=function_id)
        if keep(world, hold, f"{EVENT}#{seen:014d}#{run}", held.body()):
            return True
    return False


def _text(event: Event[Any], limit: int) -> str:
    """An event as it is kept. Raises PoisonError for one that can't be: too deep, too large, no Unicode."""
    try:
        text = dump_event(event)
        text.encode()
        payloads.check_size(text, limit, f"event {event.name!r}")
    except (ValueError, RecursionError, PayloadTooLargeError) as error:
        raise PoisonError(f"event {event.name!r} can't be kept: {error}") from None
    return text


def _begin(
    world: World,
    app: App,
    run: str,
    function_id: str,
    event: Event[Any],
    author: Author,
    starts: int | None = None,
    parent: Parent | None = None,
    pinned: bool = False,
    text: str | None = None,
    skipped: str = "",
    after: int = 0,
) -> Header | None:
    """Write a run's header; `text` is its event, or the events of its batch, of which `event` is the first. None if its
    first message is not ours to send, or it was `skipped` for a reason. One that begins `after` another is not older
    (milliseconds)."""
    if text is None:
        text = dump_event(event)
    now = max(to_millis(world.clock.now()), after + 1)
    begin = max(now, starts or 0)
    function = app.functions.get(function_id)
    code = code_of(world, function)
    timeouts = function.timeouts if function is not None else Timeouts()
    waits = function is not None and (function.flow.of_runs or paused(world, function_id) is not None)
    header = Header(
        run_id=run,
        function_id=function_id,
        status=RunStatus.QUEUED if waits else RunStatus.RUNNING,
        event=payloads.store(world.blobs, run, text, inline=payloads.INLINE_EVENT),
        author=author,
        created=now,
        labels=_labels(function, event),
        event_id=event.id,
        parent=parent,
        starts=starts,
        start_by=begin + in_millis(timeouts.start) if timeouts.start is not None else None,
        finish_by=begin + in_millis(timeouts.finish) if timeouts.finish is not None else None,
        check_at=begin + INTERVAL,
        code=code,
        queueing=Queueing() if waits else None,
        pinned=bool(code.release) and (pinned or (function is not None and function.pin)),
    )
    if skipped:
        header = _skipped(header, skipped)
    found = world.store.create_run(header)
    if found is not None and found.author.tag != author.tag:
        return None
    if (found or header).status is RunStatus.SKIPPED:
        tally("skipped", run, function_id, "its function is paused")
        return None
    _let_cancel(world, found or header, list(cancelling(function, found or header, event)))
    Hooks.of(app).run_started(found or header, event)
    return found or header


def _skipped(header: Header, why: str) -> Header:
    return replace(
        header,
        status=RunStatus.SKIPPED,
        queueing=Queueing(skipped=why),
        ended=header.created,
        ended_by=header.author,
        check_at=None,
    )


def _let_cancel(world: World, header: Header, waiters: Sequence[Waiter]) -> None:
    """Let a run be found by the events that cancel it; who ends it meanwhile removes what is there by then."""
    ended = header.status.ended
    if waiters and not ended:
        for waiter in waiters:
            world.store.add_waiter(waiter)
        now = world.store.get_header(header.run_id)
        ended = now is not None and now.status.ended
    if ended:
        for waiter in waiters:
            world.store.remove_waiter(waiter)


def _set_off(world: World, headers: Iterable[Header | None]) -> None:
    """Send the first messages of runs, and those that come when one takes too long."""
    now = to_millis(world.clock.now())
    at_once = []
    for header in filter(None, headers):
        if header.finish_by is not None:
            _send_due(world, header.run_id, FINISH, header.finish_by, now)
        if header.start_by is not None and header.status is RunStatus.QUEUED:
            _send_due(world, header.run_id, START_BY, header.start_by, now)
        if header.starts is not None:
            _send_due(world, header.run_id, START, header.starts, now)
        else:
            at_once.append(Outgoing(Continuation(run=header.run_id, generation=1).body()))
    world.queue.send(at_once)


def _send_due(world: World, run: str, path: str, at: int, now: int) -> None:
    message = Continuation(run=run, generation=1 if path == START else 0, due=Due(path=path, at=at))
    send_at(world, message.body(), at, now=now, name=f"{run}/{path}")


def _labels(function: Function[Any, Any] | None, event: Event[Any]) -> tuple[str, ...]:
    if function is None:
        return ()
    try:
        return function.labels(event)
    except EventDataError:
        return ()  # the run will say so
    except Exception as error:
        logger.warning("labels= of function %r failed: %s", function.id, type(error).__name__)
        return ()


def invoked_event(data: Any, id: str, time: datetime) -> Event[Any]:
    """The event of a run that was started directly."""
    return Event(name="lambda_durable/invoked", data=data, id=id, time=time.astimezone(UTC))
