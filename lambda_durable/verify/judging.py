"""Judging: what a rehearsal tells of what becomes of a recorded run."""

from __future__ import annotations

import json
import os
import re
import traceback
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from ..engine.journal import Kind, Record, RunStatus
from ..engine.paths import parent
from ..errors import (
    DeterminismError,
    DurableError,
    ErrorInfo,
    EventDataError,
    SerializationError,
    StepError,
    type_name,
)
from ..event_json import load_events
from ..function import App, Function
from .mentions import mentions
from .recording import Recording
from .rehearsal import OURS, Course, moment_of, rehearse
from .verdict import Change, Difference, Outcome, Verdict

TRIES = 5
"""How often a run is rehearsed at most, to find out what its steps are called now."""


def verify(recording: Recording, app: App, *, old_ids: Collection[str] = ()) -> Verdict:
    """Replay a recorded run on an app's code, and say what would become of it. No step is executed, and nothing is read
    or written; the handler's own code, between the steps, runs.

    `old_ids` are (the shapes of) steps that runs of the function are known to have had: none of them is the new name of
    another.
    """
    header = recording.header
    found = _Judge(recording, app.functions.get(header.function_id))
    if header.pinned and header.code.release:
        release = header.code.release
        return found.skipped(f"it is pinned to Lambda version {release}, and goes on on that code alone")
    if header.status is RunStatus.SKIPPED:
        return found.skipped("it never began: flow control skipped it")
    if found.function is None:
        known = ", ".join(map(repr, app.functions)) or "none"
        why = f"the app has no function {header.function_id!r} (it has {known}): runs of it fail when they go on"
        return found.verdict([Difference(Change.FUNCTION, None, why)])
    assert header.event.text is not None
    try:
        events = found.function.validate_all(
            load_events(header.event.text, f"the event of run {header.run_id!r}")
        )
    except EventDataError as error:
        if header.error is not None and header.error.type == type_name(EventDataError):
            return found.verdict([])
        return found.verdict([Difference(Change.EVENT, None, f"{error}: the run fails when it goes on")])
    names: dict[str, str] = {}
    wrong: set[tuple[str, str]] = set()
    for _ in range(TRIES):
        course = rehearse(recording, found.function, app, events, names=names)
        wrong |= {(old, new) for old, new in names.items() if _is_wrong(old, new, course)}
        kept = {old: new for old, new in names.items() if (old, new) not in wrong}
        more = _pair(course, kept, wrong, old_ids) if kept == names else {}
        if not more and kept == names:
            break
        names = kept | more
    return found.judge(course, names)


@lru_cache(maxsize=10_000)
def shape(path: str) -> str:
    """A path without what tells branches and repeats apart: `m[]/x` for `m[2]/x:1`."""
    return re.sub(r":\d+(?=[/\[]|$)", "", re.sub(r"\[[^\]]*\]", "[]", path))


def _is_wrong(old: str, new: str, course: Course) -> bool:
    """Whether a step was not renamed after all: the code calls it, or its outcome does not fit the other one."""
    return old in course.calls or any(path == new for path, _ in course.misfits)


def _pair(
    course: Course, names: dict[str, str], wrong: Collection[tuple[str, str]], old_ids: Collection[str]
) -> dict[str, str]:
    """For recorded steps that the code does not call, those that it calls in their place: of the same kind and scope,
    and not before what came before them."""
    pairs: dict[str, str] = {}
    left = [record for record in course.left if record.path not in names]
    for call in course.calls.values():
        if call.known or shape(call.path) in old_ids:
            continue
        for record in left:
            if (
                record.kind is call.kind
                and record.path not in pairs
                and (record.path, call.path) not in wrong
                and parent(record.path) == parent(call.path)
                and moment_of(record) >= call.after
            ):
                pairs[record.path] = call.path
                break
    return pairs


@dataclass(frozen=True, slots=True)
class _Judge:
    """Makes of what the code did a verdict."""

    recording: Recording
    function: Function[Any, Any] | None

    def judge(self, course: Course, names: dict[str, str]) -> Verdict:
        found = [*self._refused(course), *self._misfits(course), *self._renamed(course, names)]
        found += self._left(course)
        found += self._error(course, found)
        found += [
            Difference(
                Change.UNDO,
                path,
                f"the code has no undo= for {path!r} any more: should the run fail, it is not undone",
            )
            for path in course.not_undone
        ]
        found += self._added(course)
        found += [
            Difference(
                Change.LATER,
                path,
                f"{path!r} is called after what came after it; both are found by their ids",
            )
            for path in course.late
        ]
        if course.unclear is not None and not any(each.change.breaks for each in found):
            found.append(self._unclear(course))
        found += self._end(course, found)
        if self.recording.header.status in (RunStatus.CANCELLING, RunStatus.COMPENSATING):
            undoable = {record.path for record in self.recording.records() if record.undo is not None}
            found = [each for each in found if each.step in undoable]  # it is only undone from here on
        stands = not course.ended and course.error is None
        # Where the recording ends is where the first stand-in was needed.
        at = tuple(course.made_up)[:1] or (tuple(course.open) if stands else ())
        return self.verdict(found, at)

    def _refused(self, course: Course) -> list[Difference]:
        recorded = {record.path: record for record in self.recording.records()}
        return [
            Difference(
                Change.KIND,
                path,
                f"{path!r} is a {kind} in the code and a {_kind(recorded.get(path))} in the journal: the run fails "
                "with a DeterminismError",
                where,
            )
            for path, kind, where in dict.fromkeys(course.refused)
        ]

    def _misfits(self, course: Course) -> list[Difference]:
        return [
            Difference(
                Change.OUTPUT, path, f"the recorded output of {path!r} does not fit the code: {_text(error)}"
            )
            for path, error in course.misfits
        ]

    def _renamed(self, course: Course, names: dict[str, str]) -> list[Difference]:
        told = "is executed again under that id"
        return [
            Difference(
                Change.RENAMED,
                old,
                f"{old!r} is recorded, and the code calls {new!r} in its place: what it did is forgotten, and {new!r} "
                f"{'begins anew' if course.calls[new].kind is Kind.SLEEP else told}",
                course.calls[new].where,
                new,
            )
            for old, new in names.items()
            if new in course.calls
        ]

    def _left(self, course: Course) -> list[Difference]:
        """What the code calls no more. Where it was left midway, what it has passed is known to be so, and what it has
        no text for."""
        whole = course.ended or course.renewed or (course.error is None and course.unclear is None)
        found = []
        for record in course.left:
            passed = moment_of(record) < course.passed.get(parent(record.path), (0, 0))
            if whole or passed or self._has_gone(course, record):
                why = (
                    f"{record.path!r} is recorded, and the code no longer calls it: what it did is forgotten"
                )
                found.append(Difference(Change.REMOVED, record.path, why))
        return found

    def _has_gone(self, course: Course, record: Record) -> bool:
        """Whether a step that the rehearsal did not come to has an id that is nowhere in the code, which makes none."""
        assert self.function is not None
        handler = self.function.handler
        if mentions(handler, record.path) or not course.made_up:
            return False
        return all(mentions(handler, path) for path in course.calls)

    def _error(self, course: Course, found: Sequence[Difference]) -> list[Difference]:
        """An error that the code raises where the recorded run went on."""
        error = course.error
        known = {each.change for each in found} & {Change.KIND, Change.OUTPUT}
        if error is None or (known and isinstance(error, DeterminismError | SerializationError)):
            return []
        header = self.recording.header
        if _is_recorded(error, header.error) or (
            self.recording.top.failure is not None and _is_recorded(error, self.recording.top.failure.error)
        ):
            return []
        went_on = bool(course.left) or header.status is RunStatus.COMPLETED
        last = next(reversed(course.calls), None)
        after = f" after {last!r}" if last is not None else ""
        told = f"the code raises {type(error).__name__}{after}: {_text(error)}"
        if isinstance(error, DeterminismError):
            return [Difference(Change.LIST, last, f"the run fails: {error}", _raised_at(error))]
        if course.made_up and any(each.change is Change.REMOVED for each in found):
            return []  # it is known to diverge, and after a stand-in an error says nothing
        if course.made_up:
            why = f"{told}; it may be because of the unknown result of {next(iter(course.made_up))!r}"
            return [Difference(Change.UNCLEAR, last, why, _raised_at(error))]
        fails = went_on or (isinstance(error, DurableError) and not isinstance(error, StepError))
        if fails and not _is_of_the_environment(error):
            return [
                Difference(
                    Change.RAISES,
                    last,
                    f"{told}{', where the recorded run went on' * went_on}",
                    _raised_at(error),
                )
            ]
        if went_on or (not header.status.ended and not isinstance(error, DurableError)):
            why = f"{told}; whether it does so where it is deployed, nothing here says"
            return [Difference(Change.UNCLEAR, last, why, _raised_at(error))]
        return []

    def _added(self, course: Course) -> list[Difference]:
        new = [
            call
            for path, known in course.made_up.items()
            if known < course.known and (call := course.calls.get(path)) is not None and not call.known
        ]
        stands = not course.ended and course.error is None and not course.renewed
        if stands and self.recording.header.status is RunStatus.COMPLETED:
            calls = [course.calls[path] for path in course.open if path in course.calls]
            new += [call for call in calls if not call.known and call not in new]
        return [
            Difference(
                Change.ADDED, call.path, f"{call.path!r} is new: it runs when the run goes on", call.where
            )
            for call in new
        ]

    def _unclear(self, course: Course) -> Difference:
        step = course.unclear
        left = ", ".join(repr(record.path) for record in course.left)
        why = f"what follows depends on the result of {step!r}, which is not recorded"
        more = f"; whether the code still calls {left} is not known" if left else ""
        return Difference(Change.UNCLEAR, step, why + more)

    def _end(self, course: Course, found: Sequence[Difference]) -> list[Difference]:
        """How an ended run would now end otherwise."""
        header = self.recording.header
        if found or header.status not in (RunStatus.COMPLETED, RunStatus.FAILED):
            return []
        if course.renewed:
            return [
                Difference(Change.END, None, f"it continues as new, where the recorded run {header.status}")
            ]
        if course.error is not None:
            told = f"it fails with {type(course.error).__name__}: {_text(course.error)}"
            if _is_recorded(course.error, header.error):
                return []
            return [
                Difference(
                    Change.END, None, f"{told}, where the recorded run failed with {_told(header.error)}"
                )
            ]
        if not course.ended:
            return []
        assert self.function is not None
        try:
            output = self.function.codec.encode(course.result)
        except StepError as error:
            if _is_recorded(error, header.error):
                return []
            return [Difference(Change.END, None, f"its output can't be kept: {_text(error)}")]
        if header.error is not None:
            why = f"it completes, where the recorded run failed with {_told(header.error)}"
            return [Difference(Change.END, None, why)]
        recorded = (
            header.output.text if header.output is not None and header.output.text is not None else "null"
        )
        if output == recorded or json.loads(output) == json.loads(recorded):
            return []
        return [Difference(Change.END, None, f"it returns {_brief(output)}, and returned {_brief(recorded)}")]

    # -- verdicts ------------------------------------------------------------------------------------

    def verdict(self, found: Sequence[Difference], at: tuple[str, ...] = ()) -> Verdict:
        header = self.recording.header
        changes = {each.change for each in found}
        if any(change.breaks for change in changes):
            outcome = Outcome.DIVERGES
        elif Change.UNCLEAR in changes:
            outcome = Outcome.UNCLEAR
        elif not header.status.ended:
            outcome = Outcome.GOES_ON
        else:
            outcome = Outcome.OTHERWISE if changes & {Change.END, Change.ADDED} else Outcome.SAME
        return self._verdict(outcome, tuple(found), at)

    def skipped(self, why: str) -> Verdict:
        return replace(self._verdict(Outcome.SKIPPED), note=why)

    def _verdict(
        self, outcome: Outcome, found: tuple[Difference, ...] = (), at: tuple[str, ...] = ()
    ) -> Verdict:
        header = self.recording.header
        return Verdict(header.run_id, header.function_id, header.status.value, outcome, found, at)


def _is_recorded(error: Exception, recorded: ErrorInfo | None) -> bool:
    """Whether it is the error that was recorded."""
    if recorded is None:
        return False
    info = ErrorInfo.of(error)
    return (info.type, info.step_id, info.message) == (recorded.type, recorded.step_id, recorded.message)


def _is_of_the_environment(error: Exception) -> bool:
    """Whether an error may be due to where the code runs: a variable that is not set here, a file, the network, a
    module that is not installed."""
    frames = traceback.extract_tb(error.__traceback__)
    return isinstance(error, OSError | ImportError) or (
        isinstance(error, KeyError) and bool(frames) and frames[-1].filename in ("<frozen os>", os.__file__)
    )


def _raised_at(error: Exception) -> str:
    """The innermost line that raised an error and is not this library's."""
    frames = [
        f"{frame.filename}:{frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
        if f"/{OURS}/" not in frame.filename.replace("\\", "/") and not frame.filename.startswith("<")
    ]
    return frames[-1] if frames else ""


def _kind(record: Record | None) -> str:
    return str(record.kind) if record is not None else "step of another kind"


def _text(error: Exception) -> str:
    return error.message if isinstance(error, StepError) and error.message else str(error)


def _told(error: ErrorInfo | None) -> str:
    return f"{error.type}: {error.message}" if error is not None else "no error"


def _brief(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."
