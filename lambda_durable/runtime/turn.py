"""A turn: what one message does for its chain. The driver of a replay.

What the handler waits for is either *here* (run in this invocation) or *handed out* (to messages of its
own). A single step is always here; several are, if `steps_per_invocation` has room for them all. As long as
everything is here, the message in hand is the only one that acts for the chain. Once something is handed
out, whoever brings an outcome back may act, and the chain's log decides who does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from ..config import StepsPerInvocation
from ..engine import paths
from ..engine.interrupts import Reload, Stale, Suspend
from ..engine.journal import Kind, Payload, Record, RunStatus, State
from ..engine.operations import CallbackWait, FanOut, Group, Operation, Sleep, StepCall, Wait
from ..engine.replay import Replay
from ..errors import StepError
from . import branches, children, waits
from .allowance import Allowance
from .attempts import Attempts
from .chain import Chain
from .checks import look_again
from .holding import paused
from .interrupts import GoOn, Strayed
from .letting_go import give_up_in_group, let_go_of_group
from .messages import Continuation
from .todo import Todo

CANCEL_CHECK = 1.0
"""Seconds: how often a long invocation looks whether its run was cancelled."""


class Turn:
    """Drives one replay."""

    def __init__(
        self,
        chain: Chain,
        mode: StepsPerInvocation,
        take_slot: Callable[[], None] | None = None,
    ) -> None:
        self.chain = chain
        self.attempts = Attempts(chain)
        self.focus = chain.focus
        self._new: set[str] = set()  # scopes that this turn was the first to enter
        self._looked = chain.world.clock.monotonic()
        self._paused = False
        self._allowance = Allowance(chain, mode)
        self._take_slot = take_slot
        self._moment = chain.now()
        self._todo: Todo | None = None

    # -- Driver --------------------------------------------------------------------------------------

    def now(self) -> int:
        """Time stands still while the turn advances: a sleep that is over is so for the replay, and for what is done
        because of it."""
        return self._moment

    def read(self, payload: Payload) -> str:
        return self.chain.read(payload)

    def advance(self, replay: Replay) -> None:
        if self._something_is_over(replay):
            return
        self._look_for_cancel()
        if replay.pump():
            return
        enclosing = replay.to_enter()
        if enclosing:
            for op in enclosing:
                self.chain.load(op.path, new=isinstance(op, FanOut))  # of the siblings, nothing is needed
                replay.enter(op)
            return
        if replay.lost is not None:
            branches.give_up(self, replay.lost)
        todo = self._todo_of(replay).to_start()
        at_work = self._is_at_work(replay)
        if todo and self._paused and not at_work:
            self._leave(replay)
        if todo and not self._paused and self._start(replay, todo):
            return
        if at_work or self._is_at_work(replay):
            self._await(replay)
        else:
            self.attempts.abandon()
            self._pause(replay, replay.open())

    def _something_is_over(self, replay: Replay) -> bool:
        """Let time go on. Whether a sleep ended that was open a moment ago."""
        todo = self._todo_of(replay)
        todo.learn()
        self._moment = max(self._moment, self.chain.now())
        return todo.pass_time(self._moment)

    def _todo_of(self, replay: Replay) -> Todo:
        if self._todo is None:
            self._todo = Todo(self, replay.agenda)
        return self._todo

    def _is_at_work(self, replay: Replay) -> bool:
        """Whether a step runs here that the code waits for."""
        return any(map(replay.agenda.has, self.attempts.running))

    def finish(self, op: Group | FanOut, result: Any, error: Exception | None) -> None:
        chain = self.chain
        if isinstance(op, FanOut):
            record = op.record
            assert record is not None
            assert record.plan is not None
            if not record.plan.lanes:
                self._leave_to_the_leader(op.path)
            # Here it is the list as it is now that was run; in lanes, the list as it was at first.
            plan = record.plan if record.plan.lanes else op.plan(0)
            outcome = op.join(plan.keys, chain.journal.partitions[op.path].records, self.read)
            chain.commit_whole(self.attempts.joined(replace(record, plan=plan), outcome))
            return
        if op.scope.replay.encloses_focus(op.path):
            if error is None or isinstance(error, StepError):
                raise GoOn(branches.home(self.chain))
            raise Strayed(error)
        if error is None and op.path == self.focus:
            chain.lead(op.scope.replay.undecided())
        if op.scope.replay.log is not None:
            op.scope.replay.log.flush()
        self._leave_to_the_leader(op.path)
        self._publish(op.scope.replay)
        give_up_in_group(self.chain, op.path)
        record = self.attempts.end_group(op, result, error)
        if not record.final:
            op.scope.replay.leave(op)
            return
        let_go_of_group(self.chain, op.path)
        if op.path == self.focus:
            branches.give_back(self, record)

    def _leave_to_the_leader(self, path: str) -> None:
        """Who was overtaken ends no group or fan-out, but for one that outcomes come back to: its record would take the
        place of the leader's, which then knew no more that it leads."""
        if self.chain.follower and not self.chain.journal.hands_out(path):
            raise Stale

    def is_known(self, scope: str) -> bool:
        self.chain.load(scope)
        journal = self.chain.journal
        return bool(journal.partitions[scope].records) or journal.hands_out(scope)

    # -- what can be started -------------------------------------------------------------------------

    def can_start(self, op: Operation) -> bool:
        if op.path in self.attempts.running:
            return False
        if isinstance(op, Wait) and op.record is not None:
            return self._is_late(op) or self._to_register_again(op)
        if self.driven_elsewhere(op):
            return op.path == self.chain.message.joined or self._to_send_again(op)
        record = op.record
        if record is None:
            return True
        at = self.due(record)
        return at is None or (at <= self.now() and record.state is not State.WAITING)

    def _is_late(self, op: Operation) -> bool:
        """Whether it is a wait whose time is over, or which nobody will ever be told of."""
        record = op.record
        if not isinstance(op, Wait) or record is None or record.wake_at is None:
            return False
        never = isinstance(op, CallbackWait) and op.not_submitted is not None
        return never or record.wake_at <= self.now()

    def _to_register_again(self, op: Wait) -> bool:
        """Whether an earlier delivery of this message registered the wait, perhaps so that nobody finds it; or
        it is to look back once more."""
        if op.path in self.chain.visit.registered:
            return False
        assert op.record is not None
        if op.record.author.tag == self.chain.tag or self.chain.message.check:
            return True
        return op.kind is Kind.WAIT_FOR_EVENT and waits.looks_again(op.record, self.now())

    def driven_elsewhere(self, op: Operation) -> bool:
        """Whether messages of its own drive it."""
        if op.path == self.focus:
            return False
        record = op.record
        in_lanes = record is not None and record.plan is not None and record.plan.lanes > 0
        return in_lanes or op.path in self.chain.journal.dispatched

    def _to_send_again(self, op: Operation) -> bool:
        """Whether this message handed it out in an earlier delivery, perhaps without telling anybody; or
        is to see to it that somebody is told."""
        if op.path in self.chain.visit.sent_again:
            return False
        if self.chain.message.check or op.path in self.chain.visit.strayed:
            return True
        entry = self.chain.journal.dispatched.get(op.path)  # a sleep may have been registered long before it
        return self.chain.tag in {told.author.tag for told in (op.record, entry) if told is not None}

    def due(self, record: Record) -> int | None:
        """When a record that has no outcome can be gone on with; None for at once."""
        return record.wake_at if record.wake_at is not None else self.attempts.free_at(record)

    # -- starting ------------------------------------------------------------------------------------

    def _start(self, replay: Replay, todo: list[Operation]) -> bool:
        """Start what can be. Whether something is here now that was not before."""
        chain, ops = self.chain, replay.open()
        if chain.message.leaf is not None:
            self._begin(replay, todo[0])
            record = todo[0].record
            if record is not None and record.final:  # its claims are used up, say
                branches.leaf_ended(self, record)
            return True
        for op in todo:
            if op.path == chain.message.joined and isinstance(op, FanOut):
                chain.load(op.path)
                self.finish(op, None, None)  # the same whoever joins, so it takes no lead
                return True
        late = [op for op in todo if self._is_late(op) and self.driven_elsewhere(op)]
        for op in late:
            assert isinstance(op, Wait)
            waits.give_up(chain, op)  # whoever does: it happens once
            replay.agenda.note(op.path)
        if late:
            return True
        here = [op for op in todo if self._has_begun(op)]
        if not here:
            here = [
                op for op in todo if isinstance(op, FanOut) and not op.keys
            ]  # has no lane to come back by
            if here and (replay.undecided() or _has_messages(replay)):
                self._lead(replay)
        for op in here:
            self._begin(replay, op)
        if here:
            return True
        again = [op for op in todo if self.driven_elsewhere(op)]
        if any(op.path in chain.visit.strayed for op in again):
            self._lead(replay)  # what led to it is to be known to those who work on it alone
        elif again:
            self._publish(replay)  # an earlier delivery may have died before it did
        self._hand_out(again)
        todo = [op for op in todo if op not in again]
        if not todo:
            return _has_ended(again)
        if self._allowance.is_out_of_time:
            # What was abandoned may still run; then nobody would come back.
            if not self._is_at_work(replay):
                self._continue(replay)
            return False
        if len(ops) == 1 or self._are_one(ops):
            return self._start_alone(replay, todo[0])
        if self._fits(todo):
            self._lead(replay)
            for op in todo:
                self._begin(replay, op)
            return True
        # From here on several messages act for the chain: all that is open gets a driver of its own.
        mine = [*dict.fromkeys(part for op in ops for part in op.parts() if not self.driven_elsewhere(part))]
        self._lead(replay, [op.path for op in mine])
        self._hand_out(mine)
        return _has_ended([*again, *mine])

    def _are_one(self, ops: Collection[Operation]) -> bool:
        """Whether it is a wait and what has to be done beside it. Who ends the wait meanwhile sends a message of
        the next generation, which this one then follows."""
        first, *rest = islice(ops, 3)
        parts = first.together()
        return len(ops) == len(parts) and {first, *rest} == set(parts) and not self.driven_elsewhere(parts[0])

    def _has_begun(self, op: Operation) -> bool:
        """Whether it is a group or fan-out that is in progress here, or a branch of one: to enter it changes
        nothing, so who has been overtaken may, too."""
        if not isinstance(op, Group | FanOut) or self.driven_elsewhere(op):
            return False
        if op.record is None:
            return paths.is_branch(op.path) or op.path == self.focus
        return op.record.state is State.RUNNING

    def _start_alone(self, replay: Replay, op: Operation) -> bool:
        if isinstance(op, StepCall) and self._allowance.is_used_up:
            self._continue(replay)
        self._lead(replay)
        if isinstance(op, FanOut) and op.record is None and not self._fits([op]):
            self._hand_out([op])
            return False
        return self._begin(replay, op)

    def _lead(self, replay: Replay, dispatched: Sequence[str] = ()) -> None:
        """Make sure that it is this message that acts next, and note that what led to it is past."""
        lines = replay.log.counts() if replay.log is not None else None
        self.chain.lead(replay.undecided(), dispatched, lines)
        replay.decided()

    def _publish(self, replay: Replay) -> None:
        """Nothing begins that would bring the handler's messages with it: publish them now."""
        if not _has_messages(replay):
            return
        if not self.chain.follower:
            self._lead(replay)
        elif replay.log is not None:
            replay.log.decided()

    def _hand_out(self, ops: Sequence[Operation]) -> None:
        self.chain.visit.sent_again.update(op.path for op in ops)
        branches.hand_out(self, ops)
        for op in ops:
            op.scope.replay.agenda.note(op.path)

    def _fits(self, todo: Sequence[Operation]) -> bool:
        """Whether all of it can run here."""
        if self._todo is not None and not self._todo.is_here:
            return False  # the outside world may bring another message back, while this one is at work
        if self._take_slot is not None:
            return False  # each takes a slot of its own
        return self._allowance.has_room_for(todo)

    def _begin(self, replay: Replay, op: Operation) -> bool:
        """Begin an operation here."""
        if isinstance(op, StepCall):
            if self._take_slot is not None:
                self._take_slot()
            self._allowance.spend()
            self.attempts.begin(op)
        elif isinstance(op, Sleep):
            waits.begin_sleep(self.chain, op)
        elif isinstance(op, Wait):
            if self._is_late(op):
                waits.give_up(self.chain, op)
            else:
                waits.begin(self.chain, op)
        else:
            assert isinstance(op, Group | FanOut)
            new = False
            if op.record is None and not paths.is_branch(op.path):
                new = branches.register(self.chain, op)
            elif paths.is_branch(op.path) and op.path != self.focus:
                new = op.scope.path in self._new
            if new:
                self._new.add(op.path)
            self.chain.load(op.path, new=new)
            children.give_up_again(self.chain, op.path)
            replay.enter(op)
        replay.agenda.note(op.path)
        return True

    # -- waiting -------------------------------------------------------------------------------------

    def _await(self, replay: Replay) -> None:
        """Wait for a step that runs here, or for the time of something that sleeps meanwhile."""
        chain = self.chain
        now = chain.now()
        at = self._todo_of(replay).next_wake(now)  # what is due already waits for room here, not for its time
        for begun, record in self.attempts.wait(None if at is None else (at - now) / 1000):
            op = (
                replay.agenda.get(begun.path) or begun
            )  # it may be of a replay before this one, which knows less
            if chain.message.leaf == op.path:
                branches.leaf_ended(self, record)
            elif not record.final and self.driven_elsewhere(op):
                self._hand_out([op])

    def wake_time(self, op: Operation) -> int | None:
        record = op.record
        if record is None or op.path in self.attempts.running or self.driven_elsewhere(op):
            return None
        return self.due(record)

    def _pause(self, replay: Replay, ops: Collection[Operation]) -> None:
        """Nothing more can be done now. Leave the handler, with a driver for what is open."""
        chain = self.chain
        if chain.outdated and any(
            op.path in chain.journal.dispatched and op.path != self.focus for op in ops
        ):
            # What was handed out may have ended meanwhile, and seen that this was not done yet.
            raise Reload
        if replay.undecided() and chain.code != chain.header.code and any(map(self.driven_elsewhere, ops)):
            self._lead(replay)  # who works on that alone is to know how what a deploy has put before it went
        if not chain.follower:
            self._publish(replay)
        times = [(at, op.path) for op in ops if (at := self.wake_time(op)) is not None]
        if times:
            if chain.follower and chain.message.leaf is None:
                raise Stale
            if chain.message.check:
                look_again(chain, min(times)[0], or_later=not any(map(self.driven_elsewhere, ops)))
                times = [(at, path) for at, path in times if self._is_mine(path)]  # others are left to theirs
                if not times:
                    raise Suspend
            at, path = min(times)
            chain.wake(path, at, message=self._in_place_of_this(path) or chain.once_more())
        elif self.focus and not replay.reached(self.focus):
            if self._may_come_to_it(self.focus):
                chain.visit.strayed[self.focus] = chain.once_more()
            raise GoOn(branches.home(self.chain))
        raise Suspend

    def _may_come_to_it(self, path: str) -> bool:
        """Whether the code may come to something yet that it has not come to: a deploy has put something before it,
        and nothing that it lies in is over."""
        around = map(self.chain.journal.find, paths.enclosing(path))
        deployed = self.chain.code != self.chain.header.code
        return deployed and not any(record is not None and record.final for record in around)

    def _is_mine(self, path: str) -> bool:
        """Whether it is this message that left the record at a path as it is."""
        record = self.chain.journal.find(path)
        return record is not None and record.author.tag == self.chain.tag

    def _in_place_of_this(self, path: str) -> Continuation | None:
        """Where another delivery of the message in hand is at work, acknowledging this one leaves that one
        without a message to come back. So a message follows that does what a redelivery would."""
        chain = self.chain
        record = chain.journal.find(path)
        if record is None or record.claim is None or not record.claim.tag.startswith(f"{chain.tag}/"):
            return None
        return replace(chain.message, stands_for=chain.tag)

    def _continue(self, replay: Replay) -> None:
        """Go on in another invocation."""
        self.attempts.abandon()
        self.chain.lead(replay.undecided())
        self.chain.send([self.chain.next()])
        raise Suspend

    def _leave(self, replay: Replay) -> None:
        """The run was paused: what comes next finds that, and is kept."""
        if self.chain.message.leaf is not None:
            raise Reload
        self._continue(replay)

    # -- cancelling ----------------------------------------------------------------------------------

    def _look_for_cancel(self) -> None:
        chain = self.chain
        if chain.header.status is not RunStatus.RUNNING:
            return  # it is being undone: nothing ends that
        if chain.world.clock.monotonic() - self._looked < CANCEL_CHECK:
            return
        self._looked = chain.world.clock.monotonic()
        header = chain.world.store.get_header(chain.journal_id)
        if header is None:
            return
        if header.status is not RunStatus.RUNNING or header.journal_id != chain.journal_id:
            raise Reload  # what ends it has to know all that others have begun meanwhile
        self._paused = header.paused or paused(chain.world, header.function_id) is not None


def _has_ended(ops: Iterable[Operation]) -> bool:
    """Whether something ended as it was handed out: a wait for what had come before."""
    return any(op.ended_at() is not None for op in ops)


def _has_messages(replay: Replay) -> bool:
    return replay.log is not None and replay.log.has_messages
