"""Handing out: branches and steps that go on in invocations of their own, and how they come back.

The branches of a map or parallel run in *lanes*, as many as may run at once. A lane's branch that has ended
makes the lane take the next one; the last lane to find none wakes whoever waits, once. Lanes are kept in
*pools* of a few dozen, an item each, so that a branch costs one small write however many there are. Moving a
lane is conditional on where it stands and leaves the mover's tag, so doing it again changes nothing and is
recognized.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NoReturn

from ..engine import paths
from ..engine.interrupts import Suspend
from ..engine.journal import FanPlan, Kind, Record, State
from ..engine.operations import FanOut, Group, Operation, Sleep, StepCall, Wait
from ..errors import DeterminismError, ErrorInfo
from . import waits
from .chain import Chain
from .checks import look_again, look_seldom
from .interrupts import GoOn
from .messages import Continuation
from .wakes import patience

if TYPE_CHECKING:
    from .turn import Turn

POOL = 48
"""Lanes in a pool: with them its item stays below 1 KB, one write unit."""


def register(chain: Chain, op: Group | FanOut, lanes: int = 0) -> bool:
    """Announce a group or fan-out in its scope: so is its partition found, by a reader too. Whether it
    was new."""
    return chain.announce(
        Record(
            path=op.path,
            kind=op.kind,
            state=State.RUNNING,
            author=chain.author,
            began=chain.now(),
            plan=op.plan(lanes) if isinstance(op, FanOut) else None,
        )
    )


def hand_out(turn: Turn, ops: Sequence[Operation]) -> None:
    """Give each operation a driver of its own."""
    chain = turn.chain
    messages: list[Continuation] = []
    if chain.message.check:
        look_seldom(chain)
    for op in ops:
        if op.path in turn.attempts.running:
            continue  # the message in hand is at it
        entry = chain.journal.dispatched.get(op.path)
        new = entry is not None and entry.author.tag == chain.tag  # it was this message that handed it out
        if chain.message.check and not new and (op.record is not None or isinstance(op, StepCall)):
            messages += _revive(turn, op)
        elif isinstance(op, Sleep):
            record = op.record or waits.begin_sleep(chain, op)
            assert record.wake_at is not None
            chain.wake(op.path, record.wake_at)
        elif isinstance(op, Wait):
            waits.begin(chain, op)
            if op.record is not None and op.record.wake_at is not None:
                chain.wake(op.path, op.record.wake_at)
        elif isinstance(op, FanOut):
            messages += _open_lanes(turn, op)
        else:
            if isinstance(op, StepCall):
                message = chain.next(leaf=op.path, idle=0)
            else:
                if isinstance(op, Group) and op.record is None and not paths.is_branch(op.path):
                    register(chain, op)
                message = chain.next(chain=chain.below(op.path), idle=0)
            if op.path in chain.visit.strayed:  # newer than what its own chain wrote
                message = chain.visit.strayed[op.path]
            at = turn.due(op.record) if op.record is not None else None
            if at is None:
                messages.append(message)
            else:
                chain.wake(op.path, at, message=message)
    chain.send(messages)


def _revive(turn: Turn, op: Operation) -> list[Continuation]:
    """What a check sends for an operation that was handed out: checks, that see for themselves."""
    chain, record = turn.chain, op.record
    if isinstance(op, Wait):
        waits.begin(chain, op)
    at = turn.due(record) if record is not None else None
    if at is not None and at > turn.now():
        look_again(chain, at)
        return []
    if isinstance(op, FanOut) and record is not None:
        messages = _revive_lanes(chain, record)
    elif isinstance(op, StepCall):
        messages = [chain.next(leaf=op.path)]
    else:
        messages = [chain.next(chain=chain.below(op.path))]
    return [message.as_check(idle=0) for message in messages]


def _revive_lanes(chain: Chain, fan: Record) -> list[Continuation]:
    """The branches that the lanes of a fan-out are at, unless one has ended lately. If no lane is open, the
    message that joins them."""
    assert fan.plan is not None
    done = chain.world.store.load_scope(chain.journal_id, fan.path)
    last = max((record.ended or record.began for record in done.records.values()), default=fan.began)
    if last + patience(chain.visit.invocation) > chain.now():
        look_again(chain, last)
        return []
    messages = []
    for pool in _pools(fan.plan):
        lanes = chain.world.store.lanes(
            chain.journal_id, fan.path, pool.number, pool.lanes, first=len(pool.lanes)
        )
        for lane, state in zip(pool.lanes, lanes, strict=True):
            if state.open:
                index = lane if state.turn is None else pool.turns[state.turn]
                messages.append(_in_lane(chain, fan, index, lane))
    return messages or [chain.next(joined=fan.path)]


def _open_lanes(turn: Turn, op: FanOut) -> list[Continuation]:
    chain = turn.chain
    begun: set[str] = set()
    if op.record is None:
        register(chain, op, op.width)
    if op.record is not None and chain.repeats:
        begun = set(chain.world.store.load_scope(chain.journal_id, op.path).records)
    assert op.record is not None
    assert op.record.plan is not None
    plan = op.record.plan
    return [
        _in_lane(chain, op.record, lane, lane)
        for lane in range(plan.lanes)
        if paths.branch(op.path, plan.keys[lane]) not in begun
    ]


def _in_lane(chain: Chain, fan: Record, index: int, lane: int) -> Continuation:
    """The message that runs a branch."""
    assert fan.plan is not None
    path = paths.branch(fan.path, fan.plan.keys[index])
    if fan.kind is Kind.MAP:
        return chain.next(leaf=path, lane=lane, idle=0)
    return chain.next(chain=chain.below(path, lane), idle=0)


def home(chain: Chain) -> Continuation:
    """The code has gone on without what the message in hand is about (it was abandoned, or is gone since a
    deploy): see to it that somebody goes on with what is around it."""
    message = chain.message
    entry = chain.journal.dispatched.get(chain.focus)
    return Continuation(
        run=chain.journal_id,
        generation=entry.author.generation + 1 if entry is not None else message.generation,
        chain=message.chain if message.leaf is not None else message.chain[:-1],
    )


def leaf_ended(turn: Turn, record: Record) -> NoReturn:
    """A step that was handed out has its outcome, or is to be tried again."""
    chain = turn.chain
    if record.final:
        give_back(turn, record)
    elif record.author.tag == chain.tag and record.wake_at is not None:
        chain.wake(record.path, record.wake_at, message=chain.once_more())
    raise Suspend


def give_back(turn: Turn, record: Record) -> NoReturn:
    """A branch or leaf has its outcome: let those go on who wait for it."""
    if not turn.chain.answers_for(record.author):
        raise Suspend  # another message brought it, and sees to what comes after
    turn.attempts.abandon()
    message = after(turn.chain, record)
    if message is None:
        raise Suspend
    raise GoOn(message)


def give_up(turn: Turn, op: FanOut) -> NoReturn:
    """The list has changed, and the branch that a message is about is no longer in it."""
    chain = turn.chain
    path = chain.focus
    if paths.parent(path) != op.path:
        raise Suspend
    now = chain.now()
    error = DeterminismError(
        f"{op.kind} {op.path!r} had {path!r} when it began, and its list no longer has it; make the list in a "
        "step, so that a replay gets the same one"
    )
    record = Record(
        path=path,
        kind=Kind.RUN if op.kind is Kind.MAP else Kind.GROUP,
        state=State.FAILED,
        author=chain.author,
        began=now,
        ended=now,
        error=ErrorInfo.of(error),
    )
    give_back(turn, chain.commit(record))


def after(chain: Chain, record: Record) -> Continuation | None:
    """A branch or step that was handed out has its outcome. What goes on now in this invocation, if
    anything does."""
    message = chain.message
    leaf = message.leaf is not None
    home = message.chain if leaf else message.chain[:-1]
    lane = message.lane if leaf else message.chain[-1].lane
    if lane is None:
        entry = chain.journal.dispatched[record.path]
        return Continuation(run=chain.journal_id, generation=entry.author.generation + 1, chain=home)
    fan_path = paths.parent(record.path)
    fan = chain.journal.find(fan_path) or chain.world.store.get_record(chain.journal_id, fan_path)
    if fan is None or fan.plan is None:
        return None
    chain.message = replace(message, chain=home)
    if not _lane_ended(chain, fan, fan.plan, record, lane):
        return None
    return Continuation(
        run=chain.journal_id, generation=fan.author.generation + 1, chain=home, joined=fan_path
    )


def _lane_ended(chain: Chain, fan: Record, plan: FanPlan, record: Record, lane: int) -> bool:
    """Move a lane on after its branch has ended. Whether all lanes of the fan-out are closed now."""
    store, run_id = chain.world.store, chain.journal_id
    pools = _pools(plan)
    pool = pools[lane % len(pools)]
    index = plan.keys.index(paths.branch_key(record.path))
    turn = pool.turns.index(index)
    after = None if index == lane else turn
    failed = record.error is not None and not plan.tolerant
    ours = {chain.tag, record.author.tag}  # whoever brought the outcome may have moved the lane, and died

    state = None
    first = len(pool.lanes)
    if len(pool.turns) > first and not failed:
        moved, state = store.next_in_lane(
            run_id,
            fan.path,
            pool.number,
            lane,
            after=after,
            first=first,
            limit=len(pool.turns),
            tag=chain.tag,
        )
        if moved or (state.by in ours and state.open and state.turn not in (None, turn)):
            assert state.turn is not None
            chain.send([_in_lane(chain, fan, pool.turns[state.turn], lane)])
            return False
    closed, state = store.close_lane(
        run_id, fan.path, pool.number, lane, after=after, first=first, tag=chain.tag, failed=failed
    )
    if not closed and state.by not in ours:
        return False
    if failed:
        for other in pools:
            if other is not pool:
                store.fail_pool(run_id, fan.path, other.number)
    if state.closed < first:
        return False
    return len(pools) == 1 or store.finish_pool(run_id, fan.path, pool.number) == len(pools)


@dataclass(frozen=True, slots=True)
class _Pool:
    """A pool's lanes, and the branches that it serves: at turn `t`, `turns[t]`."""

    number: int
    lanes: range
    turns: range


def _pools(plan: FanPlan) -> list[_Pool]:
    count = math.ceil(plan.lanes / POOL)
    return [
        _Pool(number, range(number, plan.lanes, count), range(number, len(plan.keys), count))
        for number in range(count)
    ]
