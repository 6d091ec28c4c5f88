"""An event that has come, for those who wait for it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from itertools import islice
from typing import Any

from ..event_json import load_event
from ..events import Event
from ..expressions import MISSING, ExpressionError, canonical, compile_condition, compile_expression
from ..ports import Outgoing, StoredEvent, Waiter, World
from . import payloads
from .chain import SKEW
from .messages import Arrival
from .resolution import end

PAGE = 50
"""Waits that are ended before what is left is looked at again: whether there is time for more."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Arrived:
    """An event that has come, for those who wait for it."""

    world: World
    stored: StoredEvent
    event: Event[Any]
    tag: str

    def wake(self, deadline: float, after: Arrival | None = None) -> None:
        """End all waits that the event ends; hands over to another message when time runs out."""
        store = self.world.store
        paths = [path for path in store.match_paths(self.stored.name) if after is None or path >= after.path]
        for path in paths:
            match = self._value(path)
            if match is None:
                continue
            begin = after.after if after is not None and path == after.path else None
            waiters = store.waiters(self.stored.name, path, match, after=begin)
            while page := list(islice(waiters, PAGE)):
                self._end(page)
                if self.world.clock.monotonic() > deadline:
                    last = (page[-1].run_id, page[-1].path)
                    again = Arrival(event=self.stored.id, path=path, after=last)
                    self.world.queue.send([Outgoing(again.body())])
                    return

    def _end(self, page: list[Waiter]) -> None:
        for waiter in page:
            # Clocks differ, and an event that came late rather than early is not to be missed.
            if waiter.since <= self.stored.seen + SKEW and self._meets(waiter):
                end(self.world, waiter, self.tag, output=self.stored.payload)

    def ends(self, waiter: Waiter) -> bool:
        """Whether the event is what a wait is for."""
        return waiter.match == self._value(waiter.match_path) and self._meets(waiter)

    def _value(self, path: str) -> str | None:
        """What waits by this path must match; None if the event has nothing there."""
        if not path:
            return ""
        value = compile_expression(path, "match=").evaluate(self.event)
        return None if value is MISSING else canonical(value)

    def _meets(self, waiter: Waiter) -> bool:
        if not waiter.condition:
            return True
        header = self.world.store.get_header(waiter.run_id)
        if header is None or header.status.ended:
            return False
        own = load_event(payloads.read(self.world.blobs, header.event))
        try:
            return compile_condition(waiter.condition, "if_exp=", incoming=True).holds(own, self.event)
        except ExpressionError as error:
            logger.warning(
                "if_exp of step %r failed on an event, which therefore ends no wait: %s",
                waiter.path,
                error.error_type,
                extra={"run_id": waiter.run_id},
            )
            return False
