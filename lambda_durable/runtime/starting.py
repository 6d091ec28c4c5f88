"""Starting: a message has a function started directly, whatever its triggers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ..engine.journal import Author, Header, Origin, Parent
from ..errors import DamagedItemError, PayloadTooLargeError
from ..event_json import dump_event, load_event
from ..events import Event
from ..function import App
from ..ports import Delivery, World
from ..seals import UnsealedError
from . import payloads
from .beginnings import Begun, NewRun, begin, set_off
from .large_events import LARGEST
from .messages import Invoker, PoisonError, Rerun, Start, tag

ROOM_FOR_FAILURE = 64 * 1024
"""Bytes that a Failure has beside the failed run's event."""


def invoked_event(data: Any, id: str, time: datetime, carried: Mapping[str, str] | None = None) -> Event[Any]:
    """The event of a run that was started directly."""
    return Event("lambda_durable/invoked", data, id=id, time=time.astimezone(UTC), carried=carried or {})


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
    carried: Mapping[str, str] | None = None,
) -> Start:
    """The message that starts a function with `data` (plain JSON values). Raises PayloadTooLargeError."""
    text = dump_event(invoked_event(data, run, now, carried))
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


def given(world: World, message: Start) -> str:
    """The event (JSON) with which a message starts a function. Raises PoisonError where it is gone."""
    if message.event is not None:
        return world.seal.open(message.event, message.run)
    if message.key is None:
        if message.rerun is None:
            raise PoisonError("the message starts a function, and has no event")
        return payloads.read(world.blobs, _repeated(world, message.rerun).event)
    try:
        return world.blobs.get(message.key)
    except KeyError:
        raise PoisonError(f"the message starts a function, and its event {message.key} is gone") from None


def start(
    world: World, app: App, message: Start, delivery: Delivery, *, eagerly: bool = False
) -> Begun | None:
    """Begin the run that a message starts. Returns it if it is to begin `eagerly`. Raises PoisonError."""
    try:
        text = given(world, message)
        event = load_event(text)
    except UnsealedError as error:
        raise PoisonError(
            f"the message starts a function, and {error}; was its client given the app?"
        ) from None
    except DamagedItemError as error:
        raise PoisonError(f"the message starts a function with what is no event: {error}") from None
    kept(event, app.max_output + ROOM_FOR_FAILURE)
    by = message.invoker
    new = NewRun(
        run_id=message.run,
        function_id=message.function,
        event=event,
        author=Author(0, tag(delivery.message_id)),
        text=text if message.rerun is not None else None,
        parent=Parent(by.run, by.path, by.resume, by.depth) if by is not None else None,
        origin=_origin(world, message.rerun) if message.rerun is not None else None,
        pinned=message.pin is not None,
    )
    begun = begin(world, app, new)
    if begun is not None and (origin := begun.header.origin) is not None:
        world.store.link_rerun(origin.run_id, message.run)
    return set_off(world, [begun], eagerly=eagerly)


def _origin(world: World, rerun: Rerun) -> Origin:
    if not rerun.step:
        return Origin(rerun.run, in_bulk=rerun.in_bulk)
    repeated = _repeated(world, rerun)
    seed = repeated.seed if repeated.journal_id == rerun.journal else rerun.journal
    return Origin(rerun.run, rerun.journal, rerun.step, seed, kept=False)


def _repeated(world: World, rerun: Rerun) -> Header:
    header = world.store.get_header(rerun.run)
    if header is None:
        raise PoisonError(f"run {rerun.run}, which was to be repeated, has expired")
    return header


def kept(event: Event[Any], limit: int) -> str:
    """An event as it is kept (JSON). Raises PoisonError for one that can't be: too deep, too large, no Unicode."""
    try:
        text = dump_event(event)
        text.encode()
        payloads.check_size(text, limit, f"event {event.name!r}")
    except (ValueError, RecursionError, PayloadTooLargeError) as error:
        raise PoisonError(f"event {event.name!r} can't be kept: {error}") from None
    return text
