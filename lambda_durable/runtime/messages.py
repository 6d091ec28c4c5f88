"""The messages of the app's own queue. They come from outside, so they are parsed as untrusted."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any, ClassVar, Final, get_args

from ..engine.paths import UNDO
from ..parsing import Misfit, at_least, length, matches, read, written

FINISH = ":finish"
"""The made-up path, in a message's `due`, of the time by which a run is to be over."""

START = ":start"
"""The made-up path, in a message's `due`, of a run's start; in a user's id `:` is escaped."""

START_BY = ":start_by"
"""The made-up path, in a message's `due`, of the time by which a queued run is to have started."""

FAILURE = ":failure"
"""The made-up path, in a message's `due`, of the handler's own failed attempt."""


LONGEST_REASON: Final = 1024
"""Characters. A reason may quote the message, and goes into the log, on one line."""


class PoisonError(Exception):
    """A message that no retry can make sense of; its text is the reason."""

    def __init__(self, reason: str) -> None:
        text = reason if len(reason) <= LONGEST_REASON else f"{reason[: LONGEST_REASON - 3]}..."
        super().__init__("".join(each if each.isprintable() else "\ufffd" for each in text))


@dataclass(frozen=True, kw_only=True)
class Level:
    """One level of a chain: the scope that a message drives, and the lane that its end makes free."""

    scope: str
    lane: int | None = None


@dataclass(frozen=True, kw_only=True)
class Due:
    """What a delayed message waits for: the record at `path`, as long as it is due at this time. One that `stamps`
    comes much sooner, and stamps once more what the run holds."""

    path: str
    at: int
    stamps: bool = False


@dataclass(frozen=True, kw_only=True)
class Continuation:
    """Go on with a run, whose journal's id is `run`.

    `chain` leads from the run's own chain to the one that is meant; it is empty for the run's own. With
    `leaf`, only that step is run, and then its chain goes on. `idle` counts invocations in a row that got
    nowhere, `failures` those in which the code around a branch or leaf raised. `stands_for` is the tag of a
    message that this one replaces, as if it were another delivery of it.

    One that is `forced` goes on whatever others did. A `check` is forced, does nothing where something
    happened lately, and else brings back all that its chain waits for. `revived` counts how often it was
    brought back from the dead-letter queue. With a `gate`, the run waits in that one's line (a step, by `order`);
    `wake` is for when it was sent (milliseconds), if that was to look after the line.
    """

    kind: ClassVar[str] = "continue"
    run: Annotated[str, length(1, 512)]
    generation: Annotated[int, at_least(0)] = 0
    chain: tuple[Level, ...] = ()
    leaf: str | None = None
    lane: int | None = None
    due: Due | None = None
    idle: Annotated[int, at_least(0)] = 0
    failures: Annotated[int, at_least(0)] = 0
    forced: bool = False
    check: bool = False
    revived: Annotated[int, at_least(0)] = 0
    joined: str | None = None
    stands_for: str | None = None
    gate: str | None = None
    order: int | None = None
    wake: int | None = None

    @property
    def concerns_all(self) -> bool:
        """Whether it is about the run, whichever journal that has by now: to end it, or to look after it."""
        if self.chain or self.leaf is not None:
            return False
        return self.forced or (self.due is not None and self.due.path == FINISH)

    @property
    def line(self) -> str | None:
        """The gate in whose line the run waits, and not a step of it."""
        return self.gate if self.order is None else None

    @property
    def scope(self) -> str:
        """The scope whose chain it drives."""
        return self.chain[-1].scope if self.chain else ""

    def as_check(self, **changes: Any) -> Continuation:
        """The message that looks whether what this one is about goes on."""
        fields = {"forced": True, "check": True, "due": None, "stands_for": None}
        return replace(self, **fields | changes)

    def body(self) -> str:
        return written(self, kind=self.kind)


def compensation(run: str, **fields: Any) -> Continuation:
    """The message that undoes the steps of a run, as a chain of its own. All that may begin it are of generation
    0, so that who comes after it has begun is overtaken."""
    return Continuation(run=run, chain=(Level(scope=UNDO),), **fields)


@dataclass(frozen=True, kw_only=True)
class Invoker:
    """The step that starts a function, and the message that goes on with its run."""

    run: str
    path: str
    resume: str
    depth: Annotated[int, at_least(1)]


@dataclass(frozen=True, kw_only=True)
class Rerun:
    """The run that is repeated, maybe as one of many `in_bulk`; with a `step`, from that on, as its `journal` has what
    came before."""

    run: Annotated[str, length(1, 512), matches("[^#]*")]
    journal: str = ""
    step: str = ""
    in_bulk: bool = False


@dataclass(frozen=True, kw_only=True)
class Start:
    """Start a function directly. `event` is the Event as JSON, or `key` the object that holds it; that of a `rerun` is
    the run's that it repeats, unless it has one of its own. `pin` is the version of the worker that its run is to begin
    and stay on. It is to start `at` that time at the earliest (milliseconds)."""

    kind: ClassVar[str] = "start"
    function: Annotated[str, length(1, 256)]
    run: Annotated[str, length(1, 512), matches("[^#]*")]
    event: str | None = None
    key: Annotated[str, matches("inbox/[0-9a-f]{64}")] | None = None
    invoker: Invoker | None = None
    pin: str | None = None
    rerun: Rerun | None = None
    at: int | None = None

    def body(self) -> str:
        return written(self, kind=self.kind)


SCHEDULED_TIME: Final = "<aws.scheduler.scheduled-time>"
"""What Scheduler replaces, in a target's input, by the time for which the schedule was due."""


@dataclass(frozen=True, kw_only=True)
class Scheduled:
    """Start a function, since a schedule was due at `time`.

    `schedule` and `timezone` are what its trigger has. `jitter`: by up to how many seconds the start is put off.
    """

    kind: ClassVar[str] = "scheduled"
    function: Annotated[str, length(1, 256)]
    schedule: Annotated[str, length(1, 1024)]
    timezone: Annotated[str, length(1, 50)] = "UTC"
    jitter: Annotated[float, at_least(0)] = 0
    time: datetime

    @classmethod
    def template(cls, function: str, schedule: str, timezone: str, jitter: float) -> str:
        """The body of such a message, for Scheduler to put the time into."""
        fields = {"kind": "scheduled", "function": function, "schedule": schedule, "timezone": timezone}
        return json.dumps({**fields, "jitter": jitter, "time": SCHEDULED_TIME})

    def body(self) -> str:
        return written(self, kind=self.kind)


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """Go on with waking those who wait for an event: from the waits by `path` on, `after` that of a run and
    its path."""

    kind: ClassVar[str] = "arrival"
    event: Annotated[str, length(1, 256)]
    path: str = ""
    after: tuple[str, str] | None = None

    def body(self) -> str:
        return written(self, kind=self.kind)


@dataclass(frozen=True, kw_only=True)
class Postponed:
    """An event whose time has come, `at` then, joins what a function collects."""

    kind: ClassVar[str] = "postponed"
    function: Annotated[str, length(1, 256)]
    event: Annotated[str, length(1, 256)]
    at: int

    def body(self) -> str:
        return written(self, kind=self.kind)


@dataclass(frozen=True, kw_only=True)
class Gather:
    """Make a run of what a function has collected in the burst or batch of a collector that was `opened` then. It comes
    `at` the time at which that is due, unless later events have put it off. `stands_for` as in a continuation."""

    kind: ClassVar[str] = "gather"
    function: Annotated[str, length(1, 256)]
    collector: Annotated[str, length(1, 512), matches("[^#]*")]
    opened: Annotated[int, at_least(1)]
    at: int
    stands_for: str | None = None

    def body(self) -> str:
        return written(self, kind=self.kind)


@dataclass(frozen=True, kw_only=True)
class Held(Start):
    """Start a function by an event that came while it was paused, which was `seen` first then, at `starts`
    (milliseconds) if that is to come. It is kept in the table, and comes by no queue."""

    kind: ClassVar[str] = "held"
    starts: int | None = None
    seen: int


@dataclass(frozen=True, kw_only=True)
class Paused:
    """A function was paused, for the `number`th time, and its runs are to be cancelled: those that began `until` then
    (milliseconds), from the newest on. `again`: those that were not listed yet when it was done first."""

    kind: ClassVar[str] = "paused"
    function: Annotated[str, length(1, 256)]
    number: Annotated[int, at_least(1)]
    until: int
    again: bool = False

    def body(self) -> str:
        return written(self, kind=self.kind)


@dataclass(frozen=True, kw_only=True)
class Resume:
    """The `number`th pause of a function, or of a run, is over: what was held back goes on. `newest` (milliseconds) is
    when the last run began that an event started which was held. The `last` looks whether something is left."""

    kind: ClassVar[str] = "resume"
    function: Annotated[str, length(0, 256)] = ""
    run: Annotated[str, length(0, 512), matches("[^#]*")] = ""
    number: Annotated[int, at_least(1)]
    newest: int = 0
    last: bool = False

    def body(self) -> str:
        return written(self, kind=self.kind)


_Ours = Continuation | Start | Scheduled | Arrival | Postponed | Gather | Paused | Resume
_KINDS: Final = {each.kind: each for each in get_args(_Ours)}


Message = _Ours | dict[str, Any]
"""A message of ours, or an EventBridge event."""


def parse(body: str) -> Message:
    """A message of ours, or the EventBridge event that a rule put on the queue. Raises PoisonError."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise PoisonError(f"the message is no JSON: {error}") from None
    if not isinstance(content, dict):
        raise PoisonError(f"the message is a JSON {type(content).__name__}, not an object")
    if "detail-type" in content:
        return content
    if "\\ud" in body.lower():
        try:
            json.dumps(content, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise PoisonError("the message holds a lone surrogate, which is no character") from None
    try:
        return _read(content)
    except Misfit as misfit:
        raise PoisonError(f"the message is none of ours: {misfit}") from None


def _read(content: dict[str, Any]) -> _Ours:
    kind = content.get("kind")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise Misfit("there is no such kind").within("kind")
    ours: _Ours = read(_KINDS[kind], content)
    return ours


def tag(message_id: str) -> str:
    """A short digest of an id: that which SQS gave a message, say."""
    return hashlib.blake2b(message_id.encode(), digest_size=6).hexdigest()
