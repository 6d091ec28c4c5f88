"""Deliberate bugs of reruns, which random workflows that are done again are to find (reruns.py)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lambda_durable.aws.rerun_store import RerunStore
from lambda_durable.engine.interrupts import Reload
from lambda_durable.runtime import rerunning
from lambda_durable.runtime.keeping import NEVER, Keeping
from tests.simulation.mutants import Mutant, _instead


def _whenever(keep: Any) -> Any:
    def mutated(keeping: Any, record: Any, until: Any, kept: Any) -> Any:
        return keep(keeping, record, NEVER, kept)

    return mutated


def _takes_some_for_all(keep: Any) -> Any:
    def mutated(chain: Any) -> Any:
        if chain.repeats:
            chain.world.store.all_kept(chain.header, undoes=False)
            raise Reload
        return keep(chain)

    return mutated


def _only_the_step(anew: Any) -> Any:
    def mutated(world: Any, repeated: Any, origin: Any) -> Any:
        found = anew(world, repeated, origin)
        return {path: at for path, at in found.items() if path == origin.step}

    return mutated


def _without_undo(keep_all: Any) -> Any:
    def mutated(store: Any, run_id: str, records: Any) -> Any:
        return keep_all(store, run_id, [replace(record, undo=None) for record in records])

    return mutated


def _loses_the_last(keep_all: Any) -> Any:
    def mutated(store: Any, run_id: str, records: Any) -> Any:
        return keep_all(store, run_id, records[:-1])

    return mutated


RERUN_MUTANTS = [
    Mutant("a rerun keeps what came after the step, too", ((Keeping, "_record", _whenever),)),
    Mutant("a rerun forgets who came first", ((Keeping, "logs", _instead(())),)),
    Mutant("who finds some of what is kept takes it for all", ((rerunning, "keep", _takes_some_for_all),)),
    Mutant(
        "what was undone is kept",
        ((rerunning, "_anew", _only_the_step),),
        kept="test_what_was_undone_is_done_anew_and_so_is_what_came_after_it",
    ),
    Mutant(
        "a rerun keeps a branch that failed",
        ((Keeping, "_fails", _instead(False)),),
        kept="test_branches_that_failed_are_done_anew_together",
    ),
    Mutant(
        "what is kept can't be undone",
        ((RerunStore, "keep_all", _without_undo),),
        kept="test_what_is_kept_is_undone_if_the_rerun_fails",
    ),
    Mutant("the last of what is kept is lost", ((RerunStore, "keep_all", _loses_the_last),)),
]
