"""Undoing: what follows when a run fails or is cancelled, and steps of it have an undo.

The header says `compensating`, and what the run is to end as; from then on no step with an undo begins. Such a
step has a claim before it begins, and looks at the header after that: whoever has not seen the header is seen
here. Those that may still be at work are waited for, until they have told or are surely gone. Then what is to be
undone is written down, as the log of a chain of its own, and that chain runs one undo after the other, as steps.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from ..config import Retry, StepsPerInvocation
from ..engine import paths
from ..engine.interrupts import Interrupt, Reload, Suspend
from ..engine.journal import Kind, Record, State
from ..engine.operations import StepCall, Undo
from ..engine.survey import AsyncSurvey, Decode, Surveyor, SyncSurvey
from ..engine.sync import SyncReplay
from ..errors import DeterminismError, DurableError, ErrorInfo, SerializationError, StepError, type_name
from ..event_json import load_event, load_events
from ..function import Function
from ..serialization import Codec
from . import children
from .attempts import Attempts
from .chain import Chain
from .checks import look_again
from .endings import Endings
from .handlers import play
from .logs import HandlerLog
from .messages import Due, compensation
from .scopes import partitions
from .slots import Slots
from .turn import Turn
from .wakes import SKEW, send_at

PATIENCE = 60_000
"""Milliseconds after which a run that was invoked, and cancelled since, is looked at again; its end says so."""

ENTRY = 256 * 1024
"""Bytes of paths in an entry of the log. DynamoDB: an item has 400 KB."""

AT_ONCE = 50
"""Steps that one survey of the code looks for: each comes with the scopes that it lies in."""

END = ":end"
"""Ends what is written down of what is to be undone."""

WOKEN = ":woken"
"""The made-up path, in a message's `due`, of what is waited for before anything is undone."""

Ways = Mapping[str, tuple[Undo, Decode]]
"""How steps are undone, and how their results are read, by path."""


class _Nothing(Codec):
    """Keeps nothing of what an undo returns."""

    def encode(self, value: Any) -> str:  # noqa: ARG002
        return "null"


@dataclass(frozen=True, slots=True)
class Undoing:
    """Undoes what the steps of one run did. `function` is None if the code no longer has it."""

    chain: Chain
    ends: Endings
    function: Function[Any, Any] | None
    mode: StepsPerInvocation
    slots: Slots

    def go_on(self) -> None:
        """Do what there is to do now. Returns when the run has ended, and else leaves by an Interrupt."""
        chain = self.chain
        attempts = Attempts(chain)
        if attempts.running or chain.visit.abandoned:
            attempts.abandon()
            attempts.linger()
            raise Reload
        planned = self._planned()
        if planned[-1:] != [END]:
            planned = self._plan(planned)
        done = chain.journal.partitions[paths.UNDO].records
        left = [path for path in planned if path != END and not _is_final(done.get(paths.undo(path)))]
        if left:
            self._undo(left)
        self._end()

    def _undo(self, left: Sequence[str]) -> None:
        chain = self.chain
        width = AT_ONCE if isinstance(self.mode, str) else min(self.mode, AT_ONCE)
        first = self._survey(left[:width])  # it loads what the turn's allowance is in proportion to
        turn = Turn(chain, self.mode, self.slots.of(chain, self.function))
        replay = SyncReplay(
            run_id=chain.header.run_id,
            journal_id=chain.journal_id,
            seed=chain.header.seed,
            journal=chain.journal,
            driver=turn,
            started=chain.header.begun,
            retry=Retry(),
            focus="",
        )
        replay.run(lambda: self._undo_all(replay, left, width, first))

    def give_up(self, why: str) -> None:
        """Say of all that is not undone that it will not be, and end the run."""
        chain = self.chain
        found, _ = _look(chain)
        for target in found:
            now = chain.now()
            path = paths.undo(target.path)
            error = ErrorInfo.of(DeterminismError(f"step {target.path!r} was not undone: {why}"))
            record = Record(
                path=path,
                kind=Kind.UNDO,
                state=State.FAILED,
                author=chain.author,
                began=now,
                ended=now,
                attempts=0,
                error=error,
            )
            chain.note(chain.world.store.commit(chain.journal_id, record) or record)
        self._end()

    def _end(self) -> None:
        records = self.chain.journal.partitions[paths.UNDO].records.values()
        self.ends.undone(self.chain, [record for record in records if record.error is not None])

    # -- what is to be undone ------------------------------------------------------------------------

    def _planned(self) -> list[str]:
        log = self.chain.journal.partitions[paths.UNDO].log
        return [path for entry in log for path in entry.order[paths.UNDO]]

    def _plan(self, known: list[str]) -> list[str]:
        """Write down what is to be undone, once nothing can be at work that would change it."""
        chain = self.chain
        found, wait = _look(chain)
        if wait is not None:
            self._wait(wait)
        if not found:
            return [END]
        ordered = sorted(found, key=_committed, reverse=True)
        planned = [*(record.path for record in ordered), END]
        left = planned[len(known) :]
        while left:
            sizes = itertools.accumulate(len(path.encode()) + 3 for path in left)
            fitting = max(sum(size <= ENTRY for size in sizes), 1)
            chain.lead({paths.UNDO: left[:fitting]})
            left = left[fitting:]
        return planned

    def _wait(self, until: int) -> None:
        """Come back then, if it is this message that drives the run; who is waited for may come before."""
        chain, message, by = self.chain, self.chain.message, self.chain.header.ended_by
        if message.check:
            look_again(chain, until)
        elif message.due is not None or (by is not None and by.tag == chain.tag):
            again = compensation(chain.journal_id, due=Due(path=WOKEN, at=until))
            name = f"{chain.journal_id}/{paths.UNDO}/{until}"
            chain.outlive(until)
            send_at(chain.world, again.body(), until, now=chain.now(), name=name)
        raise Suspend

    # -- undoing it ----------------------------------------------------------------------------------

    def _undo_all(self, replay: SyncReplay, left: Sequence[str], width: int, first: Ways) -> None:
        """The code of the chain: one undo after the other."""
        scope = replay.scope(paths.UNDO, self.chain.header.begun)
        for start in range(0, len(left), width):
            some = left[start : start + width]
            ways = first if start == 0 else self._survey(some)
            for path in some:
                op = StepCall(
                    path=paths.undo(path),
                    kind=Kind.UNDO,
                    scope=scope,
                    call=self._call(path, *ways[path]),
                    retry=ways[path][0].retry,
                    codec=_Nothing(),
                )
                try:
                    replay.call(op)
                except StepError:
                    continue  # it is on record, and the others still run

    def _call(self, path: str, undo: Undo, decode: Decode) -> functools.partial[Any]:
        target = self.chain.journal.find(path)
        assert target is not None
        if target.output is None:
            return functools.partial(undo.call, None)
        try:
            return functools.partial(undo.call, decode(self.chain.read(target.output)))
        except SerializationError as error:
            message = f"step {path!r} was not undone: its output no longer fits the code: {error.message}"
            return functools.partial(_refuse, SerializationError(message))

    def _survey(self, wanted: Sequence[str]) -> Ways:
        """How steps are undone, as the code says. One that it no longer comes to is undone by an error."""
        chain = self.chain
        for path in wanted:
            for scope in paths.enclosing(path):
                chain.load(scope)
        found, error = self._replay(wanted)
        if error is not None and self._is_expected(error):
            error = None
        missing = [path for path in wanted if path not in found]
        if missing and not chain.visit.missed:
            chain.visit.missed = True  # the log may have been read before the entry that leads there
            raise Reload
        if missing and error is not None and not isinstance(error, DurableError):
            raise error  # code between steps: it is tried again, as long as the message comes back
        for path in missing:
            gone = DeterminismError(self._why_gone(path, error))
            found[path] = (Undo(functools.partial(_refuse, gone), Retry.never()), str)
        return found

    def _replay(self, wanted: Sequence[str]) -> tuple[dict[str, tuple[Undo, Decode]], Exception | None]:
        chain, function = self.chain, self.function
        if function is None:
            return {}, None
        survey = (AsyncSurvey if function.is_async else SyncSurvey)(
            run_id=chain.header.run_id,
            journal_id=chain.journal_id,
            seed=chain.header.seed,
            journal=(surveyor := Surveyor.of(chain.journal, wanted, now=chain.now, read=chain.read)).journal,
            driver=surveyor,
            started=chain.header.begun,
            retry=function.retry,
            focus="",
        )
        text = chain.read(chain.header.event)
        survey.event = load_event(text)
        log = HandlerLog(survey, function.id)
        error: Exception | None = None
        try:
            events = function.validate_all(load_events(text))
            header, most = chain.header, chain.max_output
            play(survey, function, header, events, chain.hooks, log, attempt=1, max_output=most)
        except Interrupt as left:
            if left.__cause__ is not None:
                raise
        except Exception as raised:
            error = raised
        return {path: way for path in wanted if (way := survey.find(path)) is not None}, error

    def _is_expected(self, error: Exception) -> bool:
        """Whether it is what the code fails with once it has come as far as it did."""
        if isinstance(error, DeterminismError):
            return False  # the code comes no further than that, whatever the run failed with
        failed = self.chain.header.error
        return isinstance(error, StepError) or (failed is not None and failed.type == type_name(type(error)))

    def _why_gone(self, path: str, error: Exception | None) -> str:
        what = f"step {path!r} of run {self.chain.header.run_id} was not undone"
        help_ = "undo it by hand, and keep what undoes a step until the runs that began with it are over"
        if self.function is None:
            function_id = self.chain.header.function_id
            return f"{what}: this app has no function {function_id!r}; was it renamed or removed? {help_}"
        if error is not None:
            return f"{what}: the code fails before it comes to the step, with {type(error).__name__}: {error}"
        return f"{what}: the code no longer calls it, or gives it no undo=; {help_}"


def _refuse(error: Exception, _: object = None) -> NoReturn:
    raise error


def _is_final(record: Record | None) -> bool:
    return record is not None and record.final


def _committed(record: Record) -> tuple[int, int, str]:
    """What the order of commits follows. Who ends a wait from outside has a clock of its own."""
    return max(record.ended or 0, record.began), record.began, record.path


def _look(chain: Chain) -> tuple[list[Record], int | None]:
    """What is to be undone, as far as is known; and until when to wait for what is not (milliseconds)."""
    found: list[Record] = []
    waits: list[int] = []
    for partition in partitions(chain.world, chain.journal_id):
        children.cancel_left_over(chain.world, partition.records.values())
        for record in partition.records.values():
            if record.undo is None:
                continue
            until = None if record.final else _may_end_until(chain, record)
            if until is not None:
                waits.append(until)
                continue
            settled = record if record.final else _fence(chain, record)
            if settled.to_undo:
                found.append(settled)
    return found, min(waits, default=None)


def _may_end_until(chain: Chain, record: Record) -> int | None:
    """Until when a step may still come to an end, or be worth another look."""
    if record.kind is Kind.INVOKE:
        return None if children.is_over(chain.world, record) else chain.now() + PATIENCE
    if record.claim is None or record.claim.deadline + SKEW <= chain.now():
        return None
    return record.claim.deadline + SKEW


def _fence(chain: Chain, record: Record) -> Record:
    """Let a step have ended that nobody is at any more, so that no late write changes what it did."""
    undo = record.undo
    assert undo is not None
    fenced = replace(
        record,
        state=State.CANCELLED,
        author=chain.author,
        ended=chain.now(),
        claim=None,
        wake_at=None,
        undo=replace(undo, unknown=undo.unknown or record.claim is not None),
    )
    return chain.world.store.commit(chain.journal_id, fenced) or fenced
