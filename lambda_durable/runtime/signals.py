"""Signals: one wait at a time holds a signal's name, and what is sent to it goes there."""

from __future__ import annotations

from collections.abc import Callable

from ..engine.journal import Record
from ..engine.journal_ids import run_of
from ..errors import ErrorInfo, SignalConflictError
from ..ports import World
from ..store import Waiter
from . import payloads
from .chain import Chain
from .resolution import end, end_from_outside, ended, still_waits, waiters_of, was_ended_by


def hold(chain: Chain, record: Record, *, replace: bool, awaits: Callable[[str], bool]) -> None:
    """Be the one who waits for a signal. `awaits` says whether this run's own code waits at a path."""
    (mine,) = waiters_of(chain.journal_id, record)
    store = chain.world.store
    instead: Waiter | None = None
    while (holder := store.hold_signal(mine, instead_of=instead)) is not None:
        instead = holder
        if holder.run_id == chain.journal_id and not awaits(holder.path):
            continue
        taken = SignalConflictError(
            f"step {record.path!r} of run {chain.header.run_id} has taken over signal {mine.name!r}",
            step_id=holder.path,
        )
        held = store.get_record(holder.run_id, holder.path)
        if not still_waits(chain.world, holder.run_id, held):
            if replace and was_ended_by(held, chain.tag):
                # An earlier delivery may have died before it said so.
                end(chain.world, holder, chain.tag, error=ErrorInfo.of(taken))
            continue
        error = SignalConflictError(
            f"step {record.path!r} of run {chain.header.run_id} waits for signal {mine.name!r}, for which step "
            f"{holder.path!r} of run {run_of(holder.run_id)} waits already; give each wait its own name (with an "
            'order\'s number, say), or let it take over with on_conflict="replace"',
            step_id=record.path,
        )
        if not replace:
            chain.commit(ended(chain, record, error=ErrorInfo.of(error)))
            return
        ends = end_from_outside if chain.repeats else end  # a copy that dies may not come back in time
        ends(chain.world, holder, chain.tag, error=ErrorInfo.of(taken))


def send(world: World, name: str, text: str, tag: str) -> bool:
    """Send the data (JSON) of a signal to who waits for it; whether somebody did. Done again with the same
    `tag`, it is the same sending."""
    holder = world.store.signal_holder(name)
    if holder is None:
        return False
    held = world.store.get_record(holder.run_id, holder.path)
    if not still_waits(world, holder.run_id, held):
        return was_ended_by(held, tag)
    output = payloads.store(world.blobs, run_of(holder.run_id), text, inline=payloads.INLINE_OUTPUT)
    return end_from_outside(world, holder, tag, output=output)
