"""Letting go: what is still open in a journal that is over. Runs that it invoked are cancelled, and its waits are
found by nobody."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..engine.journal import Kind, Partition, Record
from ..engine.loaded import Journal
from ..engine.paths import branch
from ..ports import World
from . import children
from .chain import Chain
from .resolution import forget
from .scopes import partitions


def let_go(world: World, journal_id: str, top: Partition, tag: str) -> None:
    """Leave nothing open in a journal that is over. `top` is its top level, as it was before the message of this
    `tag` ended it. Idempotent.

    Where nothing is open it costs a read for each run that others gave up lately. Otherwise the top level is read
    once more, since what was open may have ended meanwhile, and more may have begun; then a call for each that is
    open."""
    if not any(not record.final and _may_be_open(record) for record in top.records.values()):
        children.give_up_for_others(world, top, tag)
        return
    for partition in partitions(world, journal_id):
        children.cancel_left_over(world, partition.records.values())
        _forget_waits(world, journal_id, partition)


def forget_late(world: World, journal_id: str, top: Partition, found: Iterable[str]) -> None:
    """Let nobody find waits at these paths that were registered while their journal came to its end: who ended it may
    not have seen them. What they invoked is cancelled."""
    for path in found:
        record = top.records.get(path) or world.store.get_record(journal_id, path)
        if record is None:
            continue
        children.cancel_left_over(world, [record])
        if record.waits is not None and not record.final:
            forget(world, journal_id, record)


def _may_be_open(record: Record) -> bool:
    return record.waits is not None or record.kind is Kind.INVOKE or record.kind.has_scope


def let_go_of_group(chain: Chain, path: str) -> None:
    """Let nobody find the waits that a group, or a branch, has left open: whoever ends its run looks for none in what
    has an outcome."""
    for partition in _not_over(chain.journal, path):
        _forget_waits(chain.world, chain.journal_id, partition)


def give_up_in_group(chain: Chain, path: str) -> None:
    """Cancel what others have given up in a group, or a branch, that is about to end."""
    for partition in _not_over(chain.journal, path):
        children.give_up_for_others(chain.world, partition, chain.tag)


def _not_over(journal: Journal, path: str) -> Iterator[Partition]:
    """The partition of a group, and those of what it has left open. What has ended within it has let go before."""
    partition = journal.partitions.get(path)
    if partition is None:
        return
    yield partition
    for record in partition.records.values():
        if not record.final and record.kind.has_scope:
            yield from _not_over(journal, record.path)
            for key in record.plan.keys if record.plan is not None else ():
                yield from _not_over(journal, branch(record.path, key))


def _forget_waits(world: World, journal_id: str, partition: Partition) -> None:
    for record in partition.records.values():
        if record.waits is not None and not record.final:
            forget(world, journal_id, record)
