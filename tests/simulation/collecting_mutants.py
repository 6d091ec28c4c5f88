"""Deliberate bugs of debounce and batch, which cases of their own are to find (collecting.py)."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from lambda_durable.aws.collector_store import CollectorStore
from lambda_durable.runtime import gathering, run_ids
from lambda_durable.runtime.collecting import Collecting
from tests.simulation.mutants import Mutant, _instead, _update_without_condition


def _any_seat(_: Any) -> Any:
    return lambda self, name, order, seat, *, instead_of=None: seat


def _leaves_seats(sit_down: Any) -> Any:
    def mutated(store: Any, name: str, seat: Any, member: Any, *, until: int) -> Any:
        return member if member.event is None else sit_down(store, name, seat, member, until=until)

    return mutated


def _ends_any_burst(end_burst: Any) -> Any:
    def mutated(store: Any, name: str, seen: Any, *, next: int = 0) -> Any:
        return end_burst(store, name, store.collector(name))

    return mutated


COLLECTING_MUTANTS = [
    Mutant(bug, swaps, kept="test_collecting_under_fire.py" if "stand-in" in bug else "")
    for bug, swaps in {
        "an event that comes again takes another seat": (
            (CollectorStore, "seat_of", _instead(None)),
            (CollectorStore, "give_seat", _any_seat),
        ),
        "a seat that nobody came to is not taken away": ((CollectorStore, "sit_down", _leaves_seats),),
        "an earlier event takes the place of a later one": (
            (CollectorStore, "collect_last", _update_without_condition),
        ),
        "a burst is over though another event has come": ((CollectorStore, "end_burst", _ends_any_burst),),
        "a wake that comes early does not go back": ((Collecting, "_go_back", _instead(None)),),
        "nobody sees to a wake": ((Collecting, "_see_to_wake", _instead(None)),),
        "a burst or batch begins another run each time": (
            (gathering, "run_of", lambda _: lambda message: run_ids.run_id(message.opened, uuid4().hex)),
        ),
        "a redelivered wake leaves no stand-in": ((gathering, "leave_a_stand_in", _instead(None)),),
    }.items()
]
