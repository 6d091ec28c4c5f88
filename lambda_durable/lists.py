"""The client's lists: runs and events, found by what is known of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any

from .connected import Connected, check_count, millis
from .engine.journal import RunStatus
from .errors import ConfigurationError
from .expressions import compile_search
from .function import Function
from .runs import EventRecord, Page, RunSummary, Status
from .runtime import searching
from .runtime.views import event_of, summary_of

LOOK_AT = 1000
"""Runs that a search looks at, unless it is told otherwise."""


class Lists(Connected):
    """Lists runs and events."""

    def runs(
        self,
        function: Function[Any, Any] | str | None = None,
        status: Status | None = None,
        label: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
    ) -> Iterator[RunSummary]:
        """Runs, newest first; read as far as they are asked for. Without `function`, those of the app's."""
        _check_status(status)
        if limit is not None:
            check_count(limit, "limit=")
        headers = self._world.store.runs(
            self._function_ids(function, "runs"),
            statuses=(status,) if status is not None else (),
            label=label,
            since=millis(since, "runs(since=)"),
            until=millis(until, "runs(until=)"),
            expected=limit,
        )
        yield from islice((summary_of(self._world, header) for header in headers), limit)

    def search(
        self,
        function: Function[Any, Any] | str | None = None,
        where: str | Callable[[Any, Any], object] | None = None,
        *,
        status: Status | None = None,
        label: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 20,
        look_at: int = LOOK_AT,
        cursor: str | None = None,
    ) -> Page:
        """The next page of runs for which an expression holds: CEL over `event` and `output` (plain values, null unless
        it has completed), or a callable on both. A page looks at `look_at` runs at most, newest first, and says how far
        it got; its `cursor` goes on from there. An expression that fails on a run does not hold for it."""
        _check_status(status)
        check_count(limit, "search(limit=)")
        check_count(look_at, "search(look_at=)")
        wanted = searching.Wanted(
            functions=self._function_ids(function, "search"),
            search=compile_search(where, "search(where=)") if where is not None else None,
            status=status,
            label=label,
            since=millis(since, "search(since=)"),
            until=millis(until, "search(until=)"),
            after=searching.position(cursor) if cursor is not None else None,
        )
        return searching.search(self._world, wanted, limit=limit, look_at=look_at)

    def events(
        self,
        name: str,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
    ) -> Iterator[EventRecord]:
        """Events of a name that have come in, newest first, with the runs that they start; read as far as they are
        asked for."""
        if limit is not None:
            check_count(limit, "limit=")
        first, last = millis(since, "events(since=)") or 0, millis(until, "events(until=)")
        ids = self._world.store.events(name, first, last, newest_first=True)
        yield from islice((found for id in ids if (found := self.event(id)) is not None), limit)

    def event(self, event_id: str) -> EventRecord | None:
        """An event that has come in, with the runs that it starts. None if there is none of that id."""
        stored = self._world.store.get_event(event_id)
        return None if stored is None else event_of(self._world, stored)


def _check_status(status: object) -> None:
    if status is not None and status not in list(RunStatus):
        raise ConfigurationError(f"status= is one of {', '.join(RunStatus)}, and this is {status!r}")
