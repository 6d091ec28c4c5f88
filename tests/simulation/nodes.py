"""Workflows as small trees. Each node can run itself in a sync handler, run itself in an async one, and tell
what must come of it (`model`): three readings of one thing, which have to agree.

A value passes through the whole workflow: each step's result is a digest of its path and of all that came
before it, so an outcome that is delivered to the wrong place, or at the wrong time, shows in the output.
"""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from lambda_durable import NonRetriableError, Retry, StepError
from lambda_durable.runs import StepRecord

INTERRUPTED = "lambda_durable.errors.StepInterruptedError"


class Flaky(Exception):
    """What a step raises that may succeed later."""


def mix(acc: int, value: Any) -> int:
    return zlib.crc32(json.dumps([acc, value]).encode())


def digest(path: str, acc: int) -> int:
    return zlib.crc32(f"{path}|{acc}".encode())


class Outside(Protocol):
    """What a workflow meets outside itself."""

    def log(self, path: str, attempt: int, succeeds: bool, version: int, /) -> None:
        """Told of each effect: the step's path, the attempt, whether it is to succeed, and on which code it ran."""
        ...

    def undone(self) -> None:
        """Told by an undo that it ran."""
        ...

    def token(self, token: str, /) -> None:
        """Given the token of a callback."""
        ...

    def seconds(self) -> float:
        """Since the run was started."""
        ...


class Env:
    """What a node runs in. `function(step)` is the step's function; `ctx` the handler's; `version` counts the deploys
    before this code."""

    def __init__(
        self,
        ctx: Any,
        function: Callable[[Step], Callable[[int], Any]],
        outside: Outside,
        version: int = 0,
    ) -> None:
        self.step = ctx.step
        self.publish = ctx.publish
        self.function = function
        self.outside = outside
        self.version = version

    def call(self, step: Step, acc: int) -> Any:
        """The step as the handler calls it: its result, or in an async handler its coroutine."""
        return self._with_options(step).run(step.id, self.function(step), acc)

    def submit(self, step: Step, acc: int) -> Any:
        return self._with_options(step).submit(step.id, self.function(step), acc)

    def _with_options(self, step: Step) -> Any:
        options: dict[str, Any] = {"retry": step.policy}
        if step.at_most_once:
            options["semantics"] = "at_most_once"
        if step.forever == "slow":
            options["timeout"] = f"{step.takes - 1}s"
        if step.undo:
            options["undo"] = lambda _: self.outside.undone()
        return self.step.options(**options)


class Failed(Exception):
    """The model's way to say that a step fails for good here."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


class NoArm(Exception):
    """A race was decided, and nothing tells how."""


@dataclass(frozen=True)
class Told:
    """A message that is to be published: by the handler under a topic, with what is said, or by a step, whose path is
    its name."""

    name: str
    said: int | None
    beside: tuple[tuple[str, int], ...]
    surely: bool

    def precedes(self, later: Told) -> bool:
        """Whether it comes before one that the model tells later: what goes on side by side has no order."""
        for mine, theirs in zip(self.beside, later.beside, strict=False):
            if mine != theirs:
                return mine[0] != theirs[0]
        return True


class Model:
    """Interprets a tree without running it. What depends on time is taken from the journal (`steps`); with
    `everything`, no run is given, and every step that might ever be called is visited. With `may_stand_still`, a step
    that takes longer than it may can have told before anybody looked at the time."""

    def __init__(
        self, steps: Mapping[str, StepRecord], *, everything: bool = False, may_stand_still: bool = False
    ) -> None:
        self.steps = steps
        self.may_stand_still = may_stand_still
        self.everything = everything
        self.nodes: dict[str, Node] = {}
        self.required: set[str] = set()
        self.forbidden: dict[str, str] = {}
        self.interrupted: list[str] = []
        self.told: list[Told] = []
        self._beside: tuple[tuple[str, int], ...] = ()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._optional = 0

    def path(self, scope: str, id: str) -> str:
        count = self._counts[scope, id]
        self._counts[scope, id] += 1
        name = f"{id}:{count}" if count else id
        return f"{scope}/{name}" if scope else name

    def note(self, path: str, node: Node) -> str:
        self.nodes[path] = node
        if not self._optional:
            self.required.add(path)
        return path

    @contextmanager
    def maybe(self, optional: bool = True) -> Iterator[None]:
        """What is noted inside may have happened, or not."""
        self._optional += optional
        try:
            yield
        finally:
            self._optional -= optional

    @contextmanager
    def beside(self, whole: str, part: int) -> Iterator[None]:
        """What is told inside is part of a whole whose parts go on side by side."""
        before, self._beside = self._beside, (*self._beside, (whole, part))
        try:
            yield
        finally:
            self._beside = before

    def tell(self, name: str, said: int | None = None) -> None:
        self.told.append(Told(name, said, self._beside, surely=not self._optional))

    def outcome(self, path: str, step: Step, acc: int) -> int:
        """What a step that was noted at `path` gives. Raises Failed."""
        record = self.steps.get(path)
        if record is not None and record.error is not None and record.error.type == INTERRUPTED:
            self.interrupted.append(path)
            raise Failed(path)
        told = step.forever == "slow" and record is not None and record.status == "completed"
        if step.forever and not (told and self.may_stand_still):
            raise Failed(path)
        return digest(path, acc)

    def choose(self, scope: str, arms: Mapping[str, str]) -> str:
        """Which of some arms was taken; `arms` are the ids of their steps, by what is chosen."""
        there = [choice for choice, id in arms.items() if self.joined(scope, id) in self.steps]
        if not there:
            raise NoArm(f"none of the arms {sorted(arms.values())} in {scope or 'the handler'} has a step")
        for choice in arms:
            if choice != there[0]:
                self.forbidden[self.joined(scope, arms[choice])] = self.joined(scope, arms[there[0]])
        return there[0]

    @staticmethod
    def joined(scope: str, id: str) -> str:
        return f"{scope}/{id}" if scope else id

    def body(self, scope: str, nodes: Sequence[Node], acc: int) -> list[Any]:
        values: list[Any] = []
        for node in nodes:
            try:
                value = node.model(self, scope, acc)
            except Failed as failed:
                if not (node.caught or self.everything):
                    raise
                value = ["failed", failed.path]
            acc = mix(acc, value)
            values.append(value)
        return values


def run_body(env: Env, nodes: Sequence[Node], acc: int) -> list[Any]:
    values: list[Any] = []
    for node in nodes:
        try:
            value = node.run(env, acc)
        except StepError as error:
            if not node.caught:
                raise
            value = ["failed", error.step_id]
        acc = mix(acc, value)
        values.append(value)
    return values


async def run_body_async(env: Env, nodes: Sequence[Node], acc: int) -> list[Any]:
    values: list[Any] = []
    for node in nodes:
        try:
            value = await node.run_async(env, acc)
        except StepError as error:
            if not node.caught:
                raise
            value = ["failed", error.step_id]
        acc = mix(acc, value)
        values.append(value)
    return values


@dataclass(frozen=True, kw_only=True)
class Node:
    id: str
    caught: bool = False

    def run(self, env: Env, acc: int) -> Any:
        raise NotImplementedError

    async def run_async(self, env: Env, acc: int) -> Any:
        raise NotImplementedError

    def model(self, m: Model, scope: str, acc: int) -> Any:
        raise NotImplementedError

    def lines(self) -> Iterator[str]:
        raise NotImplementedError

    def inside(self) -> Iterator[Node]:
        """The nodes that this one has in it."""
        for value in vars(self).values():
            yield from _nodes_of(value)

    def title(self, *details: object) -> str:
        words = [
            type(self).__name__.lower(),
            self.id,
            *map(str, filter(None, details)),
            "caught" * self.caught,
        ]
        return " ".join(filter(None, words))


@dataclass(frozen=True, kw_only=True)
class Step(Node):
    """Fails `fails` times, then succeeds; with `forever` it then fails for good instead, by an error that is
    not retried ("at once"), by all attempts that remain ("attempts"), or since all take longer than they may
    ("slow")."""

    fails: int = 0
    forever: str = ""
    delay: int = 5
    jitter: bool = False
    at_most_once: bool = False
    takes: int = 0
    undo: bool = False
    tells: bool = False

    @property
    def max_attempts(self) -> int:
        # What is to succeed has attempts to spare for those that crashes take, or a message that could not be told.
        spare = (self.tells or not self.at_most_once) and self.forever not in ("attempts", "slow")
        return self.fails + 1 + 8 * spare

    @property
    def attempts(self) -> int:
        """How many it takes, if none is lost."""
        return self.fails + 1

    @property
    def policy(self) -> Retry:
        if self.jitter:
            return Retry(max_attempts=self.max_attempts, initial_delay=f"{self.delay}s", max_delay="1h")
        return Retry.fixed(f"{self.delay}s", self.max_attempts)

    def act(self, path: str, attempt: int, acc: int) -> int:
        """What the step's function does."""
        if attempt <= self.fails:
            raise Flaky(f"attempt {attempt} of {path}")
        if self.forever in ("at once", "attempts"):
            raise NonRetriableError(f"{path} never succeeds") if self.forever == "at once" else Flaky(path)
        return digest(path, acc)

    def run(self, env: Env, acc: int) -> Any:
        return env.call(self, acc)

    async def run_async(self, env: Env, acc: int) -> Any:
        return await env.call(self, acc)

    def model(self, m: Model, scope: str, acc: int) -> Any:
        path = m.note(m.path(scope, self.id), self)
        self.tell(m, path)
        return m.outcome(path, self, acc)

    def tell(self, m: Model, path: str) -> None:
        if self.tells:
            m.tell(path)

    def lines(self) -> Iterator[str]:
        yield self.title(
            self.fails and f"fails={self.fails}",
            self.forever and f"fails for good ({self.forever})",
            (self.fails or self.forever) and f"delay={self.delay}s{' jitter' * self.jitter}",
            self.at_most_once and "at_most_once",
            self.takes and f"takes={self.takes}s",
            self.undo and "undo",
            self.tells and "tells",
        )


@dataclass(frozen=True, kw_only=True)
class Sleep(Node):
    seconds: int

    def run(self, env: Env, acc: int) -> Any:
        env.step.sleep(self.id, f"{self.seconds}s")

    async def run_async(self, env: Env, acc: int) -> Any:
        await env.step.sleep(self.id, f"{self.seconds}s")

    def model(self, m: Model, scope: str, acc: int) -> Any:
        m.note(m.path(scope, self.id), self)

    def lines(self) -> Iterator[str]:
        yield self.title(f"{self.seconds}s")


@dataclass(frozen=True, kw_only=True)
class Group(Node):
    nodes: Sequence[Node]

    def run(self, env: Env, acc: int) -> Any:
        return env.step.group(self.id, lambda: run_body(env, self.nodes, acc))

    async def run_async(self, env: Env, acc: int) -> Any:
        async def body() -> list[Any]:
            return await run_body_async(env, self.nodes, acc)

        return await env.step.group(self.id, body)

    def model(self, m: Model, scope: str, acc: int) -> Any:
        path = m.note(m.path(scope, self.id), self)
        return m.body(path, self.nodes, acc)

    def lines(self) -> Iterator[str]:
        yield self.title()
        yield from indented(self.nodes)


@dataclass(frozen=True, kw_only=True)
class Changed(Node):
    """A step that the code has in some versions alone: it counts the deploys before it. Nothing depends on what
    it gives."""

    step: Step
    since: int
    until: int | None = None

    def _is_there(self, env: Env) -> bool:
        return self.since <= env.version and (self.until is None or env.version < self.until)

    def run(self, env: Env, acc: int) -> Any:
        if self._is_there(env):
            env.call(self.step, acc)

    async def run_async(self, env: Env, acc: int) -> Any:
        if self._is_there(env):
            await env.call(self.step, acc)

    def model(self, m: Model, scope: str, acc: int) -> Any:
        with m.maybe():
            m.note(m.path(scope, self.step.id), self.step)

    def lines(self) -> Iterator[str]:
        until = "" if self.until is None else f", gone at {self.until}"
        yield self.title(f"since deploy {self.since}{until}")
        yield from indented([self.step])


def _nodes_of(value: Any) -> Iterator[Node]:
    if isinstance(value, Node):
        yield value
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _nodes_of(each)


def within(path: str, inner: str) -> bool:
    return inner == path or inner.startswith(f"{path}/")


def indented(nodes: Sequence[Node]) -> Iterator[str]:
    for node in nodes:
        for line in node.lines():
            yield f"    {line}"
