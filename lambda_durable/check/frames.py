"""Where a walk through a handler is: in which step, scope and task, behind which branches; and what it has found."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from .sources import Source
from .values import Boundary, Deferred, Env, Thing

MOST_NODES = 100_000
"""So much of a handler's code, and of what it calls, is looked at."""

MOST_AT_IMPORT = 1_500
"""And so much of what a statement of a module does when that is imported."""

DEEPEST = 30
"""So deep calls are followed."""


class ExhaustedError(Exception):
    """There is more code than is looked at."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule found. Lines begin at 1, and columns too. `handler` is the function's id; `route` names the
    functions through which the handler comes there."""

    rule: str
    path: str
    line: int
    column: int
    end_line: int
    end_column: int
    message: str
    handler: str = ""
    route: tuple[str, ...] = ()

    @property
    def told(self) -> str:
        """The message, with the way that leads there."""
        if not self.route:
            return self.message
        return f"{self.message} (called by {' -> '.join(self.route)})"


@dataclass(eq=False, slots=True)
class Task:
    """What calls steps one after the other: the handler, or an asyncio task of it."""

    many: bool = False


@dataclass(frozen=True, slots=True)
class Use:
    """A step that is called under an id."""

    source: Source
    node: ast.AST
    task: Task
    trail: tuple[tuple[ast.AST, int], ...]


@dataclass(frozen=True, slots=True)
class Left:
    """An arm of a branch that leaves its function (`for_good`), or at least its round of a loop."""

    branch: ast.AST
    arm: int
    for_good: bool


@dataclass(eq=False, slots=True)
class Scope:
    """Where ids are unique: the handler, a group, a branch."""

    ids: dict[str, list[Use]] = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class Write:
    source: Source
    node: ast.AST
    name: str
    by: Boundary | None
    at_import: bool
    route: tuple[str, ...]


Key = Thing | tuple[Env, str]


class Frames:
    """The state of a walk."""

    def __init__(self) -> None:
        self.findings: dict[tuple[str, str, int, int], Finding] = {}
        self.begin("")
        self.silent = True  # until a handler begins: what happens at import happens once in each process

    def begin(self, handler: str) -> None:
        """Start on a handler."""
        self.handler = handler
        self.silent = False
        self.boundary: Boundary | None = None
        self.scope = Scope()
        self.task = Task()
        self.trail: tuple[tuple[ast.AST, int], ...] = ()
        self.loops = 0
        self.unordered: tuple[ast.AST, ...] = ()
        self.route: tuple[str, ...] = ()
        self.stack: tuple[ast.AST, ...] = ()
        self.events = 0  # steps that were called or waited for
        self.nodes = 0
        self.deferred: list[Deferred] = []
        self.writes: dict[Key, list[Write]] = {}
        self.left: list[Left] = []
        self.guarded: frozenset[str] = frozenset()
        self.event = Thing(None)
        self.twice: set[tuple[ast.AST, ast.AST]] = set()  # calls whose ids were found to be the same

    @property
    def in_step(self) -> bool:
        """Whether the code is a step's function, which may do as it likes."""
        boundary = self.boundary
        while boundary is not None:
            if boundary.is_step:
                return True
            boundary = boundary.outer
        return False

    @property
    def in_handler(self) -> bool:
        """Whether the code is run again on every replay."""
        return not self.silent and not self.in_step

    def report(
        self,
        rule: str,
        source: Source,
        node: ast.AST,
        message: str,
        *,
        route: tuple[str, ...] | None = None,
    ) -> None:
        """Tell of something; once for each place."""
        if self.silent:
            return
        line, column = getattr(node, "lineno", 1), getattr(node, "col_offset", 0) + 1
        self.findings.setdefault(
            (source.shown, rule, line, column),
            Finding(
                rule,
                source.shown,
                line,
                column,
                getattr(node, "end_lineno", None) or line,
                (getattr(node, "end_col_offset", None) or column) + 1,
                message,
                self.handler,
                (self.route if route is None else route)[:-1],
            ),
        )

    def count(self) -> None:
        """Raises ExhaustedError."""
        self.nodes += 1
        if self.nodes > MOST_NODES:
            raise ExhaustedError

    @contextmanager
    def within(self, boundary: Boundary | None, *, scope: Scope | None = None) -> Iterator[None]:
        """Inside a step or group, with a scope of its own if one is given."""
        kept = self.boundary, self.scope, self.task, self.trail, self.loops, self.unordered
        self.boundary = boundary
        if scope is not None:
            self.scope, self.task, self.trail, self.loops, self.unordered = scope, Task(), (), 0, ()
        try:
            yield
        finally:
            self.boundary, self.scope, self.task, self.trail, self.loops, self.unordered = kept

    @contextmanager
    def importing(self) -> Iterator[None]:
        """At the top level of a module."""
        names = ("silent", "boundary", "stack", "loops", "unordered", "trail", "nodes", "left")
        kept = {name: getattr(self, name) for name in names}
        self.silent, self.boundary, self.stack, self.loops, self.unordered, self.trail = (
            True,
            None,
            (),
            0,
            (),
            (),
        )
        self.nodes, self.left = MOST_NODES - MOST_AT_IMPORT, []
        try:
            yield
        finally:
            for name in names:
                setattr(self, name, kept[name])

    @contextmanager
    def as_task(self, *, many: bool) -> Iterator[None]:
        kept = self.task
        self.task = Task(many=many)
        try:
            yield
        finally:
            self.task = kept

    @contextmanager
    def behind(self, branch: ast.AST, arm: int) -> Iterator[None]:
        """On one arm of a branch; of what stands on two of its arms, only one runs."""
        kept = self.trail
        self.trail = (*kept, (branch, arm))
        try:
            yield
        finally:
            self.trail = kept

    @contextmanager
    def after(self, left: Sequence[Left]) -> Iterator[None]:
        """Behind branches of which some arms never come here."""
        kept = self.trail
        self.trail = (*kept, *((each.branch, -1 - each.arm) for each in left))
        try:
            yield
        finally:
            self.trail = kept

    @contextmanager
    def returning(self) -> Iterator[None]:
        """In a loop: behind it, only what left for good has left."""
        before = len(self.left)
        yield
        self.left[before:] = [each for each in self.left[before:] if each.for_good]

    @contextmanager
    def looping(self, unordered: ast.AST | None = None) -> Iterator[None]:
        kept = self.loops, self.unordered
        self.loops += 1
        if unordered is not None:
            self.unordered = (*self.unordered, unordered)
        try:
            yield
        finally:
            self.loops, self.unordered = kept

    # What steps change

    def wrote(self, key: Key, source: Source, node: ast.AST, name: str, *, at_import: bool) -> None:
        if not self.silent:
            write = Write(source, node, name, self.boundary, at_import, self.route)
            self.writes.setdefault(key, []).append(write)

    def has_read(self, key: Key) -> None:
        """Something is looked at. What a step changed of it before is not there on a replay."""
        if self.silent or key not in self.writes:
            return
        for write in self.writes[key]:
            if write.at_import and self.in_step:
                continue  # a cache, say: steps may share what is their own affair
            if write.by is None:
                if write.at_import:
                    self.report(
                        "global-state",
                        write.source,
                        write.node,
                        f"the handler changes {write.name}, which all runs of a process share, and reads it",
                        route=write.route,
                    )
            elif not write.by.holds(self.boundary):
                self.report(
                    "mutated-in-step",
                    write.source,
                    write.node,
                    f"{write.by.what} changes {write.name}, which was made outside of it and is read there",
                    route=write.route,
                )


def exclusive(one: Use, other: Use) -> bool:
    """Whether only one of two is called."""
    return any(
        branch is other_branch and _apart(arm, other_arm)
        for branch, arm in one.trail
        for other_branch, other_arm in other.trail
    )


def _apart(arm: int, other: int) -> bool:
    """Whether two places behind a branch are never both come to: on two arms, or on one and where that (-1 - arm) never
    leads."""
    if arm < 0 or other < 0:
        return arm + other == -1
    return arm != other
