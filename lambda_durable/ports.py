"""What the runtime needs of the world. The docstrings are the contract that every implementation keeps.

Any call may raise: the invocation then fails, its message comes back, and everything is done again. Any
write may have been applied although its call raised.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from .engine.journal import Author, Failure, Header, LogEntry, Partition, Payload, Record
from .errors import ErrorInfo
from .seals import PLAIN, Seal


class Clock(Protocol):
    def now(self) -> datetime:
        """The host's time, aware, in UTC. Hosts disagree by up to 5 seconds."""
        ...

    def monotonic(self) -> float:
        """Seconds since some point; never goes back."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """An event as it is kept. `functions` are the ids of those it starts, fixed when it came first."""

    id: str
    name: str
    time: int
    seen: int
    payload: Payload
    functions: tuple[str, ...]
    author: Author


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


class Store(Protocol):
    """The state. Reads are strongly consistent unless they say otherwise; each write is atomic.

    Where it is about what a journal holds, `run_id` is the journal's id (journal_ids.py).
    """

    def add_event(self, event: StoredEvent, *, dedupe_after: int) -> StoredEvent:
        """Keep an event. If one with its id was first seen after `dedupe_after` (milliseconds), that one
        stays and is returned; otherwise `event` is written and returned."""
        ...

    def events(self, name: str, since: int) -> Iterator[str]:
        """Ids of the events of a name that were first seen `since` then (milliseconds), oldest first;
        eventually consistent, by seconds. Lazy."""
        ...

    def get_event(self, event_id: str) -> StoredEvent | None: ...

    def create_run(self, header: Header) -> Header | None:
        """Write the header unless the run exists: then its header is returned, and nothing changes."""
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

    def overdue(self, now: int) -> Iterator[tuple[str, int]]:
        """Runs that have not ended and whose `check_at` is past: their ids, and the time. Eventually
        consistent. Lazy."""
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
        status: str | None = None,
        label: str | None = None,
        since: int | None = None,
        until: int | None = None,
    ) -> Iterator[Header]:
        """Headers without event, output and error, newest first; eventually consistent. Lazy."""
        ...


class Blobs(Protocol):
    """Objects too large for the store."""

    def digest(self, text: str) -> str:
        """64 hexadecimal digits, to name an object by what is in it: the same for an equal text."""
        ...

    def put(self, key: str, text: str) -> None: ...

    def get(self, key: str) -> str:
        """Raises KeyError when there is none."""
        ...

    def extend(self, key: str) -> None:
        """Keep an object as long as the longest of runs may take. Idempotent."""
        ...


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to the app's own queue. SQS: `delay` is 0 to 900 whole seconds, and a message and a
    batch are at most 1 MiB."""

    body: str
    delay: int = 0


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message as it was received. SQS delivers at least once, in any order; `receive_count` is a hint.
    `first_received`: when it was for the first time, in milliseconds; None if that is not known.
    `receipt` is what it can be deleted by, where it came with one."""

    body: str
    message_id: str
    receive_count: int = 1
    first_received: int | None = None
    receipt: str = field(default="", repr=False, compare=False)


class Queue(Protocol):
    def send(self, messages: Sequence[Outgoing]) -> None:
        """Make all messages durable; on return they are. When it raises, any of them may be."""
        ...

    def dead_letter(self, delivery: Delivery, reason: str) -> None:
        """Put a message that cannot be worked on aside, with the reason."""
        ...

    def backlog(self) -> int:
        """About how many messages wait to be received; those that are delayed are none of them."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Recurring:
    """A schedule that is due again and again. `expression` is EventBridge Scheduler's `cron(...)` or
    `rate(...)`, `body` the message; in it, `<aws.scheduler.scheduled-time>` stands for the time that was due,
    as in 2025-01-31T09:00:00Z.

    A local time of `timezone` that the clocks skip is not due; one that they repeat is due once. A rate is
    due at the multiples of its interval since 1970 in UTC.
    """

    name: str
    expression: str
    timezone: str
    body: str


class Scheduler(Protocol):
    def schedule(self, name: str, at: datetime, body: str) -> None:
        """Send `body` to the app's own queue, once, within the minute that `at` lies in; then forget the
        schedule. One with the same name and time is the same schedule; with another time, an error."""
        ...

    def put_recurring(self, schedule: Recurring) -> None:
        """Have its body sent to the ingress queue whenever it is due, within that minute and at least once.
        One of its name becomes this one; where it is this one, enabled, nothing changes. Idempotent."""
        ...

    def recurring(self, prefix: str) -> Iterator[str]:
        """The names of the recurring schedules that begin with `prefix`; none where there is no group."""
        ...

    def delete_recurring(self, name: str) -> None:
        """It is due no more. Idempotent: one that is gone is fine."""
        ...


class EventBus(Protocol):
    def put(self, entries: Sequence[dict[str, str]]) -> None:
        """Publish entries of PutEvents (DetailType, Detail, Source). On return all are accepted."""
        ...


class VersionGoneError(Exception):
    """A version of the worker was deleted."""


class Versions(Protocol):
    """The versions of the worker that were published. `present` is the one that this is, `live` the one that
    messages come to; both are empty where nothing is published."""

    @property
    def present(self) -> str: ...
    @property
    def live(self) -> str: ...

    def hand_over(self, version: str, delivery: Delivery, invocation: Invocation) -> None:
        """Have another version work on a message, in an invocation of its own that ends before this one; on return
        it is done with it. Raises VersionGoneError; when it raises anything else, the message is to come back."""
        ...


class Unversioned:
    """The `Versions` of a worker that was never published."""

    present = live = ""

    def hand_over(self, version: str, delivery: Delivery, invocation: Invocation) -> None:  # noqa: ARG002
        raise RuntimeError(f"this worker can't reach version {version} of it")


UNVERSIONED = Unversioned()


class Executor(Protocol):
    """Runs steps' functions, of this invocation, side by side."""

    def start(self, name: str, call: Callable[[], Any]) -> None:
        """Begin a call under a name. A call that returns an awaitable goes on, on the loop of steps."""
        ...

    def wait(self, timeout: float | None) -> tuple[str, Any, BaseException | None] | None:
        """The next call to end: its name, result and error. None if none does in `timeout` seconds."""
        ...

    def interrupt(self, name: str) -> bool:
        """Stop a call, whose end is then told to nobody. Whether it could be stopped: a thread can't."""
        ...


@dataclass(frozen=True, slots=True)
class World:
    """Everything outside, together; and how the app's middleware encodes what goes there. Store and blobs see to it
    themselves; who puts a value into a message closes it."""

    clock: Clock
    store: Store
    blobs: Blobs
    queue: Queue
    scheduler: Scheduler
    bus: EventBus
    executor: Executor
    seal: Seal = PLAIN
    versions: Versions = UNVERSIONED


@dataclass(frozen=True, slots=True)
class Invocation:
    """The Lambda invocation that works on a delivery: `deadline` is when it is killed (monotonic)."""

    deadline: float
    timeout: float = 60.0

    @property
    def last_call(self) -> float:
        """When what still runs is given up (monotonic): the rest is for saying so, and what comes next."""
        return self.deadline - min(2.0, self.timeout * 0.1)
