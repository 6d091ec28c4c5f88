"""Searching: runs by what is in their events and outputs, of which no index knows.

A search looks at a bounded number of runs, newest first, and says how far it got: at those that have the label, or
else the status, and if that is `completed`, at all. It reads their index, a Query for each shard, and the runs
themselves, a hundred at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from ..durations import from_millis
from ..engine.journal import Header
from ..errors import ConfigurationError
from ..event_json import is_plain, load_event
from ..expressions import ExpressionError, Search
from ..ports import World
from ..runs import Page, RunSummary, Status
from ..serialization import to_plain
from . import payloads
from .views import summary_of

AT_ONCE = 100
"""Runs that are read together."""

DIGITS = 13
"""Of a time in milliseconds, until the year 2286."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is searched for, among the runs of these functions that were created `since` and `until` then
    (milliseconds), `after` the last that was looked at."""

    functions: Sequence[str]
    search: Search | None = None
    status: Status | None = None
    label: str | None = None
    since: int | None = None
    until: int | None = None
    after: tuple[int, str] | None = None

    @property
    def listed_statuses(self) -> tuple[Status, ...]:
        """Those of what is looked at. A list of the completed ones, or of some with a label, would look at others,
        too."""
        exact = self.status not in (None, "completed") and self.label is None
        return (self.status,) if exact and self.status is not None else ()


def search(world: World, wanted: Wanted, *, limit: int, look_at: int) -> Page:
    """The next runs that are wanted, of so many at most that are looked at."""
    listed = world.store.runs(
        wanted.functions,
        statuses=wanted.listed_statuses,
        label=wanted.label,
        since=wanted.since,
        until=wanted.until,
        after=wanted.after,
        expected=min(AT_ONCE, look_at),
        whole=wanted.search is not None,
    )
    found: list[RunSummary] = []
    looked = failed = 0
    last: Header | None = None
    while looked < look_at and len(found) < limit:
        room = min(AT_ONCE, look_at - looked)
        some = list(islice(listed, room))
        for header in some:
            looked, last = looked + 1, header
            try:
                if _suits(world, wanted, header):
                    found.append(summary_of(world, header))
            except ExpressionError:
                failed += 1
            if len(found) == limit:
                break
        else:
            if len(some) < room:
                return _page(found, looked, failed, last, ended=True)
    return _page(found, looked, failed, last)


def _page(
    found: Sequence[RunSummary], looked: int, failed: int, last: Header | None, *, ended: bool = False
) -> Page:
    return Page(
        runs=tuple(found),
        looked_at=looked,
        failed=failed,
        until=from_millis(last.created) if last is not None else None,
        cursor=f"{last.created}/{last.run_id}" if last is not None and not ended else None,
    )


def position(cursor: str) -> tuple[int, str]:
    """The time (milliseconds) and id of the last one on the page before. Raises ConfigurationError."""
    at, _, id = cursor.partition("/") if isinstance(cursor, str) else ("", "", "")
    if not (at.isascii() and at.isdecimal() and len(at) <= DIGITS and id):
        raise ConfigurationError(f"cursor= is that of an earlier page, and this is {cursor!r}")
    return int(at), id


def _suits(world: World, wanted: Wanted, header: Header) -> bool:
    if wanted.status not in (None, summary_of(world, header).status):
        return False
    return wanted.search is None or holds(world, wanted.search, header)


def holds(world: World, search: Search, header: Header) -> bool:
    """Whether a condition holds for a run. Raises ExpressionError where it fails, and ConfigurationError where the
    run can't be read."""
    text = payloads.read(world.blobs, header.event)
    if not is_plain(text):
        raise ConfigurationError(
            f"run {header.run_id} of {header.function_id!r} keeps its event encoded by its app's middleware: give the "
            "client the app, Client(app, stack=...), and a command --app path/to/app.py"
        )
    output = None
    if search.reads_output and header.output is not None:
        output = to_plain(payloads.read(world.blobs, header.output))
    return search.holds(load_event(text), output)
