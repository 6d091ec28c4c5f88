"""The worker: takes a message and does what it says. Returning acknowledges it; raising leaves it to come
back."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from ..config import Retry, StepsPerInvocation
from ..durations import from_millis, in_millis, to_millis
from ..engine import paths
from ..engine.asynchronous import AsyncReplay
from ..engine.code import Code
from ..engine.interrupts import Broken, Reload, Renewed, Stale, Suspend, Swallowed
from ..engine.journal import Failure, Header, Journal, Partition, Record, RunStatus
from ..engine.replay import Replay
from ..engine.sync import SyncReplay
from ..errors import (
    ConfigurationError,
    DurableError,
    ErrorInfo,
    EventDataError,
    RunTimeoutError,
    StepError,
)
from ..event_json import load_event
from ..events import Event
from ..function import App, Function
from ..ports import Delivery, Invocation, Outgoing, VersionGoneError, World
from . import branches, checks, children, ingress
from .attempts import what_left
from .chain import Chain
from .endings import Endings, too_late
from .hooks import Hooks
from .interrupts import ComesAgain, GoOn, Strayed
from .logs import HandlerLog
from .messages import (
    FINISH,
    START,
    Arrival,
    Continuation,
    Due,
    PoisonError,
    Scheduled,
    Start,
    compensation,
    parse,
)
from .renewal import Renewals, renew
from .turn import Turn
from .versions import code_of, gone, is_elsewhere
from .visit import Visit
from .wakes import lifetime, send_at

if TYPE_CHECKING:
    from .undoing import Undoing

MOST_IDLE = 100
"""Invocations in a row that got nowhere before a run is failed: an endless loop costs money."""

MOST_RELOADS = 50

FAILURE = ":failure"
"""The made-up path of the handler's own failed attempt, in a message's `due`; in a user's id `:` is escaped."""

logger = logging.getLogger(__name__)


class Worker:
    """Works on messages for one app."""

    def __init__(
        self, app: App, world: World, *, steps_per_invocation: StepsPerInvocation | None = None
    ) -> None:
        self._app = app
        self._world = world
        self._steps_per_invocation = steps_per_invocation
        self._hooks = Hooks.of(app)
        self._ends = Endings(app, world)
        self._renewals = Renewals(app, world, self._ends)

    def handle(self, delivery: Delivery, invocation: Invocation) -> None:
        """Do what a message says. Raises ComesAgain when all is done, and the message is to be kept."""
        try:
            message = parse(delivery.body)
            if isinstance(message, Continuation):
                self._go_on(message, Visit(delivery, invocation, stands_for=message.stands_for))
            elif isinstance(message, Start):
                self._start(message, delivery, invocation)
            elif isinstance(message, Scheduled):
                ingress.scheduled(self._world, self._app, message, delivery)
            elif isinstance(message, Arrival):
                ingress.arrival(self._world, message, delivery, _until(invocation))
            else:
                ingress.event(self._world, self._app, message, delivery, _until(invocation))
        except PoisonError as error:
            logger.error("a message is put aside: %s", error, extra={"message_id": delivery.message_id})
            self._world.queue.dead_letter(delivery, str(error))
            return
        if self._may_be_at_work(delivery, invocation):
            raise ComesAgain("another delivery of this message may still be at work")

    def _may_be_at_work(self, delivery: Delivery, invocation: Invocation) -> bool:
        """Whether an earlier delivery of a message may not have ended yet."""
        if delivery.receive_count == 1 or delivery.first_received is None:
            return False
        age = to_millis(self._world.clock.now()) - delivery.first_received
        return age < lifetime(invocation)

    def _start(self, message: Start, delivery: Delivery, invocation: Invocation) -> None:
        if message.pin is not None and message.pin != self._world.versions.present:
            try:
                self._world.versions.hand_over(message.pin, delivery, invocation)
                return
            except VersionGoneError:  # who handles a failure may be the live code
                if message.invoker is not None:
                    why = f"Lambda version {message.pin}, to which the run is pinned that invoked it, was deleted"
                    children.refuse(self._world, message, delivery, why)
                    return
                message = message.model_copy(update={"pin": None})
        if message.invoker is not None and not children.may_begin(self._world, message, delivery):
            return
        try:
            ingress.start(self._world, self._app, message, delivery)
        except PoisonError as error:
            children.refuse(self._world, message, delivery, str(error))
            raise

    def _go_on(self, message: Continuation, visit: Visit) -> None:
        for _ in range(MOST_RELOADS):
            try:
                chain = self._load(message, visit)
                if chain is not None:
                    self._work(chain)
                self._linger(visit)
                return
            except GoOn as go_on:
                message = go_on.message
            except Reload:
                continue
            except (Suspend, Stale):
                self._linger(visit)
                return
            except Broken as broken:
                assert broken.__cause__ is not None
                raise broken.__cause__
        raise RuntimeError(
            f"run {message.run}: its journal changed {MOST_RELOADS} times during one invocation"
        )

    def _linger(self, visit: Visit) -> None:
        """What comes next is durable; wait for steps that the code has abandoned and that have an undo, since how
        they end is to be known. If the run is to undo them already, it need wait no longer."""
        if not visit.abandoned:
            return
        attempts, _ = next(iter(visit.abandoned.values()))
        attempts.linger()
        run = attempts.chain.journal_id
        header = self._world.store.get_header(run)
        if header is not None and header.status is RunStatus.COMPENSATING:
            self._world.queue.send([Outgoing(compensation(run).body())])

    def dead_letter(self, delivery: Delivery, invocation: Invocation) -> None:
        """A message that was received too often: every invocation that took it failed, or died. A
        continuation is brought back once, as a check, since an outage may be over; a run that it then
        still kills is failed. Everything else is put aside for people to see."""
        try:
            message = parse(delivery.body)
        except PoisonError as error:
            self._world.queue.dead_letter(delivery, str(error))
            return
        if not isinstance(message, Continuation):
            reason = "every invocation that took this message failed"
            if isinstance(message, Start):
                children.refuse(self._world, message, delivery, reason)
            self._world.queue.dead_letter(delivery, reason)
            return
        again = message.model_copy(update={"forced": True, "check": True, "due": None, "stands_for": None})
        if not message.revived:
            self._world.queue.send([Outgoing(again.model_copy(update={"revived": 1}).body())])
            return
        try:
            chain = self._load(again, Visit(delivery, invocation), here=True)
            if chain is not None:
                self._fail(
                    chain,
                    "every invocation that took this run's message failed or died, and again after it was brought "
                    f"back from the dead-letter queue; see the worker's log for what happened to "
                    f"{message.leaf or 'it'}",
                )
        except PoisonError as error:
            self._world.queue.dead_letter(delivery, str(error))
        except GoOn as go_on:  # what the message is about is over, and it alone says so
            self._world.queue.send([Outgoing(go_on.message.body())])
        except Reload:  # it has continued as new meanwhile
            self._world.queue.send([Outgoing(again.body())])

    # -- loading -------------------------------------------------------------------------------------

    def _load(self, message: Continuation, visit: Visit, *, here: bool = False) -> Chain | None:
        """The run, as far as the message needs it. None if there is nothing to do; for another version than this,
        too, unless it is to be done `here` whichever the run is pinned to."""
        store = self._world.store
        loaded = store.load_run(message.run)
        if loaded is None:
            raise PoisonError(f"there is no run {message.run!r}")
        header, top = loaded
        if header.journal_id != message.run:
            if self._renewals.follow_up(header, message, visit.tag) or not message.concerns_all:
                return None
            message = message.model_copy(update={"run": header.journal_id})
            top = store.load_scope(header.journal_id, "")
        if not here and is_elsewhere(self._world, header) and self._hand_over(header, top, message, visit):
            return None
        if header.status.ended:
            self._ends.follow_up(header, top, visit.tag)
            return None
        if header.status is RunStatus.COMPENSATING and message.scope != paths.UNDO:
            raise GoOn(
                compensation(message.run, forced=message.check, check=message.check, revived=message.revived)
            )
        journal = Journal([top])
        for scope in paths.ancestors(message.scope)[1:] if message.scope else ():
            journal.add(store.load_scope(message.run, scope))
        chain = Chain(self._world, visit, header, journal, message, self._code(header))
        if header.status is RunStatus.CANCELLING:
            self._ends.end(chain, RunStatus.CANCELLED)
            return None
        compensates = header.status is RunStatus.COMPENSATING
        if not compensates and (why := too_late(chain)) is not None:
            self._ends.end(chain, RunStatus.FAILED, error=ErrorInfo.of(RunTimeoutError(why)))
            return None
        target = self._target(chain)
        if message.forced:
            chain.force(target)
        if message.check and visit.loads == 1 and not checks.is_quiet(chain, target):
            return None
        if message.idle >= MOST_IDLE:
            self._fail(chain, _why_idle(message, header))
            return None
        return chain if self._is_due(chain, target) else None

    def _code(self, header: Header) -> Code:
        return code_of(self._world, self._app.functions.get(header.function_id))

    def _hand_over(self, header: Header, top: Partition, message: Continuation, visit: Visit) -> bool:
        """Have the version that a run is pinned to work on a message. Whether there is nothing left to do here."""
        if header.status.ended and (header.ended_by is None or header.ended_by.tag != visit.tag):
            return True
        try:
            self._world.versions.hand_over(header.code.release, visit.delivery, visit.invocation)
            return True
        except VersionGoneError:
            if header.status is not RunStatus.RUNNING:
                return False
            chain = Chain(self._world, visit, header, Journal([top]), message, self._code(header))
            self._ends.end(chain, RunStatus.FAILED, error=gone(header))
            return True

    def _is_due(self, chain: Chain, record: Record | None) -> bool:
        """Whether there is something to do for a message now. `record` is that of its branch or leaf."""
        message, due = chain.message, chain.message.due
        if record is not None and record.final:
            self._already_ended(chain, record)
            return False
        if (
            record is not None
            and record.author.tag != chain.tag
            and record.author.generation >= message.generation
        ):
            return False  # another message has made an attempt since this one was sent
        if due is None:
            return True
        at = self._due_at(chain, due)
        if at is None or (at != due.at and not self._put_off(chain, due.path)):
            return not self._was_done_by_another(chain, due.path)
        if at <= chain.now():
            return True
        chain.repeats = False  # a wake that came early goes back, and is still the only one
        chain.wake(due.path, at, message=chain.once_more())
        return False

    def _target(self, chain: Chain) -> Record | None:
        """The record of the branch or leaf that a message is about."""
        return self._record(chain, chain.focus) if chain.focus else None

    def _record(self, chain: Chain, target: str) -> Record | None:
        scope = paths.parent(target)
        partition = chain.journal.partitions.get(scope)
        if partition is not None:
            return partition.records.get(target)
        record = self._world.store.get_record(chain.journal_id, target)
        if record is not None:
            chain.note(record)
        return record

    def _due_at(self, chain: Chain, due: Due) -> int | None:
        if due.path == FAILURE:
            failure = chain.journal.partitions[""].failure
            return failure.wake_at if failure is not None else None
        if due.path == START:
            return chain.header.starts
        if due.path == FINISH:
            return chain.header.finish_by
        record = self._record(chain, due.path)
        return record.wake_at if record is not None and not record.final else None

    def _put_off(self, chain: Chain, path: str) -> bool:
        """Whether it is a wait that this wake alone is for, and that lasts longer since it had a heartbeat."""
        if path not in chain.journal.dispatched:
            return False
        record = self._record(chain, path)
        return record is not None and record.waits is not None

    def _was_done_by_another(self, chain: Chain, path: str) -> bool:
        """Whether another message has made the attempt that this one was for, or somebody outside has ended the
        wait whose time is over: that one sees to it that the run goes on."""
        record = None if path.startswith(":") else self._record(chain, path)
        if record is None or record.author.tag == chain.tag:
            return False
        return record.final or (record.wake_at is not None and record.waits is None)

    def _already_ended(self, chain: Chain, record: Record) -> None:
        """A branch or leaf has its outcome. If this very message brought it, its work ends with what comes
        after; if another one did, that one sees to it."""
        if not chain.answers_for(record.author):
            return
        message = branches.after(chain, record)
        if message is not None:
            raise GoOn(message)

    # -- working -------------------------------------------------------------------------------------

    def _work(self, chain: Chain) -> None:
        header = chain.header
        function = self._app.functions.get(header.function_id)
        if header.status is RunStatus.COMPENSATING:
            self._undoing(chain).go_on()
            return
        if function is None:
            self._fail(chain, f"this app has no function {header.function_id!r}; was it renamed or removed?")
            return
        text = chain.read(header.event)
        try:
            event = function.validate(load_event(text))
        except EventDataError as error:
            self._ends.end(chain, RunStatus.FAILED, error=ErrorInfo.of(error))
            return
        if chain.repeats:
            children.give_up_again(chain)
        turn = Turn(chain, self._mode(function), self._app.max_output, self._hooks)
        kind: type[Replay] = AsyncReplay if function.is_async else SyncReplay
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
        )
        replay.event = load_event(text)  # one of its own: a model may share what it was made of
        self._replay(chain, function, replay, event, turn)

    def _replay(
        self, chain: Chain, function: Function[Any, Any], replay: Replay, event: Event[Any], turn: Turn
    ) -> None:
        log = HandlerLog(replay, function.id)
        attempt = self._attempt(chain)
        call = partial(
            function.call,
            event=event,
            run_id=chain.header.run_id,
            function_id=function.id,
            attempt=attempt,
            started_at=from_millis(chain.header.created),
            _logger=log.logger,
            _renew=partial(renew, function, replay, self._app.max_output),
        )
        try:
            result = self._hooks.around_handler(chain.header, event, partial(replay.run, call))
        except Renewed as renewed:
            log.flush()
            if replay.focus:
                raise GoOn(branches.home(chain)) from None
            chain.visit.running.clear()  # what still runs belongs to a journal that nobody will read
            self._settle(chain, replay)
            self._renewals.renew(chain, renewed.event)
        except Swallowed as swallowed:
            self._ends.end(chain, RunStatus.FAILED, error=ErrorInfo.of(swallowed.error()))
        except Strayed as strayed:
            self._strayed(chain, function.retry, strayed.error)
        except Exception as error:
            log.flush()
            turn.attempts.drain()  # what a retry would start again
            if not replay.focus:
                self._handler_failed(chain, replay, function.retry, error)
            elif isinstance(error, StepError):
                raise GoOn(branches.home(chain)) from None
            else:
                self._strayed(chain, function.retry, error)
        else:
            log.flush()
            if replay.focus:
                raise GoOn(branches.home(chain))
            turn.attempts.abandon()
            self._handler_ended(chain, replay, function, result)

    def _attempt(self, chain: Chain) -> int:
        failure = chain.journal.partitions[""].failure
        return failure.attempts + 1 if failure is not None and failure.seen == _outcomes(chain) else 1

    # -- the handler's end ---------------------------------------------------------------------------

    def _handler_ended(self, chain: Chain, replay: Replay, function: Function[Any, Any], result: Any) -> None:
        self._settle(chain, replay)
        try:
            text = function.codec.encode(result)
            output = chain.keep(text, f"the output of function {function.id!r}", limit=self._app.max_output)
        except StepError as error:
            self._ends.end(chain, RunStatus.FAILED, error=ErrorInfo.of(error))
            return
        unused = chain.journal.partitions[""].records.keys() - replay.top.called
        self._ends.end(chain, RunStatus.COMPLETED, output=output, unused=tuple(sorted(unused)))

    def _handler_failed(self, chain: Chain, replay: Replay, retry: Retry, error: Exception) -> None:
        """Code between steps raised: it is tried again, unless the error says that this is useless."""
        error = what_left(error)
        attempt = self._attempt(chain)
        if isinstance(error, DurableError) or attempt >= retry.max_attempts or not retry.wants(error):
            self._settle(chain, replay)
            info = ErrorInfo.of(error)
            self._ends.end(
                chain,
                RunStatus.FAILED,
                error=info if info.step_id else info.model_copy(update={"attempts": attempt}),
            )
            return
        chain.lead(replay.undecided())
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
        self._world.store.save_failure(chain.journal_id, failure)
        chain.progressed = True
        chain.wake(FAILURE, wake_at, message=chain.once_more())

    def _strayed(self, chain: Chain, retry: Retry, error: Exception) -> None:
        """The code around a branch or step that was handed out raised before it came to it. It is tried
        again; in the end the run fails, since its handler can't be replayed."""
        message = chain.message
        attempt = message.failures + 1
        if isinstance(error, DurableError) or attempt >= retry.max_attempts or not retry.wants(error):
            self._ends.end(chain, RunStatus.FAILED, error=ErrorInfo.of(error, attempts=attempt))
            return
        again = chain.once_more(failures=attempt)
        delay = retry.delay(attempt, f"{chain.journal_id}/{message.leaf or message.scope}/{attempt}")
        now = chain.now()
        at = now + in_millis(delay)
        name = f"{chain.journal_id}/{message.scope}/{message.leaf}/{message.generation}/{attempt}"
        send_at(self._world, again.body(), at, now=now, name=name)

    def _settle(self, chain: Chain, replay: Replay) -> None:
        """Before a run ends: how it does is the same for whoever gets here, once the order is agreed."""
        order = replay.undecided()
        if order:
            chain.lead(order)

    def _mode(self, function: Function[Any, Any]) -> StepsPerInvocation:
        if self._steps_per_invocation is not None:
            return self._steps_per_invocation
        return function.steps_per_invocation

    def _undoing(self, chain: Chain) -> Undoing:
        from .undoing import Undoing  # with the surveys, 10 ms of a cold start that few runs need

        function = self._app.functions.get(chain.header.function_id)
        mode: StepsPerInvocation = "all" if function is None else self._mode(function)
        return Undoing(chain, self._ends, function, mode, self._app.max_output, self._hooks)

    def _fail(self, chain: Chain, message: str) -> None:
        if chain.header.status is RunStatus.COMPENSATING:
            self._undoing(chain).give_up(message)
            return
        self._ends.end(chain, RunStatus.FAILED, error=ErrorInfo.of(ConfigurationError(message)))


def _until(invocation: Invocation) -> float:
    """Until when (monotonic) work may go on that can be handed over."""
    return invocation.deadline - invocation.timeout / 2


def _outcomes(chain: Chain) -> int:
    return chain.journal.partitions[""].outcomes(chain.now())


def _why_idle(message: Continuation, header: Header) -> str:
    why = f"{MOST_IDLE} invocations in a row made no progress"
    if message.due is not None:
        return f"{why}; the last waited for {message.due.path!r}"
    if header.renewal is not None:
        return f"{why}: does it continue as new for ever, with no step, sleep or wait in between?"
    return why
