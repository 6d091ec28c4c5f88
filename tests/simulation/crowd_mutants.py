"""Deliberate bugs of flow control, which crowds are to find (crowds.py)."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

from lambda_durable.aws import gate_store, leases
from lambda_durable.aws.gate_store import GateStore
from lambda_durable.engine import gates
from lambda_durable.runtime import lines, slots
from lambda_durable.runtime.admission import Admission
from lambda_durable.runtime.slots import Slots, _Taking
from tests.simulation.mutants import ALWAYS, Mutant, _instead


def _however_full(entering: Any) -> Any:
    def mutated(*args: Any) -> Any:
        change, condition, names, values = entering(*args)
        return change, condition.replace("n < :slots", "n <= :slots"), names, values

    return mutated


def _again_and_again(update: Any) -> Any:
    """A slot is given up whether or not one has it."""

    def mutated(store: Any, gate: str, name: str) -> Any:
        change = store._update

        def careless(*given: Any, **named: Any) -> Any:
            return change(*given, **named | {"condition": ALWAYS})

        with patch.object(store, "_update", careless):
            return update(store, gate, name)

    return mutated


def _soon_over(lease: Any) -> Any:
    return lambda name, until, limits: lease(name, until - 58_000, limits)


def _given_back_at_once(take: Any) -> Any:
    def mutated(taking: Any) -> None:
        held = taking.chain.visit.lease
        take(taking)
        if held is None:
            for limit in taking.limits:
                taking.world.store.leave(limit.gate, taking.chain.visit.lease.name)

    return mutated


def _in_two_writes(everything: Any) -> Any:
    """What belongs to the gates first, and then the header."""

    def mutated(store: Any, entries: Any) -> Any:
        first, *others = entries
        if "s = :queued" not in first.get("Update", {}).get("ConditionExpression", "") or not others:
            return everything(store, entries)
        found = everything(store, others)
        return found if found is not None else everything(store, [first])

    return mutated


def _once(wake_later: Any) -> Any:
    def mutated(world: Any, line: Any, *args: Any, **options: Any) -> None:
        if not line.gate.wake:
            wake_later(world, line, *args, **options)

    return mutated


def _keeps_nothing(settle: Any) -> Any:
    def mutated(self: Any, message: Any, visit: Any) -> None:
        visit.keeps_place = False
        settle(self, message, visit)

    return mutated


def _at_any_pace(gate_entries: Any) -> Any:
    def mutated(store: Any, gate: str, change: str, condition: str, *rest: Any) -> Any:
        paced = condition.replace("a = :seen", f"({ALWAYS} OR a = :seen)").replace(
            "attribute_not_exists(a)", ALWAYS
        )
        return gate_entries(store, gate, change, paced, *rest)

    return mutated


def _by_any_name(gate_entries: Any) -> Any:
    def mutated(store: Any, gate: str, change: str, condition: str, *rest: Any) -> Any:
        named = condition.replace("u <= :now", f"u <= :now OR {ALWAYS}")
        return gate_entries(store, gate, change, named, *rest)

    return mutated


CROWD_MUTANTS = [
    Mutant(
        "a gate lets one more in than it has slots",
        ((gate_store, "entering", _however_full), (leases, "entering", _however_full)),
    ),
    Mutant("a slot that is given up twice is free twice", ((GateStore, "leave", _again_and_again),)),
    Mutant("a lease ends before its Lambda does", ((slots, "Lease", _soon_over),)),
    Mutant("a slot is given back before the step has begun", ((_Taking, "take", _given_back_at_once),)),
    Mutant(
        "who leaves a gate wakes nobody", ((lines, "wake", _instead(None)), (slots, "wake", _instead(None)))
    ),
    Mutant("nobody looks after a line when a lease ends", ((Slots, "watch", _instead(None)),)),
    Mutant("who looked after a line sees to it that nobody does again", ((slots, "wake_later", _once),)),
    Mutant("two who wait, each in a line, wait for each other", ((_Taking, "_is_ahead", _instead(False)),)),
    Mutant("a lease never ends by itself", ((gates, "expired", _instead([])),)),
    Mutant("who is woken too early loses the place", ((Slots, "settle", _keeps_nothing),)),
    Mutant(
        "who comes passes those who wait",
        (
            (leases, "NOBODY_WAITS", lambda _: ":zero = :zero"),
            (gate_store, "NOBODY_WAITS", lambda _: ":zero = :zero"),
        ),
    ),
    Mutant("whoever is woken passes, first or not", ((_Taking, "_is_first", _instead(True)),)),
    Mutant("a gate is passed before the header says so", ((GateStore, "_all_or_nothing", _in_two_writes),)),
    Mutant("the end of a run frees no slot", ((Admission, "leave", _instead(None)),)),
    Mutant("who waits no more keeps its place", ((GateStore, "quit", _instead(None)),)),
    Mutant("nobody is woken when a gate with a pace opens", ((lines, "wake_later", _instead(None)),)),
    Mutant("two pass a gate with a pace at once", ((GateStore, "_gate_entries", _at_any_pace),)),
    Mutant("two runs have one name", ((GateStore, "_gate_entries", _by_any_name),)),
]
