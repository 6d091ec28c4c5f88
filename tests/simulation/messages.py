"""What random workflows publish: messages between their nodes, and from within steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from tests.simulation.nodes import Env, Group, Model, Node, Step
from tests.simulation.parallels import Branches, Gather, Map, Tasks
from tests.simulation.workflows import Workflow

MESSAGES = "messages"
"""The profile of workflows of everything, all of which publish."""

SHARE = 0.4
"""Of the others, those that do, unless a profile is asked for: what a seed stood for in it before, it does still."""


@dataclass(frozen=True, kw_only=True)
class Publish(Node):
    """Says, under a topic of its own, what has come of all before it."""

    def run(self, env: Env, acc: int) -> Any:
        env.publish(self.id, acc)

    async def run_async(self, env: Env, acc: int) -> Any:
        env.publish(self.id, acc)

    def model(self, m: Model, scope: str, acc: int) -> Any:
        m.tell(self.id, acc)

    def lines(self) -> Iterator[str]:
        yield self.title()


def telling(workflow: Workflow, seed: int, share: float) -> Workflow:
    """A workflow that publishes, if it is of the share of seeds that do."""
    random = Random(f"messages {seed}")
    if random.random() >= share:
        return workflow
    weaver = _Weaver(random)
    life = replace(workflow.life, rounds=[weaver.sequence(nodes) for nodes in workflow.life.rounds])
    return replace(workflow, nodes=weaver.sequence(workflow.nodes), life=life)


class _Weaver:
    """Puts messages into a tree."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._count = 0

    def sequence(self, nodes: Sequence[Node]) -> list[Node]:
        found: list[Node] = []
        for node in nodes:
            found += [*self._message(), self._within(node)]
        return [*found, *self._message()]

    def _message(self) -> Iterator[Publish]:
        if self._random.random() < 0.4:
            self._count += 1
            yield Publish(id=f"said{self._count}")

    def _within(self, node: Node) -> Node:
        if isinstance(node, Group):
            return replace(node, nodes=self.sequence(node.nodes))
        if isinstance(node, Branches | Tasks):
            return replace(node, branches=[self.sequence(nodes) for nodes in node.branches])
        if isinstance(node, Gather):
            return replace(node, steps=list(map(self._step, node.steps)))
        if isinstance(node, Map):
            return replace(node, items=list(map(self._step, node.items)))
        return self._step(node) if isinstance(node, Step) else node

    def _step(self, step: Step) -> Step:
        return replace(step, tells=True) if self._random.random() < 0.3 else step
