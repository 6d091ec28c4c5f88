"""Makes a case that fails as small as it can be: `scripts/simulate --shrink SEED`.

Nodes, happenings and faults are left out and simplified for as long as the same check still fails. A smaller workflow
meets its faults elsewhere, so each is tried under a few seeds of its own.
"""

# ruff: noqa: T201
from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import nullcontext, redirect_stdout
from dataclasses import dataclass, field, fields, replace
from io import StringIO
from itertools import chain
from typing import TypeVar

from lambda_durable.testing import Faults
from tests.simulation.nodes import Node, Step
from tests.simulation.simulate import Setup, simulate
from tests.simulation.workflows import Life, Workflow

T = TypeVar("T")

TRIES = 10
"""Seeds under which a smaller workflow is tried; four times as many for one with few nodes."""

FEW = 4

_OF_A_STEP = tuple(each.name for each in fields(Step) if each.name not in ("id", "caught"))
_OF_OTHERS = ("width", "heartbeat", "tolerant", "keyed")


@dataclass
class Shrinker:
    """Shrinks a case to a smaller one that fails the same check, with at most so many `runs`."""

    setup: Setup
    runs: int = 4000
    check: str = field(init=False)

    def __post_init__(self) -> None:
        self.check = _failed(self.setup)

    def shrink(self) -> Setup:
        """The smallest case found. Raises ValueError if this one does not fail."""
        if not self.check:
            raise ValueError(f"seed {self.setup.seed} fails no check")
        while self._kinds() | self._workflow():
            pass
        self._faults()
        return self.setup

    def _kinds(self) -> bool:
        """Do without a kind of fault, and with the plainest mode."""
        return self._any_of(_plainer(self.setup))

    def _workflow(self) -> bool:
        smaller = smaller_workflows(self.setup.workflow)
        return self._any_of((replace(self.setup, workflow=workflow) for workflow in smaller), TRIES)

    def _any_of(self, candidates: Iterator[Setup], tries: int = 0) -> bool:
        """Take the first of some smaller cases that fails, perhaps under another seed. Whether there is one."""
        for candidate in candidates:
            few = len(candidate.workflow.everything().nodes) < FEW
            others = range(0 if candidate.faults is None else tries * (4 if few else 1))
            for seed in (candidate.seed, *others):
                if self._fails(replace(candidate, seed=seed)):
                    return True
        return False

    def _faults(self) -> None:
        """Leave out single faults: first many at once, then fewer."""
        struck: Counter[str] = Counter()
        simulate(self.setup, injected=struck)
        kept = list(range(struck.total()))
        size = (len(kept) + 1) // 2
        while size and kept:
            at = 0
            while at < len(kept):
                rest = kept[:at] + kept[at + size :]
                if self._fails(replace(self.setup, only=frozenset(rest))):
                    kept = rest
                else:
                    at += size
            size //= 2

    def _fails(self, candidate: Setup) -> bool:
        if self.runs <= 0:
            return False
        self.runs -= 1
        if _failed(candidate) != self.check:
            return False
        self.setup = candidate
        return True


def _failed(setup: Setup) -> str:
    """The check that a case fails first; empty for none."""
    wrong = simulate(setup)
    return wrong[0].partition(":")[0] if wrong else ""


def _plainer(setup: Setup) -> Iterator[Setup]:
    faults = setup.faults
    if faults is not None:
        yield replace(setup, faults=None)
        for each in fields(Faults):
            if getattr(faults, each.name):
                off = False if isinstance(getattr(faults, each.name), bool) else 0.0
                yield replace(setup, faults=replace(faults, **{each.name: off}))
    if setup.mode != 1:
        yield replace(setup, mode=1)
    if setup.workflow.is_async:
        yield replace(setup, workflow=replace(setup.workflow, is_async=False))


def smaller_workflows(workflow: Workflow) -> Iterator[Workflow]:
    """Workflows that lack something: the most first."""
    life = workflow.life
    if life != Life(rounds=life.rounds):
        yield replace(workflow, life=Life(rounds=life.rounds))
    for number in range(len(life.rounds)):
        yield replace(workflow, life=replace(life, rounds=_without(life.rounds, number)))
    if life.rounds:
        yield replace(workflow, nodes=life.rounds[0], life=replace(life, rounds=life.rounds[1:]))
    for number in range(len(workflow.happenings)):
        yield replace(workflow, happenings=_without(workflow.happenings, number))
    for nodes in smaller_sequences(workflow.nodes):
        yield replace(workflow, nodes=nodes)
    for number, nodes in enumerate(life.rounds):
        for smaller in smaller_sequences(nodes):
            yield replace(workflow, life=replace(life, rounds=_with(life.rounds, number, smaller)))
    for each in fields(Life):
        if each.name != "rounds" and getattr(life, each.name) != each.default:
            yield replace(workflow, life=replace(life, **{each.name: each.default}))


def smaller_sequences(nodes: Sequence[Node]) -> Iterator[Sequence[Node]]:
    for number in range(len(nodes)):
        yield _without(nodes, number)
    for number, node in enumerate(nodes):
        for inside in _inside(node):
            renamed = [replace(child, id=f"{node.id}{child.id}") for child in inside]
            yield [*nodes[:number], *renamed, *nodes[number + 1 :]]
        for smaller in smaller_nodes(node):
            yield _with(nodes, number, smaller)


def smaller_nodes(node: Node) -> Iterator[Node]:
    """The node with less inside, or simpler."""
    for each in fields(node):
        value = getattr(node, each.name)
        if isinstance(value, Node):
            for smaller in smaller_nodes(value):
                yield replace(node, **{each.name: smaller})
        elif each.name == "branches":
            for number in range(len(value)):
                yield replace(node, branches=_without(value, number))
            for number, nodes in enumerate(value):
                for less in smaller_sequences(nodes):
                    if less:
                        yield replace(node, branches=_with(value, number, less))
        elif isinstance(value, Sequence) and not isinstance(value, str):
            least = 1 if each.name in ("steps", "items") else 0
            for smaller_sequence in _shorter(value, steps_alone=bool(least)):
                if len(smaller_sequence) >= least:
                    yield replace(node, **{each.name: smaller_sequence})
        elif value != each.default and each.name in (_OF_A_STEP if isinstance(node, Step) else _OF_OTHERS):
            yield replace(node, **{each.name: each.default})


def _shorter(nodes: Sequence[Node], *, steps_alone: bool) -> Iterator[Sequence[Node]]:
    """`steps_alone`: nothing but steps may take the place of steps."""
    if not steps_alone:
        yield from smaller_sequences(nodes)
        return
    for number in range(len(nodes)):
        yield _without(nodes, number)
    for number, node in enumerate(nodes):
        for smaller in smaller_nodes(node):
            yield _with(nodes, number, smaller)


def _inside(node: Node) -> Iterator[Sequence[Node]]:
    """What might stand where a node stands: what is in it."""
    for each in fields(node):
        value = getattr(node, each.name)
        if isinstance(value, Node):
            yield [value]
        elif each.name == "branches":
            yield from value
            yield list(chain.from_iterable(value))
        elif isinstance(value, Sequence) and not isinstance(value, str):
            yield value


def _without(things: Sequence[T], number: int) -> Sequence[T]:
    return [*things[:number], *things[number + 1 :]]


def _with(things: Sequence[T], number: int, thing: T) -> Sequence[T]:
    return [*things[:number], thing, *things[number + 1 :]]


def story(setup: Setup) -> list[str]:
    """What happens in a case: invocations, effects, writes and faults, without each AWS call."""
    told = StringIO()
    with redirect_stdout(told):
        wrong = simulate(setup, verbose=True)
    calls = (" before ", " after ", ", before its function", ", after its function")
    lines = told.getvalue().splitlines()
    return [line[:200] for line in lines if not any(call in line for call in calls)] + wrong


def show(setup: Setup, bug: str | None) -> int:
    """Print the smallest case that fails as this one does. 1 if it does not fail."""
    from tests.simulation.mutants import MUTANTS

    found = [mutant for mutant in MUTANTS if bug and mutant.bug.startswith(bug)]
    if bug and not found:
        bugs = "\n  ".join(sorted(mutant.bug for mutant in MUTANTS))
        print(f"no bug that can be planted begins with {bug!r}; there are:\n  {bugs}")
        return 1
    logging.disable(logging.CRITICAL)
    with found[0].planted() if found else nullcontext():
        shrinker = Shrinker(setup)
        if not shrinker.check:
            hint = "; this bug is looked for with --closed" if found and found[0].closed else ""
            print(f"seed {setup.seed} fails no check{hint}")
            return 1
        small = shrinker.shrink()
        print("\n".join(["", *story(small), ""]))
        print(f"{small.text()}\n  fails {shrinker.check}")
    return 0
