"""Letting go: what is still open in a journal that is over. Runs that it invoked are cancelled, and its waits are
found by nobody."""

from __future__ import annotations

from collections.abc import Iterable

from ..engine.journal import Kind, Partition, Record
from ..engine.paths import branch
from ..ports import World
from . import children
from .chain import Chain
from .resolution import forget
from .scopes import partitions


def let_go(world: World, journal_id: str, top: Partition) -> None:
    """Leave nothing open in a journal that is over. `top` is its top level, as it was before. Idempotent.

    It costs nothing where nothing is open. Otherwise the top level is read once more, since what was open may have
    ended meanwhile, and more may have begun; then a call for each that is open."""
    if any(not record.final and _may_be_open(record) for record in top.records.values()):
        for partition in partitions(world, journal_id):
            children.cancel_waited_for(world, partition)
            _forget_waits(world, journal_id, partition)


def forget_late(world: World, journal_id: str, top: Partition, found: Iterable[str]) -> None:
    """Let nobody find waits at these paths that were registered while their journal came to its end: who ended it may
    not have seen them. Of one that was given up, what it invoked is cancelled: who gave it up may have died before."""
    for path in found:
        record = top.records.get(path) or world.store.get_record(journal_id, path)
        if record is None:
            continue
        if record.final:
            children.cancel_given_up(world, [record])
        elif record.waits is not None:
            forget(world, journal_id, record)


def _may_be_open(record: Record) -> bool:
    return record.waits is not None or record.kind is Kind.INVOKE or record.kind.has_scope


def let_go_of_group(chain: Chain, path: str) -> None:
    """Let nobody find the waits that a group, or a branch, has left open: whoever ends its run looks for none in what
    has an outcome."""
    partition = chain.journal.partitions.get(path)
    if partition is None:
        return
    _forget_waits(chain.world, chain.journal_id, partition)
    for record in partition.records.values():
        if not record.final and record.kind.has_scope:  # what has ended within it has let go before
            let_go_of_group(chain, record.path)
            for key in record.plan.keys if record.plan is not None else ():
                let_go_of_group(chain, branch(record.path, key))


def _forget_waits(world: World, journal_id: str, partition: Partition) -> None:
    for record in partition.records.values():
        if record.waits is not None and not record.final:
            forget(world, journal_id, record)
