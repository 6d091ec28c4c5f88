"""All that a run holds, scope by scope."""

from __future__ import annotations

from collections.abc import Iterator

from ..engine import paths
from ..engine.journal import Kind, Partition
from ..ports import World


def partitions(world: World, run_id: str, scope: str = "") -> Iterator[Partition]:
    """The partition of a scope, and those of all scopes in it. A read each; lazy."""
    partition = world.store.load_scope(run_id, scope)
    yield partition
    for record in partition.records.values():
        if paths.is_branch(record.path) or not record.kind.has_scope:
            continue  # a branch's own scope comes with the plan that names it
        yield from partitions(world, run_id, record.path)
        if record.plan is not None and record.kind is not Kind.MAP:
            for key in record.plan.keys:
                yield from partitions(world, run_id, paths.branch(record.path, key))
