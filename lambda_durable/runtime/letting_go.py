"""Letting go: what is still open in a journal that is over. Runs that it invoked are cancelled, and its waits are
found by nobody."""

from __future__ import annotations

from ..engine.journal import Kind, Partition, Record
from ..ports import World
from . import children
from .resolution import forget
from .scopes import partitions


def let_go(world: World, journal_id: str, top: Partition) -> None:
    """Leave nothing open in a journal that is over. `top` is its top level, as it was before. Idempotent.

    It costs nothing where nothing is open. Otherwise the top level is read once more, since what was open may have
    ended meanwhile, and more may have begun; then a call for each that is open."""
    if any(not record.final and _may_be_open(record) for record in top.records.values()):
        for partition in partitions(world, journal_id):
            children.cancel_waited_for(world, partition)
            for record in partition.records.values():
                if record.waits is not None and not record.final:
                    forget(world, journal_id, record)


def _may_be_open(record: Record) -> bool:
    return record.waits is not None or record.kind is Kind.INVOKE or record.kind.has_scope
