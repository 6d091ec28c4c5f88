"""The messages of the app's own queue. They come from outside, so they are parsed as untrusted."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from ..engine.paths import UNDO

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


class Level(BaseModel):
    """One level of a chain: the scope that a message drives, and the lane that its end makes free."""

    model_config = ConfigDict(frozen=True)
    scope: str
    lane: int | None = None


class Due(BaseModel):
    """What a delayed message waits for: the record at `path`, as long as it is due at this time. One that `stamps`
    comes much sooner, and stamps once more what the run holds."""

    model_config = ConfigDict(frozen=True)
    path: str
    at: int
    stamps: bool = False


class Continuation(BaseModel):
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

    model_config = ConfigDict(frozen=True, extra="ignore")
    kind: Literal["continue"] = "continue"
    run: Annotated[str, Field(min_length=1, max_length=512)]
    generation: Annotated[int, Field(ge=0)] = 0
    chain: tuple[Level, ...] = ()
    leaf: str | None = None
    lane: int | None = None
    due: Due | None = None
    idle: Annotated[int, Field(ge=0)] = 0
    failures: Annotated[int, Field(ge=0)] = 0
    forced: bool = False
    check: bool = False
    revived: Annotated[int, Field(ge=0)] = 0
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
        return self.model_copy(update=fields | changes)

    def body(self) -> str:
        return self.model_dump_json(exclude_defaults=True, exclude={"kind"})[:-1] + ',"kind":"continue"}'


def compensation(run: str, **fields: Any) -> Continuation:
    """The message that undoes the steps of a run, as a chain of its own. All that may begin it are of generation
    0, so that who comes after it has begun is overtaken."""
    return Continuation(run=run, chain=(Level(scope=UNDO),), **fields)


class Invoker(BaseModel):
    """The step that starts a function, and the message that goes on with its run."""

    model_config = ConfigDict(frozen=True)
    run: str
    path: str
    resume: str
    depth: Annotated[int, Field(ge=1)]


class Rerun(BaseModel):
    """The run that is repeated, maybe as one of many `in_bulk`; with a `step`, from that on, as its `journal` has what
    came before."""

    model_config = ConfigDict(frozen=True)
    run: Annotated[str, Field(min_length=1, max_length=512, pattern="^[^#]*$")]
    journal: str = ""
    step: str = ""
    in_bulk: bool = False


class Start(BaseModel):
    """Start a function directly. `event` is the Event as JSON, or `key` the object that holds it; that of a `rerun` is
    the run's that it repeats, unless it has one of its own. `pin` is the version of the worker that its run is to begin
    and stay on. It is to start `at` that time at the earliest (milliseconds)."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    kind: Literal["start"] = "start"
    function: Annotated[str, Field(min_length=1, max_length=256)]
    run: Annotated[str, Field(min_length=1, max_length=512, pattern="^[^#]*$")]
    event: str | None = None
    key: Annotated[str, Field(pattern=r"^inbox/[0-9a-f]{64}$")] | None = None
    invoker: Invoker | None = None
    pin: str | None = None
    rerun: Rerun | None = None
    at: int | None = None

    def body(self) -> str:
        return self.model_dump_json(exclude_none=True)


SCHEDULED_TIME: Final = "<aws.scheduler.scheduled-time>"
"""What Scheduler replaces, in a target's input, by the time for which the schedule was due."""


class Scheduled(BaseModel):
    """Start a function, since a schedule was due at `time`.

    `schedule` and `timezone` are what its trigger has. `jitter`: by up to how many seconds the start is put off.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
    kind: Literal["scheduled"] = "scheduled"
    function: Annotated[str, Field(min_length=1, max_length=256)]
    schedule: Annotated[str, Field(min_length=1, max_length=1024)]
    timezone: Annotated[str, Field(min_length=1, max_length=50)] = "UTC"
    jitter: Annotated[float, Field(ge=0)] = 0
    time: AwareDatetime

    @classmethod
    def template(cls, function: str, schedule: str, timezone: str, jitter: float) -> str:
        """The body of such a message, for Scheduler to put the time into."""
        fields = {"kind": "scheduled", "function": function, "schedule": schedule, "timezone": timezone}
        return json.dumps({**fields, "jitter": jitter, "time": SCHEDULED_TIME})


class Arrival(BaseModel):
    """Go on with waking those who wait for an event: from the waits by `path` on, `after` that of a run and
    its path."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    kind: Literal["arrival"] = "arrival"
    event: Annotated[str, Field(min_length=1, max_length=256)]
    path: str = ""
    after: tuple[str, str] | None = None

    def body(self) -> str:
        return self.model_dump_json()


class Postponed(BaseModel):
    """An event whose time has come, `at` then, joins what a function collects."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    kind: Literal["postponed"] = "postponed"
    function: Annotated[str, Field(min_length=1, max_length=256)]
    event: Annotated[str, Field(min_length=1, max_length=256)]
    at: int

    def body(self) -> str:
        return self.model_dump_json()


class Gather(BaseModel):
    """Make a run of what a function has collected in the burst or batch of a collector that was `opened` then. It comes
    `at` the time at which that is due, unless later events have put it off. `stands_for` as in a continuation."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    kind: Literal["gather"] = "gather"
    function: Annotated[str, Field(min_length=1, max_length=256)]
    collector: Annotated[str, Field(min_length=1, max_length=512, pattern="^[^#]*$")]
    opened: Annotated[int, Field(ge=1)]
    at: int
    stands_for: str | None = None

    def body(self) -> str:
        return self.model_dump_json(exclude_none=True)


class Held(Start):
    """Start a function by an event that came while it was paused, which was `seen` first then, at `starts`
    (milliseconds) if that is to come. It is kept in the table, and comes by no queue."""

    kind: Literal["held"] = "held"  # type: ignore[assignment]
    starts: int | None = None
    seen: int


class Paused(BaseModel):
    """A function was paused, for the `number`th time, and its runs are to be cancelled: those that began `until` then
    (milliseconds), from the newest on. `again`: those that were not listed yet when it was done first."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    kind: Literal["paused"] = "paused"
    function: Annotated[str, Field(min_length=1, max_length=256)]
    number: Annotated[int, Field(ge=1)]
    until: int
    again: bool = False

    def body(self) -> str:
        return self.model_dump_json()


class Resume(BaseModel):
    """The `number`th pause of a function, or of a run, is over: what was held back goes on. `newest` (milliseconds) is
    when the last run began that an event started which was held. The `last` looks whether something is left."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    kind: Literal["resume"] = "resume"
    function: Annotated[str, Field(max_length=256)] = ""
    run: Annotated[str, Field(max_length=512, pattern="^[^#]*$")] = ""
    number: Annotated[int, Field(ge=1)]
    newest: int = 0
    last: bool = False

    def body(self) -> str:
        return self.model_dump_json(exclude_defaults=True, exclude={"kind"})[:-1] + ',"kind":"resume"}'


_Ours = Continuation | Start | Scheduled | Arrival | Postponed | Gather | Paused | Resume
_OURS: TypeAdapter[_Ours] = TypeAdapter(Annotated[_Ours, Field(discriminator="kind")])


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
        return _OURS.validate_python(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "kind"
        raise PoisonError(f"the message is none of ours: {where}: {first['msg']}") from None


def tag(message_id: str) -> str:
    """A short digest of an id: that which SQS gave a message, say."""
    return hashlib.blake2b(message_id.encode(), digest_size=6).hexdigest()
