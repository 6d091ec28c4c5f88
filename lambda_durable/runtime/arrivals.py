"""An event that has come, for those who wait for it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import Any

from ..durations import in_millis
from ..engine.journal import Header
from ..engine.journal_ids import run_of
from ..errors import ConfigurationError, DamagedItemError
from ..event_json import load_event
from ..events import Event
from ..expressions import ExpressionError, compile_condition
from ..function import Function
from ..matching import value_at
from ..ports import Outgoing, World
from ..store import StoredEvent, Waiter
from . import payloads
from .messages import Arrival, Continuation
from .resolution import end, end_from_outside
from .run_ids import run_of_event
from .wakes import SKEW

PAGE = 50
"""Waits that are ended before what is left is looked at again: whether there is time for more."""

CANCEL = ":cancel"
"""The made-up path of what waits for the events that cancel a run, with a number after it."""

LONGEST = timedelta(days=400)
"""For how long an event may cancel a run, where its function does not say."""

logger = logging.getLogger(__name__)


def cancelling(function: Function[Any, Any] | None, header: Header, event: Event[Any]) -> Iterator[Waiter]:
    """Who waits for the events that cancel a run."""
    for number, each in enumerate(function.cancel_on if function is not None else ()):
        match = value_at(each.match, event)
        if match is not None:
            yield Waiter(
                name=each.event,
                run_id=header.run_id,
                path=f"{CANCEL}{number}",
                resume=Continuation(run=header.run_id, forced=True).body(),
                match_path=each.match or "",
                match=match,
                condition=each.if_exp or "",
                since=header.created,
                until=header.created + in_millis(each.timeout or LONGEST),
            )


@dataclass(frozen=True, slots=True)
class Arrived:
    """An event that has come, for those who wait for it."""

    world: World
    stored: StoredEvent
    event: Event[Any]
    tag: str
    again: bool = False
    """Whether it is not the first delivery of the event, and so may be one that does not come back if it dies."""

    def wake(self, deadline: float, after: Arrival | None = None) -> None:
        """End all waits that the event ends; hands over to another message when time runs out.

        Raises DamagedItemError when all is done but what can't be read, so that the message comes again for that.
        """
        store, damaged = self.world.store, None
        paths = [path for path in store.match_paths(self.stored.name) if after is None or path >= after.path]
        for path in paths:
            match = self._value(path)
            if match is None:
                continue
            begin = after.after if after is not None and path == after.path else None
            waiters = store.waiters(self.stored.name, path, match, after=begin)
            while page := list(islice(waiters, PAGE)):
                damaged = self._end(page) or damaged
                if self.world.clock.monotonic() > deadline:
                    last = (page[-1].run_id, page[-1].path)
                    again = Arrival(event=self.stored.id, path=path, after=last)
                    self.world.queue.send([Outgoing(again.body())])
                    return  # no error any more: each delivery would hand over once more
        if damaged is not None:
            raise damaged

    def _end(self, page: list[Waiter]) -> DamagedItemError | None:
        """End the waits of a page; the last of what could not be read."""
        damaged = None
        for waiter in page:
            # Clocks differ, and an event that came late rather than early is not to be missed.
            if waiter.since > self.stored.seen + SKEW or self._has_started(waiter):
                continue
            try:
                self._end_one(waiter)
            except DamagedItemError as error:  # it holds up nobody else
                logger.error(
                    "run %s, which may wait for event %r, can't be read: %s",
                    waiter.run_id,
                    self.stored.name,
                    error,
                )
                damaged = error
        return damaged

    def _end_one(self, waiter: Waiter) -> None:
        if not self._meets(waiter):
            return
        if not waiter.path.startswith(CANCEL):
            ends = end_from_outside if self.again else end
            ends(self.world, waiter, self.tag, output=self.stored.payload)
        elif self.stored.seen <= waiter.until:
            self._cancel(waiter)

    def _cancel(self, waiter: Waiter) -> None:
        header = self.world.store.get_header(waiter.run_id)
        if header is not None and not header.status.ended:
            if header.renewal is not None and not self._is_of(waiter, header):
                return  # it may be that of the event with which the run is just about to continue as new
            found = self.world.store.begin_cancel(waiter.run_id)
            if found is not None and not found.status.ended:
                self.world.queue.send([Outgoing(waiter.resume)])
        self.world.store.remove_waiter(waiter)

    def _is_of(self, waiter: Waiter, header: Header) -> bool:
        """Whether the value that is to match is that of the event which a run has by now."""
        own = load_event(payloads.read(self.world.blobs, header.event))
        return value_at(waiter.match_path or None, own) == waiter.match

    def ends(self, waiter: Waiter) -> bool:
        """Whether the event is what a wait is for."""
        fits = waiter.match == self._value(waiter.match_path) and not self._has_started(waiter)
        return fits and self._meets(waiter)

    def _has_started(self, waiter: Waiter) -> bool:
        """Whether a wait is of a run that the event has started: it ends no wait of that, and does not cancel it."""
        run = run_of(waiter.run_id)
        return any(run_of_event(self.stored, id) == run for id in self.stored.functions)

    def _value(self, path: str) -> str | None:
        """What waits by this path must match; None if the event has nothing there."""
        return value_at(path or None, self.event)

    def _meets(self, waiter: Waiter) -> bool:
        if self.stored.id in waiter.taken:
            return False
        if not waiter.condition:
            return True
        header = self.world.store.get_header(waiter.run_id)
        if header is None or header.status.ended:
            return False
        if not waiter.path.startswith(CANCEL) and not header.runs_in(waiter.run_id):
            return False
        own = load_event(payloads.read(self.world.blobs, header.event))
        try:
            return compile_condition(waiter.condition, "if_exp=", incoming=True).holds(own, self.event)
        except (ExpressionError, ConfigurationError) as error:  # a deploy may have taken CEL away
            logger.warning(
                "if_exp of step %r failed on an event, which therefore ends no wait: %s",
                waiter.path,
                getattr(error, "error_type", error),
                extra={"run_id": waiter.run_id},
            )
            return False
