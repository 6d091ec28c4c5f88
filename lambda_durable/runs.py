"""Runs as they are seen from outside."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

from .errors import ErrorInfo

Result = TypeVar("Result")

Status = Literal[
    "queued", "running", "cancelling", "compensating", "completed", "failed", "cancelled", "skipped"
]
StepStatus = Literal["pending", "running", "retrying", "waiting", "completed", "failed", "cancelled"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)


class WaitingFor(_Frozen):
    """What a step waits for. `match` is the value that an event must have, `token` what the outside world hands back
    to a callback; `deadline` is when it gives up."""

    kind: Literal["event", "signal", "callback", "run", "time"]
    names: tuple[str, ...] = ()
    token: str | None = None
    match: Any = None
    deadline: datetime | None = None


class StepRecord(_Frozen):
    """One step of a run. `output` is plain JSON values. `unused` says that the code which completed the run no
    longer called it: it was renamed or removed by a deploy. `kept` is one of the run that this one repeats. `truncated`
    says that its output was left out, since it is large: `client.step` has it."""

    id: str
    kind: str
    status: StepStatus
    output: Any = None
    error: ErrorInfo | None = None
    attempts: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None
    wake_at: datetime | None = None
    waiting_for: WaitingFor | None = None
    unused: bool = False
    kept: bool = False
    truncated: bool = False


class FailedAttempt(_Frozen):
    """An attempt of the handler's own code, between steps, that failed; the next one is due at `wake_at`."""

    error: ErrorInfo
    attempts: int
    wake_at: datetime


class Run(_Frozen, Generic[Result]):
    """A run and its steps, as they were when it was read. `retrying` while the handler itself, not a step, is
    to be tried again. `event` is the first of the `events` of a batch. `continuations`: how often it has continued as
    new; events and steps are those of since. `version` (what its function calls it) and `lambda_version` are of the
    code that it began on, and stays on if it is `pinned`. `rerun_of` is the run that it repeats, `rerun_from` the step
    from which it does, and `reruns` are the ids of those that repeat it. `truncated` and `event_truncated` say that
    output and event were left out of an overview, since they are large.
    """

    run_id: str
    function_id: str
    status: Status
    paused: bool = False
    output: Result | None = None
    error: ErrorInfo | None = None
    retrying: FailedAttempt | None = None
    event: Any = None
    events: tuple[Any, ...] = ()
    labels: tuple[str, ...] = ()
    created_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    skipped_reason: str | None = None
    duplicate_of: str | None = None
    continuations: int = 0
    version: str | None = None
    lambda_version: str | None = None
    pinned: bool = False
    rerun_of: str | None = None
    rerun_from: str | None = None
    reruns: tuple[str, ...] = ()
    truncated: bool = False
    event_truncated: bool = False
    steps: dict[str, StepRecord] = {}


class EventRecord(_Frozen):
    """An event as it was kept, and the runs that it starts, by function: None where that begins with more than this one
    (a batch, a burst). `received_at` is when it came first. `data` is None where only the app can read it."""

    id: str
    name: str
    data: Any = None
    source: str | None = None
    time: datetime
    received_at: datetime
    runs: dict[str, str | None] = {}


class RunSummary(_Frozen):
    """A run in a list."""

    run_id: str
    function_id: str
    status: Status
    labels: tuple[str, ...] = ()
    created_at: datetime
    ended_at: datetime | None = None


class Page(_Frozen):
    """What a search has found, newest first. It `looked_at` so many runs, back to the one created at `until`, and goes
    on from `cursor`, which is None when there is nothing left. The expression `failed` on so many, which are not found.
    """

    runs: tuple[RunSummary, ...] = ()
    looked_at: int = 0
    failed: int = 0
    until: datetime | None = None
    cursor: str | None = None


class Portion(_Frozen):
    """A portion of what is done to many runs: the ids of those that came of it. It `looked_at` so many, and the next
    goes on from `cursor`, which is None when there is nothing left."""

    runs: tuple[str, ...] = ()
    looked_at: int = 0
    cursor: str | None = None


class Message(_Frozen):
    """Something that a run published. `data` is plain JSON values; `step_id` and `attempt` are set where a step's
    function did. `cursor`: what comes next is after it."""

    topic: str
    data: Any = None
    published_at: datetime
    step_id: str | None = None
    attempt: int | None = None
    cursor: str


class MessagePage(_Frozen):
    """What a run has published, in its order. What comes next is `after` the cursor, which is there even if nothing
    came. Once `ended`, nothing does."""

    messages: tuple[Message, ...]
    cursor: str
    ended: bool


class Update(_Frozen):
    """What happens to a run that is followed: a `message`, a `step` as it is now, or, of the `run`, another `status`.
    `cursor` is from where to go on."""

    kind: Literal["message", "step", "run"]
    cursor: str
    status: Status
    message: Message | None = None
    step: StepRecord | None = None
