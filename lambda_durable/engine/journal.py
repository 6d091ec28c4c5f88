"""The journal: what is remembered of one run. Plain data, no I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

from ..errors import ErrorInfo
from .code import UNKNOWN, Code
from .gates import Queueing
from .journal_ids import journal_id


class Kind(StrEnum):
    """What a step is. A step's kind never changes under its id."""

    RUN = "run"
    SLEEP = "sleep"
    GROUP = "group"
    MAP = "map"
    PARALLEL = "parallel"
    MAP_GROUP = "map_group"
    WAIT_FOR_EVENT = "wait_for_event"
    WAIT_FOR_SIGNAL = "wait_for_signal"
    WAIT_FOR_CALLBACK = "wait_for_callback"
    INVOKE = "invoke"
    POLL = "poll"
    TRANSACT = "transact"
    SEND_SIGNAL = "send_signal"
    SEND_EVENT = "send_event"
    UNDO = "undo"

    @property
    def fans_out(self) -> bool:
        """Whether it is a set of branches, each with an outcome of its own."""
        return self in (Kind.MAP, Kind.PARALLEL, Kind.MAP_GROUP)

    @property
    def has_scope(self) -> bool:
        """Whether there are steps within it."""
        return self.fans_out or self in (Kind.GROUP, Kind.WAIT_FOR_CALLBACK)


class State(StrEnum):
    """How far a step has come."""

    RUNNING = "running"  # begun: a group or fan-out in progress, or an attempt that was claimed
    RETRYING = "retrying"  # an attempt failed; `wake_at` is when the next is due
    WAITING = "waiting"  # a sleep, over at `wake_at`; or a wait, given up then
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"  # how it ended will never be known: its attempt is surely over, and said nothing


@dataclass(frozen=True, slots=True)
class Author:
    """The message whose invocation wrote something.

    `generation` counts the messages of a chain: a continuation's is one more than that of the message
    whose invocation sent it. `tag` is a digest of the id that SQS gave the message, so a resent message
    has another.
    """

    generation: int
    tag: str

    def __str__(self) -> str:
        return f"{self.generation}.{self.tag}"

    @classmethod
    @lru_cache(maxsize=1024)  # one message writes many outcomes
    def parse(cls, text: str) -> Author:
        generation, _, tag = text.partition(".")
        return cls(int(generation), tag)


@dataclass(frozen=True, slots=True)
class Payload:
    """A value as JSON: inline, or the key of the object that holds it."""

    text: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """Says that an attempt was about to begin, and by when its Lambda is gone (milliseconds)."""

    attempt: int
    deadline: int
    tag: str


@dataclass(frozen=True, slots=True)
class FanPlan:
    """The shape of a map or parallel, fixed when it begins.

    `keys` are the branches' names, in order; `lanes` how many run at once in invocations of their own (0:
    all run in the invocation of who waits for them); `fingerprint` is a digest of the list where it has no
    keys, by which a list that changed between replays is noticed; with `tolerant`, a branch that fails does
    not keep the others from beginning.
    """

    keys: tuple[str, ...]
    lanes: int
    fingerprint: str = ""
    tolerant: bool = False


@dataclass(frozen=True, slots=True)
class WaitPlan:
    """What a wait is for, fixed when it begins.

    `names` are those of the events, of the signal, or of the run that was invoked (of `function`; it goes on
    when nobody waits for it any more, if it is to `leave`). An event is to have, at `path`, the value whose
    JSON is `match` (None: the run's own has none there, so nothing matches), and to meet `condition` (CEL).
    `since` (milliseconds) is from when on an event counts, but for those `taken`, whose ids they are: they ended
    earlier waits of the run. `resume` is the message that goes on with the run.

    Who completes a callback knows its `nonce`; it is given up at the `deadline`, or before if it has no sign
    of life for `heartbeat` (milliseconds; 0: none is asked for).
    """

    names: tuple[str, ...]
    resume: str
    path: str = ""
    match: str | None = None
    condition: str = ""
    since: int = 0
    leave: bool = False
    function: str = ""
    taken: tuple[str, ...] = ()
    nonce: str = ""
    heartbeat: int = 0
    deadline: int = 0


@dataclass(frozen=True, slots=True)
class Parent:
    """The step that invoked a run, and the message that goes on with its run. `depth` counts the runs above."""

    run_id: str
    path: str
    resume: str
    depth: int


@dataclass(frozen=True, slots=True)
class Undoable:
    """Says that a step has an undo. `if_unknown`: that is also for an attempt that died without telling whether
    its effect happened; `unknown`: one did."""

    if_unknown: bool = False
    unknown: bool = False


@dataclass(frozen=True, slots=True)
class Origin:
    """The run that a run is a rerun of, as one of many `in_bulk`. With a `step`, it begins with what had ended before
    that in `journal`; until that is `kept` it does nothing. `seed` is what random numbers followed from there."""

    run_id: str
    journal: str = ""
    step: str = ""
    seed: str = ""
    kept: bool = True
    in_bulk: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What the journal holds under one path. Final once `ended` is set, and then it never changes.

    `checked` counts those of a poll's attempts that belong to checks which are over. Those that have an `undo`
    end at different times, so that they have an order; others have a `rank` in the millisecond that they share with
    what their writer knew. `code` is what wrote it, where that is not the run's own.
    """

    path: str
    kind: Kind
    state: State
    author: Author
    began: int
    ended: int | None = None
    attempts: int = 0
    output: Payload | None = None
    error: ErrorInfo | None = None
    wake_at: int | None = None
    claim: Claim | None = None
    plan: FanPlan | None = None
    waits: WaitPlan | None = None
    checked: int = 0
    undo: Undoable | None = None
    code: Code | None = None
    rank: int = 0

    @property
    def time(self) -> int:
        """When it was written (milliseconds). Who ends a wait from outside has a clock of its own."""
        return max(self.began, self.ended or 0)

    @property
    def final(self) -> bool:
        return self.ended is not None

    @property
    def to_undo(self) -> bool:
        """Whether what it did, or may have done, is undone if its run fails or is cancelled."""
        if self.undo is None:
            return False
        return self.state is State.COMPLETED or (self.undo.if_unknown and self.undo.unknown)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One entry of a chain's log: taken before the handler acts while other things pend.

    `order` has, for each scope, the paths of the outcomes that the handler saw since the last entry, in
    the order in which it saw them (`:path` where it asked whether one was there, and it was not).
    `dispatched` are the paths that were handed to messages of their own. `time` (milliseconds) is when it
    was written: no sleep that it builds upon can still last, whatever a host's clock says. `lines` counts,
    for each scope, those that the handler had logged, so that no replay writes them again.
    """

    position: int
    author: Author
    time: int = 0
    order: dict[str, list[str]] = field(default_factory=dict)
    dispatched: Sequence[str] = ()
    lines: dict[str, int] = field(default_factory=dict)


class RunStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    COMPENSATING = "compensating"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"

    @property
    def ended(self) -> bool:
        return self in (RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.SKIPPED)


@dataclass(frozen=True, slots=True)
class Renewal:
    """That a run has continued as new: the number of its journal, the message that made it do so, and when
    (milliseconds). `taken` are the ids of events that ended waits of earlier journals, and when they did."""

    number: int
    by: Author
    at: int
    taken: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """A run as a whole. Written when it starts and when it ends, and in between only to cancel it, when it
    continues as new, and when it lives so long that its state would expire or that somebody has to look after it.

    `unused` are steps of the top level that the code which completed it no longer called. `starts` is when its
    first step may run, where that is later than `created`; `start_by` and `finish_by` are when it times out.
    `check_at` is when the reconciler looks whether it
    is still driven. `undoes` says that a step with an undo has begun; `ends_as` is how a run that is compensating
    ends. `code` is what its journal began on, and what it stays on if it is `pinned`. `queueing`: how
    it passes, or passed, what limits the starts of its function. `pauses` is how often it was paused, negative when it
    goes on. `origin` is what it is a rerun of, and `reruns` are those of it. `expires` is what the state says of when
    it is deleted. `carried` is what its event brought along for middleware.
    """

    run_id: str
    function_id: str
    status: RunStatus
    event: Payload  # the Event, whole
    author: Author  # who started it
    created: int
    ended: int | None = None
    ended_by: Author | None = None
    output: Payload | None = None
    error: ErrorInfo | None = None
    labels: tuple[str, ...] = ()
    event_id: str = ""
    unused: tuple[str, ...] = ()
    parent: Parent | None = None
    starts: int | None = None
    start_by: int | None = None
    finish_by: int | None = None
    check_at: int | None = None
    undoes: bool = False
    ends_as: RunStatus | None = None
    renewal: Renewal | None = None
    code: Code = UNKNOWN
    pinned: bool = False
    queueing: Queueing | None = None
    pauses: int = 0
    origin: Origin | None = None
    carried: tuple[tuple[str, str], ...] = ()
    reruns: tuple[str, ...] = field(default=(), compare=False)
    expires: int | None = field(default=None, compare=False)

    @property
    def journal_id(self) -> str:
        """That of its present journal."""
        return journal_id(self.run_id, self.renewal.number if self.renewal is not None else 0)

    @property
    def seed(self) -> str:
        """What random numbers follow from: the same for a rerun that keeps what followed from them."""
        first = self.renewal is None and self.origin is not None
        return (self.origin.seed if first and self.origin is not None else "") or self.journal_id

    @property
    def begun(self) -> int:
        """When its present journal began."""
        return self.renewal.at if self.renewal is not None else self.created

    @property
    def paused(self) -> bool:
        """Whether it is to begin nothing. What ends it does so all the same."""
        return self.pauses > 0 and self.status in (RunStatus.QUEUED, RunStatus.RUNNING)

    def status_at(self, now: int) -> RunStatus:
        """As people see it: one that is to start later is queued until then."""
        later = self.starts is not None and self.starts > now
        return RunStatus.QUEUED if later and self.status is RunStatus.RUNNING else self.status

    def runs_in(self, journal_id: str) -> bool:
        """Whether the run goes on, and this is its present journal."""
        return self.status is RunStatus.RUNNING and self.journal_id == journal_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A failed attempt of the handler's own code: what runs between steps.

    `seen` is the number of outcomes the journal held; with more of them the count starts anew.
    """

    attempts: int
    seen: int
    error: ErrorInfo
    wake_at: int
    author: Author


@dataclass(slots=True)
class Partition:
    """What one scope holds: its records, and the log of the chain that begins there."""

    scope: str
    records: dict[str, Record] = field(default_factory=dict)
    log: list[LogEntry] = field(default_factory=list)
    failure: Failure | None = None

    def outcomes(self, now: int) -> int:
        """How many outcomes the handler could have seen by `now`; that of a sleep is its time."""
        return sum(
            record.final
            or (record.state is State.WAITING and record.wake_at is not None and record.wake_at <= now)
            for record in self.records.values()
        )
