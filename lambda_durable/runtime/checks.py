"""Checks: what a forced message does for a run that nothing may be driving any more.

A chain in which something happened lately is left alone: an invocation may be at work on it, or its message
may be about to come back. Otherwise the check goes on as the newest message of the chain. What the chain
waits for and has handed out is sent again, as checks of their own; what is due later is left to its own
message, and looked at again when that should have come.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..engine.journal import Record, RunStatus
from ..store import FIRST_CHECK
from .chain import Chain
from .wakes import patience, send_at

INTERVAL = FIRST_CHECK
"""Milliseconds after its start, or after it was looked at, at which a run is looked at."""


def is_quiet(chain: Chain, target: Record | None) -> bool:
    """Whether nothing has happened for so long that nobody may be at work. `target` is the record of the
    branch or leaf that is checked."""
    now = chain.now()
    if chain.header.starts is not None and chain.header.starts > now:
        look_again(chain, chain.header.starts)
        return False
    if target is not None and not target.final and target.wake_at is not None and target.wake_at > now:
        look_again(chain, target.wake_at)
        return False
    last = _last_sign(chain, target)
    if last + patience(chain.visit.invocation) > now:
        look_again(chain, last)
        if chain.message.revived:  # the next one to come would not know that the run has killed so many
            name = f"{chain.journal_id}/{chain.message.scope}/{chain.message.leaf}/revived/{last}"
            send_at(
                chain.world, chain.message.body(), last + patience(chain.visit.invocation), now=now, name=name
            )
        return False
    return True


def look_again(chain: Chain, at: int, *, or_later: bool = False) -> None:
    """Have the run looked after when what is due at `at` should have happened, if that is sooner than it
    would be anyway; or also if it is later, where the whole run is what is checked."""
    whole = not chain.message.chain and chain.message.leaf is None
    if chain.header.finish_by is not None and chain.header.status is RunStatus.RUNNING:
        at = min(at, chain.header.finish_by)
    chain.world.store.move_check(
        chain.journal_id, at + patience(chain.visit.invocation), only_sooner=not (or_later and whole)
    )


def look_seldom(chain: Chain) -> None:
    """A run that has been silent for long, and waits for what has a driver of its own, is looked after ever
    more seldom, unless that says when it should wake."""
    now = chain.now()
    at = now + max(INTERVAL, now - _last_sign(chain))
    chain.outlive(at)  # a run that waits for another one without a time-out has no other time to wake at
    look_again(chain, at, or_later=True)


def _last_sign(chain: Chain, target: Record | None = None) -> int:
    """When a chain was last seen to be alive, or by when an invocation that claimed something is gone (milliseconds).
    `target` is the record of the branch or leaf that is looked at."""
    now = chain.now()
    signs = [chain.header.begun, chain.header.starts or 0]
    for partition in chain.journal.partitions.values():
        signs += (entry.time for entry in partition.log)
        signs += (sign for record in partition.records.values() for sign in _signs(record, now))
        if partition.failure is not None:
            signs.append(partition.failure.wake_at)
    if target is not None:
        signs += _signs(target, now)
    return max(signs)


def _signs(record: Record, now: int) -> Iterator[int]:
    yield record.ended or record.began
    if record.wake_at is not None and record.wake_at <= now:
        yield record.wake_at
    if record.claim is not None:
        yield record.claim.deadline
