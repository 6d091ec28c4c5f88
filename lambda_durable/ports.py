"""What the runtime needs of the world; the largest, its state, is in store.py. The docstrings are the contract that
every implementation keeps.

Any call may raise: the invocation then fails, its message comes back, and everything is done again. Any
write may have been applied although its call raised.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from .metrics import UNMEASURED, Metrics
from .pauses import Pauses
from .seals import PLAIN, Seal
from .store import Store


class Clock(Protocol):
    def now(self) -> datetime:
        """The host's time, aware, in UTC. Hosts disagree by up to 5 seconds."""
        ...

    def monotonic(self) -> float:
        """Seconds since some point; never goes back."""
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
    `sent` is when it was, likewise. `receipt` is what it can be deleted by, where it came with one."""

    body: str
    message_id: str
    receive_count: int = 1
    first_received: int | None = None
    sent: int | None = None
    receipt: str = field(default="", repr=False, compare=False)

    @property
    def waited(self) -> int:
        """Milliseconds from when it was sent to when it was received first; 0 if that is not known."""
        if self.first_received is None or self.sent is None:
            return 0
        return self.first_received - self.sent


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
    pauses: Pauses = field(default_factory=Pauses)
    metrics: Metrics = UNMEASURED


@dataclass(frozen=True, slots=True)
class Invocation:
    """The Lambda invocation that works on a delivery: `deadline` is when it is killed (monotonic)."""

    deadline: float
    timeout: float = 60.0

    @property
    def last_call(self) -> float:
        """When what still runs is given up (monotonic): the rest is for saying so, and what comes next."""
        return self.deadline - min(2.0, self.timeout * 0.1)
