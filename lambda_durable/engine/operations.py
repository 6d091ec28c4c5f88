"""Operations: what a handler asks for. Each has a path, and its outcome is a Record under that path."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextvars import Context
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

from ..config import Retry
from ..errors import (
    CallbackError,
    DeterminismError,
    ErrorInfo,
    InvokeError,
    InvokeSkippedError,
    RunSkippedError,
    SerializationError,
    StepTimeoutError,
    type_name,
)
from ..parsing import read, written
from ..serialization import Codec
from . import paths
from .failures import rebuild, step_error
from .journal import FanPlan, Kind, Payload, Record

if TYPE_CHECKING:
    import asyncio

    from .scope import Scope


@dataclass(frozen=True, slots=True)
class Undo:
    """How what a step did is undone: by `call(result)`, with a policy of its own. `if_unknown`: also by
    `call(None)`, when an attempt died without telling whether its effect happened."""

    call: Callable[[Any], Any]
    retry: Retry
    if_unknown: bool = False


@dataclass(eq=False, kw_only=True, slots=True)
class Operation:
    """Something with a memoized outcome, as one replay sees it."""

    path: str
    kind: Kind
    scope: Scope
    index: int = 0  # the order in which the scope's operations were called
    undo: Undo | None = None
    abandoned: bool = False
    delivered: bool = False
    text: str | None = None  # the output's JSON, once fetched
    future: asyncio.Future[None] | None = None
    task: asyncio.Task[Any] | None = None
    awaitable: Coroutine[Any, Any, Any] | None = None

    @property
    def record(self) -> Record | None:
        return self.scope.replay.journal.partitions[self.scope.path].records.get(self.path)

    def ended_at(self) -> int | None:
        """When it ended (milliseconds), or None while it has no outcome."""
        record = self.record
        return record.ended if record is not None else None

    @property
    def at_hand(self) -> bool:
        """Whether its value can be had without asking the outside."""
        record = self.record
        return record is not None and (record.output is None or record.output.text is not None)

    def fetch(self) -> None:
        """Read the output, wherever it is kept."""
        record = self.record
        if record is not None and record.output is not None and self.text is None:
            self.text = self.scope.replay.driver.read(record.output)

    def value(self) -> Any:
        """The outcome's value, or the error raised. Only once it was delivered."""
        record = self.record
        assert record is not None
        if record.error is not None:
            raise self.failure(record)
        assert self.text is not None
        try:
            return self.decode(self.text)
        except SerializationError as error:
            message = f"the journal's output no longer fits the code: {error.message}"
            raise SerializationError(message, step_id=self.path) from None

    def parts(self) -> tuple[Operation, ...]:
        """Itself, and what has to be done beside it while it has no outcome."""
        return (self,)

    def together(self) -> tuple[Operation, ...]:
        """What has several parts, and all of these: what happens to one is of concern to the others."""
        return ()

    def decode(self, text: str) -> Any:
        raise AssertionError(f"a {self.kind} has no output, and the journal has {text[:40]!r}")

    def failure(self, record: Record) -> BaseException:
        assert record.error is not None
        return rebuild(record.error)


@dataclass(frozen=True, slots=True)
class Poll:
    """How a step is repeated: `every` so often until `until(result)` is true, for `timeout` (milliseconds)."""

    until: Callable[[Any], object]
    every: int
    timeout: int


class Outside(Protocol):
    """What steps of our own do to the world. Each is done again with the same effect as once."""

    def send_events(self, events: Sequence[Any]) -> list[str]: ...

    def send_signal(self, name: str, text: str) -> bool: ...

    def transact(self, items: Sequence[Mapping[str, Any]]) -> Committed:
        """Write a user's items and the step's outcome, all or nothing. Raises TransactionError."""
        ...


@dataclass(frozen=True, slots=True)
class Committed:
    """What an effect returns that has committed the step's outcome itself. `found` is what was there instead."""

    record: Record
    found: Record | None = None


@dataclass(eq=False, kw_only=True, slots=True)
class StepCall(Operation):
    """One call of a step's function."""

    call: Callable[[], Any]
    retry: Retry
    codec: Codec
    at_most_once: bool = False
    timeout: int | None = None  # milliseconds of an attempt
    poll: Poll | None = None
    outside: Callable[[Outside], Any] | None = None  # instead of `call`, where it is the runtime that acts

    def decode(self, text: str) -> Any:
        return self.codec.decode(text)

    def failure(self, record: Record) -> BaseException:
        assert record.error is not None
        return step_error(record.error, self.path)


@dataclass(eq=False, kw_only=True, slots=True)
class Sleep(Operation):
    """Over at a time that its record fixes; `wake_at(now)` says which, the first time."""

    wake_at: Callable[[int], int]
    known_over: bool = False  # the log says so, whatever this host's clock does

    def ended_at(self) -> int | None:
        record = self.record
        if record is None or record.wake_at is None:
            return None
        if self.known_over or record.wake_at <= self.scope.replay.driver.now():
            return record.wake_at
        return None

    def value(self) -> None:
        return None


@dataclass(eq=False, kw_only=True, slots=True)
class Wait(Operation):
    """Ends when the outside world says so, or is given up. `give_up_at(now)` says when, the first time."""

    give_up_at: Callable[[int], int | None]
    read: Callable[[str], Any]
    names: tuple[str, ...]
    match_path: str = ""
    match: str | None = None
    condition: str = ""
    lookback: int = 0
    replaces: bool = False

    def decode(self, text: str) -> Any:
        return self.read(text)

    def failure(self, record: Record) -> BaseException:
        assert record.error is not None
        return step_error(record.error, self.path)


@dataclass(eq=False, kw_only=True, slots=True)
class CallbackWait(Wait):
    """Ends when the outside world hands back the token that the step `submit` has told it, or when that step has
    failed for good. It may take `lasts`, and be without a sign of life for `heartbeat` (milliseconds)."""

    lasts: int
    heartbeat: int | None = None
    submit: StepCall | None = None

    def parts(self) -> tuple[Operation, ...]:
        if self.submit is None or self.submit.ended_at() is not None:
            return (self,)
        return (self, self.submit)

    def together(self) -> tuple[Operation, ...]:
        return () if self.submit is None else (self, self.submit)

    @property
    def not_submitted(self) -> ErrorInfo | None:
        """Why nobody was told, if nobody ever will be."""
        failed = self.submit.record if self.submit is not None else None
        if failed is None or not failed.final or failed.error is None:
            return None
        return replace(failed.error, step_id=failed.error.step_id or failed.path)

    def failure(self, record: Record) -> BaseException:
        assert record.error is not None
        if record.error.step_id is not None:  # an error of ours; what comes from outside knows no steps
            return step_error(record.error, self.path)
        return CallbackError(
            record.error.message,
            step_id=self.path,
            error_type=record.error.type,
            attempts=1,
            traceback=record.error.traceback,
        )


@dataclass(eq=False, kw_only=True, slots=True)
class Invoke(Wait):
    """Ends as the run of another function ends, which it starts with `data` (plain JSON values)."""

    function_id: str
    data: Any
    leaves: bool = False

    def failure(self, record: Record) -> BaseException:
        assert record.error is not None
        if record.error.type == type_name(StepTimeoutError):
            return step_error(record.error, self.path)
        skipped = record.error.type == type_name(RunSkippedError)
        return (InvokeSkippedError if skipped else InvokeError)(
            record.error.message,
            step_id=self.path,
            error_type=record.error.type,
            attempts=1,
            traceback=record.error.traceback,
        )


@dataclass(eq=False, kw_only=True, slots=True)
class Group(Operation):
    """Handler code with a scope of its own: a group, or a branch of a parallel or map_group."""

    body: Callable[[], Any]
    retry: Retry
    codec: Codec
    context: Context

    def decode(self, text: str) -> Any:
        return self.codec.decode(text)


@dataclass(slots=True)
class Progress:
    """How far a fan-out has come in one replay, kept as its branches begin and end."""

    waiting: dict[int, None] = field(default_factory=dict)  # to begin, in their order
    running: set[int] = field(default_factory=set)
    over: list[Record] = field(default_factory=list)  # those that have made room for no other yet
    halted: bool = False
    known: bool = False  # all of them were looked at

    def begins(self, index: int) -> None:
        self.waiting.pop(index, None)
        self.running.add(index)

    def ends(self, index: int, record: Record, *, halts: bool) -> None:
        self.waiting.pop(index, None)
        self.running.discard(index)
        self.over.append(record)
        self.halted = self.halted or halts

    def next(self, width: int) -> list[int]:
        """Those there is room for."""
        return list(islice(self.waiting, max(width - len(self.running), 0)))

    def made_room(self) -> list[Record]:
        """The branches whose end lets others begin."""
        over, self.over = self.over, []
        return over


@dataclass(eq=False, kw_only=True, slots=True)
class FanOut(Operation):
    """A map, map_group or parallel: branches `path[key]`, joined when all that began have ended."""

    keys: Sequence[str]
    bodies: Sequence[Callable[[], Any]]
    codecs: Sequence[Codec]
    retry: Retry
    contexts: Sequence[Context] = ()
    fingerprint: str = ""
    max_concurrency: int | None = None
    return_exceptions: bool = False
    at_most_once: bool = False
    timeout: int | None = None
    branches: dict[int, StepCall | Group] = field(default_factory=dict)
    progress: Progress = field(default_factory=Progress)

    def check(self, record: Record) -> None:
        """Raises DeterminismError if the list is not the one that the journal knows."""
        plan = record.plan
        if plan is None or not self.fingerprint:
            return
        if plan.fingerprint != self.fingerprint:
            was, now = len(plan.keys), len(self.keys)
            raise DeterminismError(
                f"{self.kind} {self.path!r}: its list changed between replays"
                + (f" ({was} items then, {now} now)" if was != now else "")
                + "; make the list in a step, or name its items with key=, so that outcomes are found by key"
            )

    def plan(self, lanes: int) -> FanPlan:
        return FanPlan(tuple(self.keys), lanes, self.fingerprint, self.return_exceptions)

    def branch_codec(self, key: str) -> Codec | None:
        """How the output of a branch is read; None if the list has none of that name."""
        return self.codecs[self.keys.index(key)] if key in self.keys else None

    @property
    def width(self) -> int:
        """How many branches may run at once."""
        return min(self.max_concurrency or len(self.keys), len(self.keys))

    def branch_path(self, index: int) -> str:
        return paths.branch(self.path, self.keys[index])

    def halted_by(self, record: Record | None) -> bool:
        """Whether a branch's record keeps further branches from beginning."""
        return record is not None and record.final and record.error is not None and not self.return_exceptions

    def join(
        self, keys: Sequence[str], records: dict[str, Record], read: Callable[[Payload], str]
    ) -> str | ErrorInfo:
        """The whole's outcome from its branches': JSON in the order of `keys`, or the error of the lowest
        failed branch."""
        outcomes = []
        for key in keys:
            record = records.get(paths.branch(self.path, key))
            if record is None or not record.final:
                continue  # never began, since another failed
            if record.error is None:
                assert record.output is not None
                outcomes.append(read(record.output))
            elif self.return_exceptions:
                error = replace(record.error, step_id=record.error.step_id or record.path)
                outcomes.append('{"$":"error","v":' + written(error) + "}")
            else:
                error = record.error
                if self.kind is Kind.MAP:
                    error = replace(error, step_id=record.path)
                return error
        return "[" + ",".join(outcomes) + "]"

    def decode(self, text: str) -> Any:
        record = self.record
        assert record is not None
        assert record.plan is not None
        parts = dict(zip(record.plan.keys, json.loads(text), strict=True))
        values = [self._branch_value(index, parts) for index in range(len(self.keys))]
        return tuple(values) if self.kind is Kind.PARALLEL else values

    def _branch_value(self, index: int, parts: dict[str, Any]) -> Any:
        key = self.keys[index]
        if key not in parts:
            raise DeterminismError(
                f"{self.kind} {self.path!r} has ended without {key!r}, which is in its list now; make the list in a "
                "step, so that a replay gets the same one, or give the map another id to run it anew"
            )
        part = parts[key]
        if isinstance(part, dict) and part.get("$") == "error":
            return step_error(read(ErrorInfo, part["v"]), self.branch_path(index))
        return self.codecs[index].decode(json.dumps(part, ensure_ascii=False))
