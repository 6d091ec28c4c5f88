"""The worker: takes a message and does what it says. Returning acknowledges it; raising leaves it to come
back."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..config import StepsPerInvocation
from ..durations import to_millis
from ..engine import paths
from ..engine.interrupts import Broken, Reload, Stale, Suspend
from ..engine.journal import Header, Partition, RunStatus
from ..engine.journal_ids import run_of
from ..engine.loaded import Journal
from ..errors import ConfigurationError, DurableError, ErrorInfo, RunTimeoutError
from ..function import App, Function
from ..log_keys import bind
from ..metrics import QUEUE_DELAY, WAKE_LATENESS
from ..ports import Delivery, Invocation, Outgoing, VersionGoneError, World
from . import checks, children, ingress, staleness
from .admission import Admission
from .beginnings import Begun
from .chain import Chain
from .direct import Direct
from .eager import WHILE, is_prompt, may_begin_here
from .endings import Endings, too_late
from .gathering import gather
from .giving_up import bring_back, give_up, leave
from .hooks import Hooks
from .interrupts import ComesAgain, GoOn
from .letting_go import forget_late
from .messages import (
    Arrival,
    Continuation,
    Gather,
    Paused,
    PoisonError,
    Postponed,
    Resume,
    Scheduled,
    Start,
    compensation,
    parse,
)
from .pausing import Pausing
from .remembering import Remembering
from .renewal import Renewals
from .replaying import Replaying
from .resuming import cancel_all, resume
from .slots import Slots
from .versions import code_of, gone, is_elsewhere
from .visit import Visit
from .wakes import lifetime, send_at

if TYPE_CHECKING:
    from .undoing import Undoing

MOST_IDLE = 100
"""Invocations in a row that got nowhere before a run is failed: an endless loop costs money."""

LONGEST_PAUSE = 24 * 60 * 60
"""Seconds between two looks whether the code has come to what was handed out before a deploy."""

MOST_RELOADS = 50

logger = logging.getLogger(__name__)


class Worker:
    """Works on messages for one app, in one invocation."""

    def __init__(
        self, app: App, world: World, *, steps_per_invocation: StepsPerInvocation | None = None
    ) -> None:
        self._app = app
        self._world = world = replace(world, blobs=Remembering(world.blobs))
        self._steps_per_invocation = steps_per_invocation
        self._hooks = Hooks.of(app)
        self._ends = Endings(app, world)
        self._admission = Admission(app, world)
        self._slots = Slots(app, world)
        self._pausing = Pausing(world, self._admission)
        self._renewals = Renewals(app, world, self._ends)
        self._direct = Direct(app, world)

    def handle(self, delivery: Delivery, invocation: Invocation, *, last: bool = True) -> None:
        """Do what a message says, which is the `last` of its batch unless others wait for it. Raises ComesAgain when
        all is done, and the message is to be kept."""
        here = may_begin_here(delivery, last=last)
        of_event = here and is_prompt(delivery)
        try:
            message = parse(delivery.body)
            if isinstance(message, Continuation):
                self._go_on(message, Visit(delivery, invocation, message))
            elif isinstance(message, Start):
                begun = self._direct.start(message, delivery, invocation, eagerly=here)
                self._begin_with(begun, delivery, invocation)
            elif isinstance(message, Scheduled):
                begun = ingress.scheduled(self._world, self._app, message, delivery, eagerly=of_event)
                self._begin_with(begun, delivery, invocation, WHILE)
            elif isinstance(message, Paused):
                cancel_all(self._world, message, _until(invocation))
            elif isinstance(message, Resume):
                resume(self._world, self._app, message, delivery, invocation, _until(invocation))
            elif isinstance(message, Arrival):
                ingress.arrival(self._world, message, delivery, _until(invocation))
            elif isinstance(message, Postponed):
                ingress.postponed(self._world, self._app, message, delivery)
            elif isinstance(message, Gather):
                gather(self._world, self._app, message, delivery)
            else:
                self.event(message, delivery, invocation, eagerly=of_event)
        except PoisonError as error:
            leave(self._world, delivery)
            logger.error("a message is put aside: %s", error, extra={"message_id": delivery.message_id})
            self._world.queue.dead_letter(delivery, str(error))
            return
        if self._may_be_at_work(delivery, invocation):
            raise ComesAgain("another delivery of this message may still be at work")

    def event(
        self, content: dict[str, Any], delivery: Delivery, invocation: Invocation, *, eagerly: bool
    ) -> list[str]:
        """Do what an event of EventBridge starts. The ids of its runs."""
        until = _until(invocation)
        runs, begun = ingress.event(self._world, self._app, content, delivery, until, eagerly=eagerly)
        self._begin_with(begun, delivery, invocation, WHILE)
        return runs

    def _begin_with(
        self, begun: Begun | None, delivery: Delivery, invocation: Invocation, most: float = math.inf
    ) -> None:
        """Go on with the run that a message has begun, for so many seconds at most before another step."""
        if begun is None:
            return
        message = Continuation(run=begun.header.run_id)
        until = self._world.clock.monotonic() + most
        visit = Visit(delivery, invocation, message, begun.header if begun.new else None, until)
        self._go_on(message, visit)

    def _may_be_at_work(self, delivery: Delivery, invocation: Invocation) -> bool:
        """Whether an earlier delivery of a message may not have ended yet."""
        if delivery.receive_count == 1 or delivery.first_received is None:
            return False
        age = to_millis(self._world.clock.now()) - delivery.first_received
        return age < lifetime(invocation)

    def _go_on(self, message: Continuation, visit: Visit) -> None:
        try:
            self._work_on(message, visit)
        except PoisonError:
            self._slots.settle(message, visit)
            raise
        except Exception:
            self._slots.give_back(visit)
            raise
        self._slots.settle(message, visit)

    def _work_on(self, message: Continuation, visit: Visit) -> None:
        for _ in range(MOST_RELOADS):
            try:
                chain = self._load(message, visit)
                if chain is not None:
                    self._work(chain)
                self._come_back(visit)
                self._linger(visit)
                return
            except GoOn as go_on:
                message = go_on.message
            except Reload:
                continue
            except (Suspend, Stale):
                self._come_back(visit)
                self._linger(visit)
                return
            except Broken as broken:
                assert broken.__cause__ is not None
                raise broken.__cause__
        raise RuntimeError(
            f"run {message.run}: its journal changed {MOST_RELOADS} times during one invocation"
        )

    def _come_back(self, visit: Visit) -> None:
        """What the message was about has not been come to, since a deploy has put something before it: it comes
        again, ever later, unless it was handed out anew."""
        now = to_millis(self._world.clock.now())
        for path, message in visit.strayed.items():
            if path not in visit.sent_again:
                at = now + 1000 * min(2**message.idle, LONGEST_PAUSE)
                again = replace(message, due=None, idle=min(message.idle, MOST_IDLE // 2))
                send_at(
                    self._world, again.body(), at, now=now, name=f"{message.run}/{path}/{visit.tag}/strayed"
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
            give_up(self._world, message, delivery)
            return
        visit = Visit(delivery, invocation, message)
        if message.order is not None:
            self._slots.settle(message, visit)
        again = message.as_check(gate=None, order=None)
        if not message.revived:
            bring_back(self._world, message, self._world.store.get_header(run_of(message.run)), visit.tag)
            return
        try:
            chain = self._load(again, visit, here=True)
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
        new, visit.new = visit.new, None
        loaded = (new, Partition("")) if new is not None else store.load_run(message.run)
        if loaded is None:
            if message.due is not None:  # a time of a run that was over long before it
                logger.info("run %s has expired: nothing wakes any more", message.run)
                return None
            self._admission.forget(message)
            raise PoisonError(f"there is no run {message.run!r}")
        header, top = loaded
        bind(run_id=header.run_id, function_id=header.function_id)
        if header.queueing is not None and header.status is not RunStatus.QUEUED and not visit.loads:
            self._admission.follow_up(header, message, visit.tag)
        if header.status.ended or header.journal_id != message.run:
            forget_late(self._world, message.run, top, _may_be_late(message, visit))
        if header.journal_id != message.run:
            if self._renewals.follow_up(header, message, visit.tag) or not message.concerns_all:
                return None
            message = replace(message, run=header.journal_id)
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
        chain = self._chain(visit, header, journal, message)
        for scope in journal.partitions:
            children.give_up_again(chain, scope)
        if header.status is RunStatus.CANCELLING:
            self._ends.end(chain, RunStatus.CANCELLED)
            return None
        compensates = header.status is RunStatus.COMPENSATING
        if not compensates and (error := self._never_goes_on(chain)) is not None:
            if header.status is RunStatus.QUEUED:
                ended = self._admission.fail(header, ErrorInfo.of(error), visit.tag)
                self._ends.follow_up(ended, top, visit.tag)
                return None
            self._ends.end(chain, RunStatus.FAILED, error=ErrorInfo.of(error))
            return None
        target = staleness.target(chain)
        if message.forced:
            chain.force(target)
        if message.check and visit.loads == 1 and not (chain.leads(target) or checks.is_quiet(chain, target)):
            return None
        if message.idle >= MOST_IDLE:
            self._fail(chain, _why_idle(message, header))
            return None
        if not staleness.is_due(chain, target) or self._pausing.keeps(chain):
            return None
        if visit.loads == 1:
            self._measure_delay(chain)
        header = chain.header
        if header.status is RunStatus.QUEUED:
            chain.header = self._admission.admit(header, message, visit.tag)
            if chain.header.status.ended:
                self._ends.follow_up(chain.header, top, visit.tag)
            elif chain.header.status is RunStatus.QUEUED and message.check:
                checks.look_seldom(chain)
        return (
            chain if chain.header.status is not RunStatus.QUEUED and not chain.header.status.ended else None
        )

    def _measure_delay(self, chain: Chain) -> None:
        """How late a wake is, or how long a message without a delay of its own was in the queue."""
        metrics, message, delivery = self._world.metrics, chain.message, chain.visit.delivery
        if delivery.receive_count > 1 or message.forced or chain.visit.stands_for is not None:
            return
        if message.due is not None:
            late = to_millis(self._world.clock.now()) - message.due.at
            metrics.add(WAKE_LATENESS, max(late, 0), chain.header.function_id)
        elif delivery.sent is not None and delivery.first_received is not None and not message.idle:
            waited = delivery.first_received - delivery.sent
            metrics.add(QUEUE_DELAY, max(waited, 0), chain.header.function_id)

    def _never_goes_on(self, chain: Chain) -> DurableError | None:
        """Why a run is to end here. One that begins with what another one has gets that first."""
        if (why := too_late(chain)) is not None:
            return RunTimeoutError(why)
        if chain.header.origin is not None and not chain.header.origin.kept:
            from .rerunning import keep

            return keep(chain)
        return None

    def _chain(self, visit: Visit, header: Header, journal: Journal, message: Continuation) -> Chain:
        code = code_of(self._world, self._app.functions.get(header.function_id))
        return Chain(self._world, visit, header, journal, message, self._hooks, code, self._app.max_output)

    def _hand_over(self, header: Header, top: Partition, message: Continuation, visit: Visit) -> bool:
        """Have the version that a run is pinned to work on a message. Whether there is nothing left to do here."""
        if header.status.ended and (header.ended_by is None or header.ended_by.tag != visit.tag):
            return True
        try:
            self._world.versions.hand_over(header.code.release, visit.delivery, visit.invocation)
            visit.handed_over = True
            return True
        except VersionGoneError:
            if header.status is not RunStatus.RUNNING:
                return False
            chain = self._chain(visit, header, Journal([top]), message)
            self._ends.end(chain, RunStatus.FAILED, error=gone(header))
            return True

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
        Replaying(
            chain,
            self._ends,
            self._renewals,
            function,
            self._mode(function),
            self._slots,
        ).go_on()

    def _mode(self, function: Function[Any, Any]) -> StepsPerInvocation:
        if self._steps_per_invocation is not None:
            return self._steps_per_invocation
        return function.steps_per_invocation

    def _undoing(self, chain: Chain) -> Undoing:
        from .undoing import Undoing  # with the surveys, 10 ms of a cold start that few runs need

        function = self._app.functions.get(chain.header.function_id)
        mode: StepsPerInvocation = "all" if function is None else self._mode(function)
        return Undoing(chain, self._ends, function, mode, self._slots)

    def _fail(self, chain: Chain, message: str) -> None:
        if chain.header.status is RunStatus.COMPENSATING:
            self._undoing(chain).give_up(message)
            return
        self._ends.end(chain, RunStatus.FAILED, error=ErrorInfo.of(ConfigurationError(message)))


def _may_be_late(message: Continuation, visit: Visit) -> set[str]:
    """The paths of waits that this invocation has registered, or that the message is the time-out of."""
    due = message.due
    return visit.registered if due is None or due.path.startswith(":") else visit.registered | {due.path}


def _until(invocation: Invocation) -> float:
    """Until when (monotonic) work may go on that can be handed over."""
    return invocation.deadline - invocation.timeout / 2


def _why_idle(message: Continuation, header: Header) -> str:
    why = f"{MOST_IDLE} invocations in a row made no progress"
    if message.due is not None:
        return f"{why}; the last waited for {message.due.path!r}"
    if header.renewal is not None:
        return f"{why}: does it continue as new for ever, with no step, sleep or wait in between?"
    return why
