"""A rehearsal: a handler is replayed against a recording, on the code as it is now.

No step is executed, and nothing is read or written: what the recording does not tell is not known. What the handler
itself does between its steps it does, as in any replay. A rehearsal comes to all that the recording tells of, finished
groups included where they count. Where the code calls a step that nobody has recorded, and something recorded is yet
to come, it goes on with a stand-in for the result, to see what comes after that.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..engine import paths
from ..engine.asynchronous import AsyncReplay
from ..engine.interrupts import Interrupt, Renewed, Suspend, Swallowed
from ..engine.journal import Author, Kind, Partition, Payload, Record, State
from ..engine.loaded import Journal
from ..engine.operations import FanOut, Operation, Sleep
from ..engine.replay import Replay
from ..engine.scope import Scope
from ..engine.survey import AsyncSurvey, Surveyor, SyncSurvey
from ..errors import DeterminismError, SerializationError
from ..event_json import load_event
from ..events import Event
from ..function import App, Function
from ..runtime.attempts import what_left
from ..runtime.handlers import play
from ..runtime.hooks import Hooks
from ..runtime.logs import HandlerLog
from .recording import Recording
from .stand_ins import Unclear, stand_in

MOST_STAND_INS = 100
"""In one rehearsal. A handler may loop for ever."""

Moment = tuple[int, int]
"""When something was written: milliseconds, and its rank within one."""

OURS = __name__.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Call:
    """A step that the code calls. `moment`: when it was written, if it is recorded; `after`: when the newest outcome
    was that its scope had seen by then; `where`: the line that calls it, if the step is not recorded under its id."""

    path: str
    kind: Kind
    moment: Moment | None
    after: Moment
    where: str

    @property
    def known(self) -> bool:
        return self.moment is not None


@dataclass(slots=True)
class Course:
    """What the code did in a rehearsal.

    `made_up` are the steps that a stand-in was given for, with how many recorded ones had come by then; `misfits` are
    outcomes that can't be read any more, and why; `refused` are steps of another kind, that kind and the line; `late`
    are steps that are called after what they came before; `passed` is how far the code came in each scope. `left` are
    the recorded steps that it did not call. It `ended` by returning a `result`, by raising an `error`, by continuing as
    new (`renewed`), or it was left: at what it waits for (`open`), or where what it does is `unclear`, since it depends
    on the step at a path.
    """

    calls: dict[str, Call] = field(default_factory=dict)
    known: int = 0
    made_up: dict[str, int] = field(default_factory=dict)
    misfits: list[tuple[str, Exception]] = field(default_factory=list)
    refused: list[tuple[str, Kind, str]] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    left: list[Record] = field(default_factory=list)
    not_undone: list[str] = field(default_factory=list)
    passed: dict[str, Moment] = field(default_factory=dict)
    open: list[str] = field(default_factory=list)
    ended: bool = False
    result: Any = None
    error: Exception | None = None
    renewed: bool = False
    unclear: str | None = None


def rehearse(
    recording: Recording,
    function: Function[Any, Any],
    app: App,
    events: Sequence[Event[Any]],
    *,
    names: Mapping[str, str] | None = None,
) -> Course:
    """Replay the handler against a recording, with its (valid) `events`. `names` are paths that recorded steps are to
    go by, where they are called something else now."""
    course, names = Course(), names or {}
    partitions = [_renamed(each, names) for each in recording.partitions]
    journal = Journal(each for each in partitions if not each.scope.startswith(":"))
    rehearsing = _Rehearsing.on(journal, recording, course)
    replay = (_AsyncRehearsal if function.is_async else _SyncRehearsal)(
        course,
        set(names.values()),
        run_id=recording.header.run_id,
        journal_id=recording.header.journal_id,
        journal=rehearsing.journal,
        driver=rehearsing,
        started=recording.header.begun,
        retry=function.retry,
        focus="",
        began_on=recording.header.code,
        seed=recording.header.seed,
    )
    assert recording.header.event.text is not None
    replay.event = load_event(recording.header.event.text)
    log = HandlerLog(replay, function.id)
    attempt, hooks = _attempt(recording), Hooks.of(app)
    try:
        course.result = play(
            replay,
            function,
            recording.header,
            events,
            hooks,
            log,
            attempt=attempt,
            max_output=app.max_output,
        )
        course.ended = True
    except Unclear as unclear:
        course.unclear = unclear.path
    except Renewed:
        course.renewed = True
    except Swallowed as swallowed:
        course.error = swallowed.error()
    except Interrupt as interrupt:
        if interrupt.__cause__ is not None:
            raise interrupt.__cause__
    except Exception as error:
        course.error = what_left(error)
    course.open = [op.path for op in replay.open()]
    course.left = list(rehearsing.left(replay))
    course.not_undone = [
        record.path
        for partition in journal.partitions.values()
        for record in partition.records.values()
        if record.undo is not None and replay.reaches(record.path) and replay.find(record.path) is None
    ]
    return course


def _attempt(recording: Recording) -> int:
    """Which attempt it is of the code between steps."""
    header, failure = recording.header, recording.top.failure
    if header.error is not None and header.error.step_id is None:
        return header.error.attempts or 1
    if failure is not None and failure.seen == recording.top.outcomes(recording.newest):
        return failure.attempts + 1
    return 1


@dataclass(slots=True)
class _Rehearsing(Surveyor):
    """The driver of a rehearsal."""

    course: Course = field(default_factory=Course)
    expected: Collection[str] = ()

    @classmethod
    def on(cls, journal: Journal, recording: Recording, course: Course) -> _Rehearsing:
        targets = list(_scopes(journal, all_of_it=recording.header.status.ended))
        rehearsing = cls.of(
            journal,
            [paths.join(scope, "") for scope in targets],
            now=lambda: recording.newest,
            read=lambda each: each.text or "",
        )
        assert isinstance(rehearsing, _Rehearsing)
        rehearsing.course = course
        rehearsing.expected = _to_be_called(rehearsing.journal, {"", *targets}, recording)
        return rehearsing

    def advance(self, replay: Replay) -> None:
        if replay.pump() or self.enter(replay):
            return
        stuck = [path for path in self._held_back if path in replay.entered]
        inside = max(stuck, key=len, default="")
        if self._explore(replay, inside) or self._leave(replay):
            return
        raise Suspend

    @property
    def holds_back(self) -> bool:
        return bool(self._held_back)

    def left(self, replay: Replay, inside: str = "") -> Iterator[Record]:
        """What is recorded, and not called yet."""
        for path in self.expected:
            if path not in self.course.calls and paths.within(path, inside):
                record = replay.journal.find(path)
                if record is not None:
                    yield record

    def _explore(self, replay: Replay, inside: str) -> bool:
        """Where something recorded is yet to come, go on with stand-ins for what has no outcome. Whether it does."""
        course = self.course
        if len(course.made_up) >= MOST_STAND_INS or next(self.left(replay, inside), None) is None:
            return False
        ops = [op for op in replay.open() if paths.within(op.path, inside)]
        new = [op for op in ops if op.record is None] or ops
        for op in new:
            course.made_up[op.path] = course.known
            self._make_up(op)
        return bool(new)

    def _make_up(self, op: Operation) -> None:
        now = self.now()
        record = Record(
            path=op.path,
            kind=op.kind,
            state=State.COMPLETED,
            author=Author(0, ""),
            began=now,
            ended=now,
            output=Payload(text="null"),
            wake_at=now if isinstance(op, Sleep) else None,
        )
        if isinstance(op, FanOut):
            nulls = ",".join(["null"] * len(op.keys))
            record = replace(record, plan=op.plan(0), output=Payload(text=f"[{nulls}]"))
        self.journal.put(record)


class _Scope(Scope):
    """Tells a rehearsal of what its code calls."""

    replay: _Rehearsal

    def name(self, id: object, kind: Kind) -> tuple[str, int]:
        try:
            path, index = super().name(id, kind)
        except DeterminismError:
            name = paths.check_id(id)
            count = self._counts[name] - 1
            path = paths.join(self.path, f"{name}:{count}" if count else name)
            self.replay.course.refused.append((path, kind, _where()))
            raise
        self.replay.note_call(self, path, kind)
        return path, index


class _Rehearsal(Replay):
    """What rehearsals of sync and async handlers share."""

    def __init__(self, course: Course, new_names: Collection[str], **given: Any) -> None:
        self.course = course
        self.new_names = new_names
        self._seen: dict[str, Moment] = {}
        super().__init__(**given)

    def new_scope(self, path: str, now: int) -> Scope:
        return _Scope(self, path, now)

    def reaches(self, path: str) -> bool:
        """Whether the code has called a step; of a branch, what it is one of."""
        return (paths.parent(path) if paths.is_branch(path) else path) in self.course.calls

    def note_call(self, scope: Scope, path: str, kind: Kind) -> None:
        course = self.course
        if path in course.calls:
            return
        record = self.journal.partitions[scope.path].records.get(path)
        after = self._seen.get(scope.path, (0, 0))
        moment = moment_of(record) if record is not None else None
        where = _where() if moment is None or path in self.new_names else ""
        course.calls[path] = Call(path, kind, moment, after, where)
        if record is not None and moment is not None:
            course.known += 1
            course.passed[scope.path] = max(course.passed.get(scope.path, moment), moment)
            if record.final and moment < after and path not in self.new_names:
                course.late.append(path)

    def deliver(self, op: Operation) -> None:
        made_up = op.path in self.course.made_up
        if made_up:
            stand_in(op)
        super().deliver(op)
        record, call = op.record, self.course.calls.get(op.path)
        if call is not None and call.moment is not None:
            moment = call.moment
            if isinstance(op, Sleep) and record is not None and not record.final:
                moment = max(
                    moment, (op.ended_at() or 0, -1)
                )  # before all that was written in that millisecond
            self._seen[op.scope.path] = max(self._seen.get(op.scope.path, moment), moment)
        if not made_up and record is not None and record.error is None and op.text is not None:
            try:
                op.decode(op.text)
            except (SerializationError, DeterminismError) as error:
                self.course.misfits.append((op.path, error))


class _SyncRehearsal(_Rehearsal, SyncSurvey):
    """Rehearses a `def` handler."""


class _AsyncRehearsal(_Rehearsal, AsyncSurvey):
    """Rehearses an `async def` handler."""

    def _in_turn(self) -> Iterable[Scope]:
        assert isinstance(self.driver, _Rehearsing)
        return super()._in_turn() if self.driver.holds_back else AsyncReplay._in_turn(self)


def moment_of(record: Record) -> Moment:
    return record.time, record.rank


def _scopes(journal: Journal, *, all_of_it: bool) -> Iterator[str]:
    """The groups, fan-outs and branches that a rehearsal is to enter: those in progress and, in `all_of_it` or where
    something in them has an undo, those that are over."""
    undoable = {
        scope
        for partition in journal.partitions.values()
        for record in partition.records.values()
        if record.undo is not None
        for scope in paths.enclosing(record.path)
    }
    for scope, partition in journal.partitions.items():
        if not scope or not (partition.records or partition.log):
            continue
        around = [*paths.enclosing(scope), scope]
        over = any((record := journal.find(path)) is not None and record.final for path in around)
        if all_of_it or not over or scope in undoable:
            yield scope


def _to_be_called(journal: Journal, scopes: Collection[str], recording: Recording) -> Collection[str]:
    """The recorded steps that the code is to call, if it is what it was."""
    found = [
        record
        for scope, partition in journal.partitions.items()
        if scope in scopes
        for record in partition.records.values()
        if not paths.is_branch(record.path) and record.path not in recording.header.unused
    ]
    submits = {f"{record.path}/submit" for record in found if record.kind is Kind.WAIT_FOR_CALLBACK}
    return [record.path for record in sorted(found, key=moment_of) if record.path not in submits]


def _renamed(partition: Partition, names: Mapping[str, str]) -> Partition:
    """A partition in which some steps, and what lies in them, go by other names."""
    if not names:
        return partition

    def renamed(path: str) -> str:
        for old, new in names.items():
            if paths.within(path, old):
                return new + path[len(old) :]
        return f":{renamed(path[1:])}" if path.startswith(":") else path

    records = {
        renamed(path): replace(record, path=renamed(path)) for path, record in partition.records.items()
    }
    log = [
        replace(
            entry,
            order={renamed(scope): [*map(renamed, seen)] for scope, seen in entry.order.items()},
            dispatched=[*map(renamed, entry.dispatched)],
        )
        for entry in partition.log
    ]
    return Partition(renamed(partition.scope), records, log, partition.failure)


def _where() -> str:
    """The line of the handler that is calling a step."""
    frame = sys._getframe(2)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == OURS:
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
