"""The state, as the runtime needs it of the world (ports.py): a contract in docstrings, and the nouns in it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from .collectors import Collectors
from .engine.gates import Gate, Limit, Line, Place
from .engine.journal import Author, Failure, Header, LogEntry, Partition, Payload, Record
from .errors import ErrorInfo
from .pauses import Held, Hold, Pause
from .publishing import Published
from .reruns import Reruns

FIRST_CHECK = 15 * 60 * 1000
"""Milliseconds after its start at which a run is looked after first, if it goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """An event as it is kept. `functions` are the ids of those it starts, fixed when it came first; `collected` those
    of them that start with what they have collected."""

    id: str
    name: str
    time: int
    seen: int
    payload: Payload
    functions: tuple[str, ...]
    author: Author
    collected: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """A fan-out's lane, as `Store.next_in_lane` and `Store.close_lane` found or left it.

    `turn` is None in a lane that never moved, and in one that is no longer `open`. `by` is the tag of who
    moved or closed it last ("" for nobody). `next` is the pool's next turn, `closed` counts the closed
    lanes of the pool, and `failed` says whether the pool starts nothing new.
    """

    turn: int | None
    open: bool
    by: str
    next: int
    closed: int
    failed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiter:
    """A wait, as those find it who can end it: for an event, or for the signal `name`.

    `run_id` is that of its journal. An event is to have the JSON `match` at `match_path` (both empty: any event
    does), to have come `since` then, and to be none of those `taken` by earlier waits of the run. `resume` is the
    message that goes on with the run.
    """

    name: str
    run_id: str
    path: str
    resume: str
    match_path: str = ""
    match: str = ""
    condition: str = ""
    since: int = 0
    until: int = 0
    taken: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pass:
    """A run passes a gate that was `seen`: from its `place` in the line, or past nobody who waits."""

    limit: Limit
    seen: Gate
    run: str
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """A slot of each of some limits, by a name of its own: `until` then at most (milliseconds). At the gates of
    `ahead`, it comes before those who wait."""

    name: str
    until: int
    limits: Sequence[Limit]
    ahead: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Join:
    """A run gets a place in the line of a gate that was `seen` closed; `body` is the message that goes on with it."""

    place: Place
    limit: Limit
    seen: Gate
    body: str


@dataclass(frozen=True, slots=True)
class Quit:
    """A run gives its place in a line up."""

    place: Place


@dataclass(frozen=True, slots=True)
class Backlog:
    """A gate as people see it: what `limit` it is of, how many ever had to wait (`delayed`; forgotten with a gate
    that nobody is inside of), and by what the first in its line is served (milliseconds)."""

    limit: Limit
    gate: Gate
    delayed: int = 0
    first: int | None = None


Move = Pass | Join | Quit


class Store(Collectors, Reruns, Protocol):
    """The state. Reads are strongly consistent unless they say otherwise; each write is atomic.

    Where it is about what a journal holds, `run_id` is the journal's id (journal_ids.py).
    """

    def add_event(self, event: StoredEvent, *, dedupe_after: int) -> StoredEvent:
        """Keep an event. If one with its id was first seen after `dedupe_after` (milliseconds), that one
        stays and is returned; otherwise `event` is written and returned."""
        ...

    def events(
        self, name: str, since: int, until: int | None = None, *, newest_first: bool = False
    ) -> Iterator[str]:
        """Ids of the events of a name that were first seen `since` then, and `until` then (milliseconds), oldest
        first unless it is said; eventually consistent, by seconds. Lazy."""
        ...

    def get_event(self, event_id: str) -> StoredEvent | None: ...

    def create_run(self, header: Header) -> Header | None:
        """Write the header unless the run exists: then its header is returned, and nothing changes."""
        ...

    def expiry(self) -> int:
        """When what is written now expires (milliseconds), unless it says otherwise."""
        ...

    def load_run(self, run_id: str) -> tuple[Header, Partition] | None:
        """A run's header, and the top-level partition (scope "") of the journal with that id: empty, and not
        read, if it is no longer the present one. None if there is no such run."""
        ...

    def get_header(self, run_id: str) -> Header | None: ...

    def load_scope(self, run_id: str, scope: str) -> Partition:
        """Another scope's partition; empty if nothing was written there."""
        ...

    def get_record(self, run_id: str, path: str) -> Record | None: ...

    def register(self, run_id: str, record: Record) -> Record | None:
        """Write a record where there is none. Otherwise nothing changes and the one there is returned."""
        ...

    def commit(self, run_id: str, record: Record) -> Record | None:
        """Write a record unless a final one is there, or, where `record` is RETRYING, one with as many
        attempts. Otherwise nothing changes and the one there is returned."""
        ...

    def claim(self, run_id: str, record: Record, seen: Record | None) -> Record | None:
        """Write a record with a claim if what is there is still `seen` (None: nothing): not final, with
        the same author, attempts and claim. Otherwise nothing changes and the one there is returned."""
        ...

    def transact(self, run_id: str, record: Record, entries: Sequence[Mapping[str, Any]]) -> Record | None:
        """Write a final record, unless one is there, and a user's entries of TransactWriteItems: all or
        nothing. Otherwise the record that is there is returned. Raises TransactionError when a condition of
        the user's failed; any other error may go away."""
        ...

    def append(self, run_id: str, scope: str, entry: LogEntry) -> LogEntry | None:
        """Write a log entry unless one has its position: then that one is returned."""
        ...

    def save_failure(self, run_id: str, failure: Failure) -> None:
        """Keep the newest failed attempt of the handler's code; replaces an earlier one."""
        ...

    def end_run(self, header: Header) -> Header | None:
        """Write the ended header if the stored one is running, and of the same journal. Otherwise nothing
        changes and the stored one is returned. Of a CANCELLED header: if the stored one is running or
        cancelling. One that has not completed: only if the stored one has nothing to undo, or is compensating
        and `header` says `ends_as`."""
        ...

    def mark_undo(self, run_id: str) -> Header | None:
        """Note that a run has something to undo, if it is running. Returns the header as it is now."""
        ...

    def begin_undo(self, header: Header) -> Header | None:
        """Write the compensating header, which says what it `ends_as`, if the stored one is running, and of the
        same journal; or, of one that ends as CANCELLED, cancelling. Otherwise nothing changes and the stored one
        is returned."""
        ...

    def renew_run(self, before: Header, header: Header) -> Header | None:
        """Give a run another journal and event, and what else `header` has of it, if the stored one is
        running and its journal that of `before`. Otherwise nothing changes and the stored one is returned.
        It lives as long as what is written now, and has nothing to undo."""
        ...

    def begin_cancel(self, run_id: str) -> Header | None:
        """Make a running run `cancelling`. Returns the header as found, None if there is no such run."""
        ...

    def next_in_lane(
        self,
        run_id: str,
        path: str,
        pool: int,
        lane: int,
        *,
        after: int | None,
        first: int,
        limit: int,
        tag: str,
    ) -> tuple[bool, Lane]:
        """Give the lane its pool's next turn, if its turn is `after` (None: its first, never moved), the
        pool has a turn below `limit` left (they start at `first`), has not failed, and the lane is open.

        Returns whether it did, and the lane as it is now. Done again it does nothing: the lane's `by` is
        then `tag`, and its `turn` the one that was given."""
        ...

    def close_lane(
        self,
        run_id: str,
        path: str,
        pool: int,
        lane: int,
        *,
        after: int | None,
        first: int,
        tag: str,
        failed: bool,
    ) -> tuple[bool, Lane]:
        """Close the lane if it is open and its turn is `after`; with `failed`, the pool then starts nothing
        new. Returns whether it did, and the lane as it is now. Done again it does nothing: the lane is
        then closed, `by` `tag`, and counted once."""
        ...

    def fail_pool(self, run_id: str, path: str, pool: int) -> None:
        """The pool starts nothing new. Idempotent."""
        ...

    def finish_pool(self, run_id: str, path: str, pool: int) -> int:
        """Note that all lanes of a pool are closed; returns how many pools are. Idempotent."""
        ...

    def lanes(self, run_id: str, path: str, pool: int, lanes: Sequence[int], *, first: int) -> list[Lane]:
        """The lanes of a pool, as they are now."""
        ...

    def gate(self, gate: str) -> Gate: ...

    def line(self, gate: str, limit: int) -> Line:
        """A gate, and at most so many of the first in its line: as they are at one moment."""
        ...

    def note_wake(self, place: Place, at: int) -> None:
        """Note that the message of a place was sent (milliseconds), if it is still in the line."""
        ...

    def forget_wake(self, place: Place) -> bool:
        """Note that a place is to be woken again. Whether it was noted that it had been; no, of a call that was
        repeated since its response was lost: who asks looks after the line in any case."""
        ...

    def move(self, before: Header, after: Header, moves: Sequence[Move], *, now: int) -> bool:
        """Bring a queued run on its way through gates, in one transaction with its header: if that is still as it
        was before, every gate that it passes is open, and every one that it waits at is not. Whether it did."""
        ...

    def lease(self, lease: Lease, place: Place | None) -> Mapping[str, Gate] | None:
        """Take all slots of a lease, or none: each gate has one free, and nobody waits whom the lease is not ahead
        of, but who has this `place` in its line, and gives it up. None if so, and else the gates, as they are, that
        keep it from that: none of them if the place is gone."""
        ...

    def wait_in_line(self, join: Join, *, leaving: Place | None) -> bool:
        """Get a place in the line of a gate that is closed, and give up the one at another. Where there is one for
        this part of the run already, the message of the newer generation stays. False: a gate, or the place to give
        up, is not as it was seen."""
        ...

    def place(self, place: Place) -> Place | None:
        """A place as it is now, if it is still in the line."""
        ...

    def lines(self) -> Iterator[Backlog]:
        """The gates that somebody waits at, of which the longest has done so first; eventually consistent. Lazy."""
        ...

    def backlog(self, limit: Limit) -> Backlog:
        """A gate, as people see it."""
        ...

    def held(self, function_id: str, *, most: int) -> Held:
        """What is held of a function that is paused, counted up to so many; eventually consistent."""
        ...

    def leave(self, gate: str, name: str) -> Gate:
        """Give up a slot. Idempotent. The gate as it is then."""
        ...

    def release(self, gate: str, run: str, header: Header | None) -> bool:
        """Take a slot from a run that gives it back no more, if its header is still as it was found after the gate
        was read: over, or gone, or without that slot. Idempotent. Whether it did."""
        ...

    def remove_gate(self, gate: str) -> None:
        """Forget a gate with slots that nobody is inside of, and nobody waits at."""
        ...

    def let_expire(self, gate: str, after: int) -> bool:
        """Let a gate expire some time after that (milliseconds), and forget its wake, unless somebody waits at it: it
        does not expire from when somebody begins to wait, until this. Idempotent. Whether nobody waits."""
        ...

    def quit(self, place: Place) -> None:
        """Give up a place in a line, unless a message of a newer generation has it. Idempotent."""
        ...

    def set_wake(self, gate: str, seen: Gate, wake: int, by: str) -> bool:
        """Note for when the head of a line is woken, and by whom, if that is still what was `seen`. Whether it is so
        now."""
        ...

    def pauses(self, *, latest: bool = False) -> Mapping[str, Pause]:
        """The newest pause of each function that ever had one, over or not; eventually consistent, unless it is to
        be the `latest`."""
        ...

    def change_pause(self, function_id: str, before: Pause | None, after: Pause) -> bool:
        """Write a function's newest pause, if it still is the one `before`. Whether it is now `after`."""
        ...

    def change_pauses_of_run(self, run_id: str, before: int, after: int) -> Header | None:
        """Write how often a run was paused, if it has not ended, nor is to be, and that still is `before`. The header
        as it is now; None if there is no such run."""
        ...

    def park(self, hold: Hold, key: str, body: str) -> None:
        """Keep a message during a pause, under a key by which they are sorted. Idempotent. Those of a function never
        expire, those of a run with the rest of it (`HELD` in paths.py is their scope)."""
        ...

    def parked(self, hold: Hold) -> Iterator[tuple[Hold, str, str]]:
        """What is kept since a pause or one before it, in the order of their keys: since which, its key and body.
        Lazy."""
        ...

    def unpark(self, hold: Hold, key: str) -> None:
        """Keep a message no longer. Idempotent."""
        ...

    def add_message(self, run_id: str, message: Published) -> Published | None:
        """Write a message at its position unless there is one: then nothing changes, and that one is returned. It
        expires when what is written of the run now does."""
        ...

    def messages(
        self,
        run_id: str,
        *,
        after: int | None = None,
        newest_first: bool = False,
        expected: int | None = None,
    ) -> Iterator[Published]:
        """The messages of a run, by position, `after` the one at that. Lazy; it is `expected` that no more than so many
        are asked for."""
        ...

    def add_waiter(self, waiter: Waiter) -> None:
        """Let a wait for an event be found. Idempotent."""
        ...

    def remove_waiter(self, waiter: Waiter) -> None:
        """Idempotent."""
        ...

    def match_paths(self, name: str) -> Sequence[str]:
        """The paths by which waits for events of a name were ever added ("" for those that match any)."""
        ...

    def waiters(
        self, name: str, match_path: str, match: str, *, after: tuple[str, str] | None = None
    ) -> Iterator[Waiter]:
        """The waits for an event, `after` the one of a run and path. Lazy."""
        ...

    def hold_signal(self, waiter: Waiter, *, instead_of: Waiter | None) -> Waiter | None:
        """Let a wait be the one for its signal, if nobody is, or `instead_of` still is. Otherwise nothing
        changes, and the one that is returned."""
        ...

    def signal_holder(self, name: str) -> Waiter | None: ...

    def release_signal(self, waiter: Waiter) -> None:
        """If the wait is the one for its signal, nobody is now. Idempotent."""
        ...

    def resolve(
        self,
        run_id: str,
        path: str,
        *,
        author: Author,
        ended: int,
        output: Payload | None = None,
        error: ErrorInfo | None = None,
        due: int | None = None,
    ) -> tuple[bool, Record | None]:
        """End a wait from outside, if it still waits; with `due`, if it is still to wake then. Whether it did,
        and the record as it is now."""
        ...

    def put_off(self, run_id: str, path: str, to: int) -> bool:
        """Let a wait that still waits wake no sooner than `to` (milliseconds). Whether it still waits."""
        ...

    def remember(self, name: str, text: str) -> str:
        """Keep a text under a name, for good, unless there is one already. The one that is there now."""
        ...

    def publish(self, functions: Mapping[str, str]) -> None:
        """Let these texts be what is told of an app's functions, by id, and forget all others; their runs are looked
        after from now on. Idempotent; a write for each that changed, so that one which fails is done again."""
        ...

    def published(self) -> Mapping[str, str]:
        """What is told of an app's functions, by id; eventually consistent."""
        ...

    def overdue(self, now: int) -> Iterator[tuple[str, int]]:
        """Runs that have not ended and whose `check_at` is past: their ids, and the time. Those that were looked after
        before come first; then those that were not, of the known functions. Eventually consistent. Lazy."""
        ...

    def due_again(self, now: int) -> Iterator[tuple[str, int]]:
        """Those of them that were looked after before, the longest overdue first."""
        ...

    def not_looked_after(
        self, function_id: str, since: int, until: int
    ) -> tuple[Sequence[tuple[str, int]], int]:
        """Runs of a function that began from `since` to `until` and that nobody has looked after yet, the oldest
        first; and before when that is all of them, since as much is read as a few seconds allow."""
        ...

    def longest_not_looked_after(self, most: int) -> Sequence[tuple[str, int]]:
        """The known functions of whose runs not looked after yet nobody has looked for the longest, at most so many;
        and how far that came."""
        ...

    def looked_after(self, until: Mapping[str, int], *, known: Iterable[str] = ()) -> None:
        """Remember that each run of some known functions that began `until` then has another time to be looked
        after, or has ended; and that others are `known`, which is forgotten once the runs that began in the day
        after that were looked after. Idempotent."""
        ...

    def move_check(self, run_id: str, to: int, *, seen: int | None = None, only_sooner: bool = False) -> bool:
        """Have a run looked after at another time, if it has not ended; and, with `seen`, if it is still to
        be at that time; with `only_sooner`, if it is to be later than `to`. Whether it is done."""
        ...

    def extend(self, run_id: str, scope: str, at: int) -> int:
        """Let nothing in a scope expire sooner than if it were written at `at` (milliseconds); returns when
        that is. The header comes last, so that what it says of when it `expires` holds for its partition.
        Nor does what is written afterwards, by this store or one that has loaded the run since. Idempotent;
        a write for each item that would."""
        ...

    def lives_longer(self, run_id: str) -> bool:
        """Whether a run that this store has loaded was extended beyond what new state lives."""
        ...

    def runs(
        self,
        function_ids: Sequence[str],
        *,
        statuses: Sequence[str] = (),
        label: str | None = None,
        since: int | None = None,
        until: int | None = None,
        after: tuple[int, str] | None = None,
        expected: int | None = None,
        whole: bool = False,
    ) -> Iterator[Header]:
        """Headers, newest first, without event, output and error unless they are to be `whole`; `after` the run that
        was created then and has that id; eventually consistent. One that is to start later is `queued` until then.
        Lazy; it is `expected` that no more than so many are asked for.

        Every list but that of completed runs is found as it is; those are found by looking at all."""
        ...
