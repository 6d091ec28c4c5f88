"""Waits: what only the outside world ends, or time.

The journal has the wait first, then whoever can end it finds it: by the event's name and the value it is to
have, by the signal's name, by the callback's token, or as the parent of a run. It ends once, by a conditional
write; who ended it sends the message that goes on with the run, again if it comes again. Giving up is a
conditional write too, never the clock alone.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..engine.interrupts import Reload
from ..engine.journal import Kind, Payload, Record, State, Undoable, WaitPlan
from ..engine.operations import CallbackWait, Invoke, Sleep, Wait
from ..event_json import load_event
from ..store import Waiter
from . import callbacks, children, signals
from .arrivals import Arrived
from .chain import Chain
from .resolution import ended, forget, waiters_of
from .run_ids import run_id
from .wakes import SKEW, send_at

MOST_TAKEN = 50
"""Events that a wait remembers as those of earlier ones."""

LISTED = 10_000
"""Milliseconds after which an event that has come is listed for those who look back."""

TOGETHER = 1_000
"""Milliseconds. Waits that begin within them have one message that looks back again."""


def begin(chain: Chain, op: Wait) -> None:
    """Register a wait; once more, if an earlier delivery may have died while it did."""
    record = op.record
    if record is None:
        now = chain.now() if op.undo is None else chain.moment()
        new = chain.announce(
            Record(
                path=op.path,
                kind=op.kind,
                state=State.WAITING,
                author=chain.author,
                began=now,
                wake_at=op.give_up_at(now),
                waits=_plan(chain, op, now),
                undo=Undoable() if op.undo is not None else None,
            )
        )
        record = op.record
        assert record is not None
        if new and isinstance(op, CallbackWait):
            chain.load(op.path, new=True)
    chain.visit.registered.add(op.path)
    if record.final or isinstance(op, CallbackWait):
        return
    if op.undo is not None and not chain.still_runs():
        raise Reload
    if isinstance(op, Invoke):
        if (error := children.begin(chain, op, record)) is not None:
            chain.commit(ended(chain, record, error=error))
        return
    if record.kind is Kind.WAIT_FOR_SIGNAL:
        signals.hold(chain, record, replace=op.replaces, awaits=op.scope.replay.awaits)
        return
    waiters = waiters_of(chain.journal_id, record)
    if record.author.tag == chain.tag or chain.message.check:  # others only look back
        for waiter in waiters:
            chain.world.store.add_waiter(waiter)
    was_slow = chain.now() > record.began + SKEW  # this process may have been frozen
    if waiters and (_looks_back(record) or chain.repeats or was_slow):
        _look_back(chain, record, waiters)


def begin_sleep(chain: Chain, op: Sleep) -> Record:
    now = chain.now()
    return chain.register(
        Record(
            path=op.path,
            kind=Kind.SLEEP,
            state=State.WAITING,
            author=chain.author,
            began=now,
            wake_at=op.wake_at(now),
        )
    )


def _plan(chain: Chain, op: Wait, now: int) -> WaitPlan:
    resume = chain.next(idle=0).body()
    if isinstance(op, CallbackWait):
        return callbacks.plan(op, now, resume)
    return WaitPlan(
        names=op.names or (run_id(now, chain.journal_id, op.path),),
        resume=resume,
        path=op.match_path,
        match=op.match,
        condition=op.condition,
        since=now - op.lookback,
        leave=isinstance(op, Invoke) and op.leaves,
        function=op.function_id if isinstance(op, Invoke) else "",
        taken=_taken(chain, now - op.lookback) if op.kind is Kind.WAIT_FOR_EVENT else (),
    )


def _taken(chain: Chain, since: int) -> tuple[str, ...]:
    """The ids of the events that ended earlier waits of the run: one may come twice, or be looked back on."""
    return tuple(event for event, _ in _ends(chain, since))


def taken(chain: Chain) -> tuple[tuple[str, int], ...]:
    """What a next journal's waits have to know of those of this one, if they look back as far."""
    return _ends(chain, chain.now() - max(map(_lookback, _waits(chain)), default=0))


def _ends(chain: Chain, since: int) -> tuple[tuple[str, int], ...]:
    """The events that ended waits since then, the latest last, and when they did."""
    ends = [
        (record.ended, record.output)
        for record in _waits(chain)
        if record.output is not None and record.ended is not None and record.ended >= since - SKEW
    ]
    latest = sorted(ends, key=lambda end: end[0])[-MOST_TAKEN:]
    texts = ((at, chain.read(output)) for at, output in latest)
    here = tuple((load_event(text).id, at) for at, text in texts if text != "null")
    renewal = chain.header.renewal
    before = tuple(end for end in renewal.taken if end[1] >= since - SKEW) if renewal is not None else ()
    return (*before, *here)[-MOST_TAKEN:]


def _waits(chain: Chain) -> Iterator[Record]:
    for partition in chain.journal.partitions.values():
        yield from (each for each in partition.records.values() if each.kind is Kind.WAIT_FOR_EVENT)


def _lookback(record: Record) -> int:
    return record.began - record.waits.since if record.waits is not None else 0


def look_up(chain: Chain, op: CallbackWait) -> bool:
    """Learn whether what waits for a callback has told anybody. Whether that was not known before."""
    if op.submit is None or op.record is None or op.path in chain.loaded:
        return False
    chain.load(op.path)
    return True


def looks_again(record: Record, now: int) -> bool:
    """Whether a wait is so new that an event which came before it may not have been listed yet."""
    return _looks_back(record) and now < record.began + 2 * LISTED


def _looks_back(record: Record) -> bool:
    assert record.waits is not None
    return record.waits.since < record.began


def _look_back(chain: Chain, record: Record, waiters: list[Waiter]) -> None:
    """End the wait by an event that came before it could be found, or before it began, if one did."""
    store = chain.world.store
    for waiter in waiters:
        for event_id in store.events(waiter.name, waiter.since):
            stored = store.get_event(event_id)
            if stored is None:
                continue
            event = load_event(chain.read(stored.payload))
            if Arrived(chain.world, stored, event, chain.tag).ends(waiter):
                _end(chain, record, output=stored.payload)
                return
    if _looks_back(record) and chain.now() < record.began + LISTED:
        _look_again(chain, record)


def _look_again(chain: Chain, record: Record) -> None:
    """Send a message that looks back once more, for all waits of the chain: one for those that began together."""
    now, looks = chain.now(), chain.visit.looks_again
    if now >= looks.get(chain.focus, 0) + TOGETHER:
        looks[chain.focus] = now
        again = chain.once_more(idle=0).body()
        name = f"{chain.journal_id}/{record.path}/again"
        send_at(chain.world, again, now + LISTED, now=now, name=name)


def give_up(chain: Chain, op: Wait) -> None:
    """End a wait whose time is over, or of which nobody will ever be told, if nothing else has."""
    record = op.record
    assert record is not None
    if isinstance(op, CallbackWait):
        callbacks.give_up(chain, record, op.not_submitted)
        return
    if op.kind is Kind.WAIT_FOR_EVENT:
        # The delivery that began it may have died before anybody could find it.
        if chain.repeats and record.author.tag == chain.tag:
            begin(chain, op)
        elif _looks_back(record):
            _look_back(chain, record, waiters_of(chain.journal_id, record))
        if op.ended_at() is not None:
            return
    time_out(chain, record)


def time_out(chain: Chain, record: Record) -> None:
    """End a wait whose time is over, if nothing else has."""
    if record.kind is Kind.WAIT_FOR_CALLBACK:
        callbacks.give_up(chain, record)
        return
    if record.kind is Kind.INVOKE:
        children.give_up(chain, record)
        return
    _end(chain, record, output=Payload(text="null"))


def _end(chain: Chain, record: Record, *, output: Payload) -> None:
    """End a wait, if nobody else has, who is to find it until its run is woken."""
    found = chain.commit(ended(chain, record, output=output))
    if found.author == chain.author:
        forget(chain.world, chain.journal_id, found)
