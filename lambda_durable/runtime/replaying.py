"""Replaying: a handler is run against its journal; and what follows when it returns, raises or continues as new."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..config import StepsPerInvocation
from ..durations import in_millis
from ..engine.interrupts import Renewed, Swallowed
from ..engine.journal import Failure, RunStatus
from ..engine.replay import Replay
from ..engine.sync import SyncReplay
from ..errors import DurableError, ErrorInfo, EventDataError, StepError
from ..event_json import load_event, load_events
from ..events import Event
from ..function import Function
from . import branches
from .attempts import what_left
from .chain import Chain
from .endings import Endings
from .handlers import play
from .interrupts import GoOn, Strayed
from .logs import HandlerLog
from .messages import FAILURE
from .renewal import Renewals
from .slots import Slots
from .turn import Turn
from .wakes import send_at


@dataclass(frozen=True, slots=True)
class Replaying:
    """Replays the handler of one run."""

    chain: Chain
    ends: Endings
    renewals: Renewals
    function: Function[Any, Any]
    mode: StepsPerInvocation
    slots: Slots

    def go_on(self) -> None:
        """Do what there is to do now. Returns when the handler has come to an end, and else leaves by an Interrupt."""
        chain, function, header = self.chain, self.function, self.chain.header
        text = chain.read(header.event)
        try:
            events = function.validate_all(load_events(text, f"the event of run {header.run_id!r}"))
        except EventDataError as error:
            self.ends.end(chain, RunStatus.FAILED, error=ErrorInfo.of(error))
            return
        turn = Turn(chain, self.mode, self.slots.of(chain, function))
        kind = _replay_of(function)
        replay = kind(
            run_id=header.run_id,
            journal_id=header.journal_id,
            journal=chain.journal,
            driver=turn,
            started=header.begun,
            retry=function.retry,
            focus=turn.focus,
            began_on=header.code,
            code=chain.code,
            seed=header.seed,
        )
        replay.event = load_event(text)  # one of its own: a model may share what it was made of
        self._replay(replay, events, turn)

    def _replay(self, replay: Replay, events: Sequence[Event[Any]], turn: Turn) -> None:
        chain, function = self.chain, self.function
        log = HandlerLog(replay, function.id, chain.feed)
        attempt = self._attempt()
        try:
            result = play(
                replay,
                function,
                chain.header,
                events,
                chain.hooks,
                log,
                attempt=attempt,
                max_output=chain.max_output,
            )
        except Renewed as renewed:
            log.flush()
            if replay.focus:
                raise GoOn(branches.home(chain)) from None
            chain.visit.running.clear()  # what still runs belongs to a journal that nobody will read
            self._settle(replay)
            self.renewals.renew(chain, renewed.event)
        except Swallowed as swallowed:
            self.ends.end(chain, RunStatus.FAILED, error=ErrorInfo.of(swallowed.error()))
        except Strayed as strayed:
            self._strayed(strayed.error)
        except Exception as error:
            log.flush()
            turn.attempts.drain()  # what a retry would start again
            if not replay.focus:
                self._failed(replay, error)
            elif isinstance(error, StepError):
                raise GoOn(branches.home(chain)) from None
            else:
                self._strayed(error)
        else:
            log.flush()
            if replay.focus:
                raise GoOn(branches.home(chain))
            turn.attempts.abandon()
            self._ended(replay, result)

    def _attempt(self) -> int:
        """Which attempt this is of the code between steps, since the last outcome."""
        chain = self.chain
        failure = chain.journal.partitions[""].failure
        return failure.attempts + 1 if failure is not None and failure.seen == _outcomes(chain) else 1

    # -- the handler's end ---------------------------------------------------------------------------

    def _ended(self, replay: Replay, result: Any) -> None:
        chain, function = self.chain, self.function
        self._settle(replay)
        try:
            text = function.codec.encode(result)
            output = chain.keep(text, f"the output of function {function.id!r}", limit=chain.max_output)
        except StepError as error:
            self.ends.end(chain, RunStatus.FAILED, error=ErrorInfo.of(error))
            return
        unused = chain.journal.partitions[""].records.keys() - replay.top.called
        self.ends.end(chain, RunStatus.COMPLETED, output=output, unused=tuple(sorted(unused)))

    def _failed(self, replay: Replay, error: Exception) -> None:
        """Code between steps raised: it is tried again, unless the error says that this is useless."""
        chain, retry = self.chain, self.function.retry
        error = what_left(error)
        attempt = self._attempt()
        if isinstance(error, DurableError) or attempt >= retry.max_attempts or not retry.wants(error):
            self._settle(replay)
            info = ErrorInfo.of(error)
            self.ends.end(
                chain,
                RunStatus.FAILED,
                error=info if info.step_id else replace(info, attempts=attempt),
            )
            return
        chain.lead(replay.undecided())
        if replay.log is not None:
            replay.log.decided()
        delay = retry.delay(attempt, f"{chain.journal_id}/{FAILURE}/{attempt}/{_outcomes(chain)}")
        wake_at = chain.now() + in_millis(delay)
        failure = Failure(
            attempts=attempt,
            seen=_outcomes(chain),
            error=ErrorInfo.of(error),
            wake_at=wake_at,
            author=chain.author,
        )
        chain.leave_a_stand_in()
        chain.world.store.save_failure(chain.journal_id, failure)
        chain.progressed = True
        chain.wake(FAILURE, wake_at, message=chain.once_more())

    def _strayed(self, error: Exception) -> None:
        """The code around a branch or step that was handed out raised before it came to it. It is tried
        again; in the end the run fails, since its handler can't be replayed."""
        chain, message, retry = self.chain, self.chain.message, self.function.retry
        attempt = message.failures + 1
        if isinstance(error, DurableError) or attempt >= retry.max_attempts or not retry.wants(error):
            self.ends.end(chain, RunStatus.FAILED, error=ErrorInfo.of(error, attempts=attempt))
            return
        again = chain.once_more(failures=attempt)
        delay = retry.delay(attempt, f"{chain.journal_id}/{message.leaf or message.scope}/{attempt}")
        now = chain.now()
        at = now + in_millis(delay)
        name = f"{chain.journal_id}/{message.scope}/{message.leaf}/{message.generation}/{attempt}"
        send_at(chain.world, again.body(), at, now=now, name=name)

    def _settle(self, replay: Replay) -> None:
        """Before a run ends: how it does is the same for whoever gets here, once the order is agreed."""
        order = replay.undecided()
        if order:
            self.chain.lead(order)
        if replay.log is not None:
            replay.log.decided()


def _outcomes(chain: Chain) -> int:
    return chain.journal.partitions[""].outcomes(chain.now())


def _replay_of(function: Function[Any, Any]) -> type[Replay]:
    if not function.is_async:
        return SyncReplay
    from ..engine.asynchronous import AsyncReplay

    return AsyncReplay
