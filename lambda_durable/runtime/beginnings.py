"""How a run begins: its header is written, and then its first message is sent, or it goes on at once (eager.py).

Who wrote the header does so, again if the message that had it written comes again. So a run is begun once, whatever
came twice, and there is always somebody who does what is missing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..config import Timeouts
from ..durations import in_millis, to_millis
from ..engine.gates import Queueing
from ..engine.journal import Author, Header, Origin, Parent, RunStatus
from ..errors import EventDataError
from ..event_json import dump_event
from ..events import Event
from ..function import App, Function
from ..ports import Outgoing, World
from ..store import Waiter
from . import payloads
from .arrivals import cancelling
from .checks import INTERVAL
from .holding import paused
from .hooks import Hooks
from .messages import FINISH, START, START_BY, Continuation, Due
from .tallies import begun as note_begun
from .tallies import kept_from
from .versions import code_of
from .wakes import send_at

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    """A run that is to begin, and what it is made of.

    `author` is the message that begins it. `text` are the events of a batch (JSON), of which `event` is the first. It
    `starts` later than now, if that is said (milliseconds). `parent` has invoked it; `origin` is what it repeats. A
    `pinned` one stays on the code on which it begins, whatever its function says.
    """

    run_id: str
    function_id: str
    event: Event[Any]
    author: Author
    text: str | None = None
    starts: int | None = None
    parent: Parent | None = None
    origin: Origin | None = None
    pinned: bool = False


@dataclass(frozen=True, slots=True)
class Begun:
    """A run that the message in hand has begun, just now (`new`) or in an earlier delivery."""

    header: Header
    new: bool = False

    @property
    def is_due(self) -> bool:
        """Whether its first step can come now. What a rerun keeps is copied first, and is of generation 0 as well."""
        origin = self.header.origin
        return self.header.starts is None and (origin is None or not origin.step)


def begin(world: World, app: App, new: NewRun, *, after: int = 0) -> Begun | None:
    """Write a run's header. None if its first message is not ours to send. One that begins `after` another is not
    older (milliseconds)."""
    return _write(world, app, new, _header(world, app, new, after))


def skip(world: World, app: App, new: NewRun, why: str) -> bool:
    """Write that a run was not to begin. Whether it was not: the message in hand may have begun it before."""
    header = _header(world, app, new)
    skipped = replace(
        header,
        status=RunStatus.SKIPPED,
        queueing=Queueing(skipped=why),
        ended=header.created,
        ended_by=header.author,
        check_at=None,
    )
    return _write(world, app, new, skipped) is None


def set_off(world: World, begun: Iterable[Begun | None], *, eagerly: bool = False) -> Begun | None:
    """Send the first messages of runs, and those that come when one takes too long. If it is one run alone, that
    begins `eagerly` if it can: it is left to the message in hand, and returned."""
    runs = [each for each in begun if each is not None]
    alone = runs[0] if eagerly and len(runs) == 1 and runs[0].is_due else None
    now = to_millis(world.clock.now())
    at_once = []
    for header in (each.header for each in runs):
        if header.finish_by is not None:
            _send_due(world, header.run_id, FINISH, header.finish_by, now)
        if header.start_by is not None and header.status is RunStatus.QUEUED:
            _send_due(world, header.run_id, START_BY, header.start_by, now)
        if header.starts is not None:
            _send_due(world, header.run_id, START, header.starts, now)
        elif alone is None:
            at_once.append(Outgoing(Continuation(run=header.run_id, generation=1).body()))
    world.queue.send(at_once)
    return alone


def was_begun(header: Header | None, tag: str) -> bool:
    """Whether a message has begun a run: not, if it has merely seen to it that the run never begins."""
    return header is not None and header.author.tag == tag and header.event_id != ""


def _header(world: World, app: App, new: NewRun, after: int = 0) -> Header:
    text = new.text if new.text is not None else dump_event(new.event)
    now = max(to_millis(world.clock.now()), after + 1)
    begin = max(now, new.starts or 0)
    function = app.functions.get(new.function_id)
    code = code_of(world, function)
    timeouts = function.timeouts if function is not None else Timeouts()
    waits = function is not None and (function.flow.of_runs or paused(world, function.id) is not None)
    return Header(
        run_id=new.run_id,
        function_id=new.function_id,
        status=RunStatus.QUEUED if waits else RunStatus.RUNNING,
        event=payloads.store(world.blobs, new.run_id, text, inline=payloads.INLINE_EVENT),
        author=new.author,
        created=now,
        labels=_labels(function, new.event),
        event_id=new.event.id,
        carried=tuple(new.event.carried.items()),
        parent=new.parent,
        origin=new.origin,
        starts=new.starts,
        start_by=begin + in_millis(timeouts.start) if timeouts.start is not None else None,
        finish_by=begin + in_millis(timeouts.finish) if timeouts.finish is not None else None,
        check_at=begin + INTERVAL + _listed_alone(world, function),
        code=code,
        queueing=Queueing() if waits else None,
        pinned=bool(code.release) and (new.pinned or (function is not None and function.pin)),
    )


def _listed_alone(world: World, function: Function[Any, Any] | None) -> bool:
    """Whether the first check of a run is to be listed as later ones are, as it is a millisecond later: nobody may look
    for those of its function, since the live code need not have that."""
    return function is None or world.versions.present != world.versions.live


def _write(world: World, app: App, new: NewRun, header: Header) -> Begun | None:
    """The run as it is then, if the message that wrote its header is the one in hand, and it goes on."""
    expires = world.store.expiry()
    found = world.store.create_run(header)
    if found is not None and found.author.tag != new.author.tag:
        return None
    present = found or replace(header, expires=expires)
    if present.status is RunStatus.SKIPPED:
        kept_from(world.metrics, "skipped", new.run_id, new.function_id, "its function is paused")
        return None
    if found is None:
        note_begun(world.metrics, header)
    if present.renewal is None:  # else who cancels it waits for what its present event says
        function = app.functions.get(new.function_id)
        _let_cancel(world, present, list(cancelling(function, present, new.event)))
    if not present.status.ended:
        Hooks.of(app).run_started(present, new.event)
    return Begun(present, new=found is None)


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
