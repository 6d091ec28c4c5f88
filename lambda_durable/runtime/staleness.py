"""Staleness: whether a message still has something to do.

It has, unless what it is about is over, or another message has gone on from there: that one is not acknowledged
before what follows it is durable.
"""

from __future__ import annotations

from ..engine import paths
from ..engine.journal import Record
from . import branches
from .chain import Chain
from .interrupts import GoOn
from .messages import FAILURE, FINISH, START, START_BY, Due


def is_due(chain: Chain, record: Record | None) -> bool:
    """Whether there is something to do for a message now. `record` is that of its branch or leaf."""
    message, due = chain.message, chain.message.due
    if record is not None and record.final:
        _already_ended(chain, record)
        return False
    if (
        record is not None
        and record.author.tag != chain.tag
        and record.author.generation >= message.generation
    ):
        return False  # another message has made an attempt since this one was sent
    if due is None:
        return True
    at = _due_at(chain, due)
    if at is None or (at != due.at and not _put_off(chain, due.path)):
        return not _was_done_by_another(chain, due.path)
    if at <= chain.now():
        return True
    if due.stamps:
        chain.outlive(at, again=True)
    chain.repeats = False  # a wake that came early goes back, and is still the only one
    chain.wake(due.path, at, message=chain.once_more())
    return False


def target(chain: Chain) -> Record | None:
    """The record of the branch or leaf that a message is about."""
    return record_at(chain, chain.focus) if chain.focus else None


def record_at(chain: Chain, target: str) -> Record | None:
    """The record at a path, whether its scope is loaded or not."""
    scope = paths.parent(target)
    partition = chain.journal.partitions.get(scope)
    if partition is not None:
        return partition.records.get(target)
    record = chain.world.store.get_record(chain.journal_id, target)
    if record is not None:
        chain.note(record)
    return record


def _due_at(chain: Chain, due: Due) -> int | None:
    if due.path == FAILURE:
        failure = chain.journal.partitions[""].failure
        return failure.wake_at if failure is not None else None
    if due.path == START:
        return chain.header.starts
    if due.path == START_BY:
        return chain.header.start_by
    if due.path == FINISH:
        return chain.header.finish_by
    record = record_at(chain, due.path)
    return record.wake_at if record is not None and not record.final else None


def _put_off(chain: Chain, path: str) -> bool:
    """Whether it is a wait that this wake alone is for, and that lasts longer since it had a heartbeat."""
    if path not in chain.journal.dispatched:
        return False
    record = record_at(chain, path)
    return record is not None and record.waits is not None


def _was_done_by_another(chain: Chain, path: str) -> bool:
    """Whether another message has made the attempt that this one was for, or somebody outside has ended the
    wait whose time is over: that one sees to it that the run goes on. Not if an earlier delivery of this one may
    have gone on from there: it has overtaken the other then, which sees to nothing any more. Nor if whoever has left
    this one for later had overtaken it."""
    record = None if path.startswith(":") else record_at(chain, path)
    if record is None or record.author.tag == chain.tag or chain.repeats:
        return False
    if record.waits is not None:
        return record.final
    made = record.final or record.wake_at is not None
    return made and not chain.was_overtaken(record.author)


def _already_ended(chain: Chain, record: Record) -> None:
    """A branch or leaf has its outcome. If this very message brought it, its work ends with what comes
    after; if another one did, that one sees to it."""
    if not chain.answers_for(record.author):
        return
    message = branches.after(chain, record)
    if message is not None:
        raise GoOn(message)
