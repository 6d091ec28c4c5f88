"""The nodes in which several things go on at once: fan-outs, joins and races."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lambda_durable import StepError
from tests.simulation.nodes import (
    Env,
    Failed,
    Model,
    Node,
    Step,
    indented,
    mix,
    run_body,
    run_body_async,
    within,
)


@dataclass(frozen=True, kw_only=True)
class Fan(Node):
    """What maps have in common: branches by key, joined. `tolerant` is return_exceptions."""

    width: int | None = None
    tolerant: bool = False
    keyed: bool = False

    @property
    def count(self) -> int:
        raise NotImplementedError

    @property
    def options(self) -> dict[str, Any]:
        key = (lambda index: f"k{index}") if self.keyed else None
        return {"max_concurrency": self.width, "return_exceptions": self.tolerant, "key": key}

    def branch(self, m: Model, path: str, index: int, acc: int) -> Any:
        raise NotImplementedError

    def model(self, m: Model, scope: str, acc: int) -> Any:
        path = m.note(m.path(scope, self.id), self)
        values: list[Any] = []
        failed: Failed | None = None
        for index in range(self.count):
            inner = f"{path}[{f'k{index}' if self.keyed else index}]"
            surely = failed is None or index < (self.width or self.count)
            if not surely and not m.everything and not any(within(inner, there) for there in m.steps):
                continue
            with m.maybe(not surely), m.beside(path, index):
                try:
                    values.append(self.branch(m, inner, index, acc))
                except Failed as error:
                    values.append(["failed", error.path])
                    failed = failed or (None if self.tolerant or m.everything else error)
        if failed is not None:
            raise failed
        return values

    def shown(self, values: Sequence[Any]) -> list[Any]:
        return [["failed", value.step_id] if isinstance(value, StepError) else value for value in values]

    def details(self) -> list[object]:
        return [self.width and f"width={self.width}", self.tolerant and "tolerant", self.keyed and "keyed"]


@dataclass(frozen=True, kw_only=True)
class Map(Fan):
    items: Sequence[Step] = ()

    @property
    def count(self) -> int:
        return len(self.items)

    def run(self, env: Env, acc: int) -> Any:
        return self.shown(self._map(env, acc))

    async def run_async(self, env: Env, acc: int) -> Any:
        return self.shown(await self._map(env, acc))

    def _map(self, env: Env, acc: int) -> Any:
        undo = (lambda _: env.outside.undone()) if self.items[0].undo else None
        semantics = "at_most_once" if self.items[0].at_most_once else None
        step = env.step.options(retry=self.items[0].policy, undo=undo, semantics=semantics)
        functions = [env.function(item) for item in self.items]
        return step.map(self.id, lambda index: functions[index](acc), range(self.count), **self.options)

    def branch(self, m: Model, path: str, index: int, acc: int) -> Any:
        m.note(path, self.items[index])
        self.items[index].tell(m, path)
        return m.outcome(path, self.items[index], acc)

    def lines(self) -> Iterator[str]:
        yield self.title(*self.details())
        yield from indented(self.items)


@dataclass(frozen=True, kw_only=True)
class Branches(Fan):
    """Branches with steps of their own: a map_group, or (sync only, an AsyncStep has none) a parallel."""

    branches: Sequence[Sequence[Node]] = ()
    parallel: bool = False

    @property
    def count(self) -> int:
        return len(self.branches)

    def run(self, env: Env, acc: int) -> Any:
        if self.parallel:
            bodies = [lambda nodes=nodes: run_body(env, nodes, acc) for nodes in self.branches]
            return list(env.step.parallel(self.id, *bodies, max_concurrency=self.width))
        return self.shown(
            env.step.map_group(
                self.id,
                lambda index: run_body(env, self.branches[index], acc),
                range(self.count),
                **self.options,
            )
        )

    async def run_async(self, env: Env, acc: int) -> Any:
        async def branch(index: int) -> list[Any]:
            return await run_body_async(env, self.branches[index], acc)

        return self.shown(await env.step.map_group(self.id, branch, range(self.count), **self.options))

    def branch(self, m: Model, path: str, index: int, acc: int) -> Any:
        if self.tolerant and f"{path}" in m.steps:
            m.note(path, self)
        return m.body(path, self.branches[index], acc)

    def lines(self) -> Iterator[str]:
        yield self.title(self.parallel and "parallel", *self.details())
        for index, nodes in enumerate(self.branches):
            yield f"  [{index}]"
            yield from indented(nodes)


@dataclass(frozen=True, kw_only=True)
class Gather(Node):
    """Steps side by side in one scope, joined. At most one of them fails uncaught."""

    steps: Sequence[Step]
    how: str = "gather"  # or "taskgroup", "wait", "results"

    def run(self, env: Env, acc: int) -> Any:
        futures = [env.submit(step, acc) for step in self.steps]
        if self.how == "wait":
            done, not_done = env.step.wait(futures)
            assert (len(done), not_done) == (len(futures), ())
        return [
            self._shown(step, self._outcome(future)) for step, future in zip(self.steps, futures, strict=True)
        ]

    async def run_async(self, env: Env, acc: int) -> Any:
        if self.how == "taskgroup" and not any(step.forever or step.at_most_once for step in self.steps):
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(env.call(step, acc)) for step in self.steps]
            return [task.result() for task in tasks]
        calls = [env.call(step, acc) for step in self.steps]
        if self.how == "wait":
            tasks = [asyncio.ensure_future(call) for call in calls]
            await asyncio.wait(tasks)
            outcomes: list[Any] = [task.exception() or task.result() for task in tasks]
        elif self.how == "results":
            tasks = [asyncio.ensure_future(call) for call in calls]
            outcomes = []
            for task in tasks:
                try:
                    outcomes.append(await task)
                except StepError as error:
                    outcomes.append(error)
        else:
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
        return [self._shown(step, outcome) for step, outcome in zip(self.steps, outcomes, strict=True)]

    @staticmethod
    def _outcome(future: Any) -> Any:
        try:
            return future.result()
        except StepError as error:
            return error

    @staticmethod
    def _shown(step: Step, outcome: Any) -> Any:
        if isinstance(outcome, StepError) and step.caught:
            return ["failed", outcome.step_id]
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def model(self, m: Model, scope: str, acc: int) -> Any:
        values: list[Any] = []
        failed: Failed | None = None
        fails = any(step.forever and not step.caught for step in self.steps)
        for index, step in enumerate(self.steps):
            with (
                m.maybe(fails and not step.forever and not m.everything),
                m.beside(f"{scope}/{self.id}", index),
            ):
                try:
                    values.append(step.model(m, scope, acc))
                except Failed as error:
                    values.append(["failed", error.path])
                    failed = failed or (None if step.caught or m.everything else error)
        if failed is not None:
            raise failed
        return values

    def lines(self) -> Iterator[str]:
        yield self.title(self.how)
        yield from indented(self.steps)


@dataclass(frozen=True, kw_only=True)
class Tasks(Node):
    """Tasks of one scope that call steps one after the other; in a sync handler, the same one by one.
    Nothing in them fails uncaught."""

    branches: Sequence[Sequence[Node]]

    def run(self, env: Env, acc: int) -> Any:
        return [run_body(env, nodes, acc) for nodes in self.branches]

    async def run_async(self, env: Env, acc: int) -> Any:
        return list(await asyncio.gather(*(run_body_async(env, nodes, acc) for nodes in self.branches)))

    def model(self, m: Model, scope: str, acc: int) -> Any:
        values = []
        for index, nodes in enumerate(self.branches):
            with m.beside(f"{scope}/{self.id}", index):
                values.append(m.body(scope, nodes, acc))
        return values

    def lines(self) -> Iterator[str]:
        yield self.title()
        for nodes in self.branches:
            yield "  task"
            yield from indented(nodes)


@dataclass(frozen=True, kw_only=True)
class Race(Node):
    """Who comes first decides which step comes next: steps against each other, or (with `sleep`) a sleep.

    `rest` is what becomes of the others: "await", "cancel" (async) or "leave". A sync handler can't wait for
    a step and a sleep at once: it sleeps, and then asks whether the step is done.
    """

    steps: Sequence[Step]
    sleep: int | None = None
    rest: str = "await"

    def arm(self, choice: str) -> Step:
        return Step(id=f"{self.id}-won-{choice}")

    @property
    def choices(self) -> list[str]:
        return [step.id for step in self.steps] + ["sleep"] * (self.sleep is not None)

    def run(self, env: Env, acc: int) -> Any:
        futures = [env.submit(step, acc) for step in self.steps]
        if self.sleep is None:
            done, _ = env.step.wait(futures, return_when="FIRST_COMPLETED")
        else:
            env.step.sleep(f"{self.id}-sleep", f"{self.sleep}s")
            done = tuple(future for future in futures if future.done())[:1]
        winner = futures.index(done[0]) if done else len(futures)
        value = done[0].result() if done else None
        then = env.call(self.arm(self.choices[winner]), mix(acc, value))
        return [self.choices[winner], value, then, self.rest == "await" and [f.result() for f in futures]]

    async def run_async(self, env: Env, acc: int) -> Any:
        tasks = [asyncio.ensure_future(env.call(step, acc)) for step in self.steps]
        racers = list(tasks)
        if self.sleep is not None:
            racers.append(asyncio.ensure_future(env.step.sleep(f"{self.id}-sleep", f"{self.sleep}s")))
        done, _ = await asyncio.wait(racers, return_when=asyncio.FIRST_COMPLETED)
        winner = min(racers.index(task) for task in done)
        value = racers[winner].result()
        if self.rest == "cancel":
            for task in racers:
                task.cancel()
        then = await env.call(self.arm(self.choices[winner]), mix(acc, value))
        return [self.choices[winner], value, then, self.rest == "await" and [await task for task in tasks]]

    def model(self, m: Model, scope: str, acc: int) -> Any:
        values = {}
        for step in self.steps:
            with m.maybe(self.rest != "await"):
                values[step.id] = step.model(m, scope, acc)
        if self.sleep is not None:
            values["sleep"] = None
            with m.maybe():
                m.note(m.path(scope, f"{self.id}-sleep"), self)
        if m.everything:
            for choice in self.choices:
                self.arm(choice).model(m, scope, acc)
            return None
        choice = m.choose(scope, {choice: self.arm(choice).id for choice in self.choices})
        then = self.arm(choice).model(m, scope, mix(acc, values[choice]))
        return [
            choice,
            values[choice],
            then,
            self.rest == "await" and [values[step.id] for step in self.steps],
        ]

    def lines(self) -> Iterator[str]:
        yield self.title(self.sleep is not None and f"against a sleep of {self.sleep}s", f"rest: {self.rest}")
        yield from indented(self.steps)


@dataclass(frozen=True, kw_only=True)
class Polled(Node):
    """Asks whether a step is done before and after another one, and acts on what it is told."""

    step: Step
    meanwhile: Node

    def arm(self, answer: bool) -> Step:
        return Step(id=f"{self.id}-{'yes' if answer else 'no'}")

    def run(self, env: Env, acc: int) -> Any:
        future = env.submit(self.step, acc)
        before = future.done()
        run_body(env, [self.meanwhile], acc)
        answer = future.done()
        then = env.call(self.arm(answer), acc)
        return [answer or not before, then, future.result()]

    async def run_async(self, env: Env, acc: int) -> Any:
        task = asyncio.ensure_future(env.call(self.step, acc))
        before = task.done()
        await run_body_async(env, [self.meanwhile], acc)
        answer = task.done()
        then = await env.call(self.arm(answer), acc)
        return [answer or not before, then, await task]

    def model(self, m: Model, scope: str, acc: int) -> Any:
        value = self.step.model(m, scope, acc)
        m.body(scope, [self.meanwhile], acc)
        if m.everything:
            self.arm(True).model(m, scope, acc)
            self.arm(False).model(m, scope, acc)
            return None
        choice = m.choose(scope, {"yes": self.arm(True).id, "no": self.arm(False).id})
        return [True, self.arm(choice == "yes").model(m, scope, acc), value]

    def lines(self) -> Iterator[str]:
        yield self.title()
        yield from indented([self.step, self.meanwhile])
