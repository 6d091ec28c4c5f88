"""Deliberate bugs of pausing, which cases of their own are to find (pausing.py)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import Any
from uuid import uuid4

from lambda_durable.aws import pause_store
from lambda_durable.aws.pause_store import PauseStore
from lambda_durable.runtime import held_events, holding, pausing, resuming
from lambda_durable.runtime.pausing import Pausing
from tests.simulation.mutants import Mutant, _instead


def _takes_first(parked: Any) -> Any:
    def mutated(store: Any, hold: Any) -> Iterator[Any]:
        for since, key, body in parked(store, hold):
            store.unpark(since, key)
            yield since, key, body

    return mutated


def _begins_anew(begin: Any) -> Any:
    def mutated(world: Any, app: Any, new: Any, **options: Any) -> Any:
        return begin(world, app, replace(new, run_id=uuid4().hex), **options)

    return mutated


def _only_what_it_began(let_go: Any) -> Any:
    def mutated(world: Any, app: Any, held: Any, newest: int, delivery: Any) -> int:
        if world.store.get_header(held.run) is not None:
            return newest
        began: int = let_go(world, app, held, newest, delivery)
        return began

    return mutated


def _as_it_came(_: Any) -> Any:
    def mutated(chain: Any) -> tuple[str, str]:
        return f"c#{chain.header.created:014d}#{chain.tag}", chain.visit.delivery.body

    return mutated


PAUSING_MUTANTS = [
    Mutant("a paused run goes on", ((Pausing, "keeps", _instead(False)),)),
    Mutant("what is held is removed before it goes on", ((PauseStore, "parked", _takes_first),)),
    Mutant("what is held goes on, and stays held", ((PauseStore, "unpark", _instead(None)),)),
    Mutant("an event that was held begins another run each time", ((held_events, "begin", _begins_anew),)),
    Mutant(
        "who finds a run there of an event that was held does not send its message",
        ((resuming, "let_go", _only_what_it_began),),
    ),
    Mutant(
        "what is held goes on partition by partition",
        ((pause_store, "merge", lambda _: lambda *parts, key: chain(*parts)),),
    ),
    Mutant(
        "nobody looks for what was kept after all had gone on",
        ((holding, "_lasts", _instead(True)), (resuming, "send_at", _instead(None))),
    ),
    Mutant("a message that came again is kept as if it had not", ((pausing, "_entry", _as_it_came),)),
]
