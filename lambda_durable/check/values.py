"""What the check knows of a value: what it may be, and where it comes from. No code is run."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from .sources import Source

AnyFunction = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


@dataclass(frozen=True, slots=True)
class Origin:
    """What makes a value another one on a replay: a call of `name`, which breaks `rule` (none: by itself, nothing)."""

    rule: str
    name: str
    at_import: bool = False


def own_nodes(body: Sequence[ast.stmt]) -> list[ast.AST]:
    """All nodes, but for those of functions that are defined there."""
    found: list[ast.AST] = []
    open_: list[ast.AST] = list(body)
    while open_:
        node = open_.pop()
        found.append(node)
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            open_.extend(ast.iter_child_nodes(node))
    return found


@cache
def _generates(node: ast.AsyncFunctionDef) -> bool:
    return any(isinstance(each, ast.Yield) for each in own_nodes(node.body))


class Boundary:
    """A step or group at work. What happens in it does not happen again once it is done."""

    def __init__(self, what: str, outer: Boundary | None, *, is_step: bool) -> None:
        self.what = what
        self.outer = outer
        self.is_step = is_step

    def holds(self, other: Boundary | None) -> bool:
        """Whether another one is this one, or lies in it."""
        while other is not None:
            if other is self:
                return True
            other = other.outer
        return False


class Kind:
    """One thing that a value may be."""

    __slots__ = ()


class Thing(Kind):
    """What can be changed in place, told apart by where it was made."""

    __slots__ = ("at_import", "home")

    def __init__(self, home: Boundary | None, *, at_import: bool = False) -> None:
        self.home = home
        self.at_import = at_import


class Container(Thing):
    """A list, dict, set, tuple: what is in it, all taken together; of a tuple its `parts`, too. Where it is `counted`,
    the first of them is an index."""

    __slots__ = ("content", "counted", "parts")

    def __init__(self, content: Value, home: Boundary | None, *, at_import: bool = False) -> None:
        super().__init__(home, at_import=at_import)
        self.content = content
        self.parts: tuple[Value, ...] = ()
        self.counted = False


class Instance(Thing):
    """What a class of the project has made."""

    __slots__ = ("attributes", "of")

    def __init__(self, of: Class, home: Boundary | None, *, at_import: bool = False) -> None:
        super().__init__(home, at_import=at_import)
        self.of = of
        self.attributes: dict[str, Value] = {}


@dataclass(frozen=True, slots=True)
class Text(Kind):
    text: str


@dataclass(frozen=True, slots=True)
class External(Kind):
    """Something that another project defines; with `made`, what a call of it gave."""

    name: str
    made: bool = False


@dataclass(frozen=True, slots=True)
class ProjectModule(Kind):
    env: Env


@dataclass(frozen=True, slots=True)
class Function(Kind):
    """A function of the project, with what is bound to its first parameters."""

    node: AnyFunction
    env: Env
    defaults: tuple[tuple[str, Value], ...] = ()
    bound: tuple[Value, ...] = ()
    named: tuple[tuple[str, Value], ...] = ()

    @property
    def name(self) -> str:
        return "lambda" if isinstance(self.node, ast.Lambda) else self.node.name

    @property
    def is_async(self) -> bool:
        """Whether a call gives a coroutine; that of an async generator does not."""
        return isinstance(self.node, ast.AsyncFunctionDef) and not _generates(self.node)


@dataclass(frozen=True, slots=True)
class Class(Kind):
    node: ast.ClassDef
    env: Env
    body: Env


@dataclass(frozen=True, slots=True)
class App(Kind):
    """A `Durable`."""


@dataclass(frozen=True, slots=True)
class AppMethod(Kind):
    """`app.function`, `app.step` or `checkout.on_failure`."""

    name: str


@dataclass(frozen=True, slots=True)
class Decorator(Kind):
    """What makes a function a handler or a step, under an id if one was given."""

    name: str
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Handler(Kind):
    """A function that a run executes."""

    function: Function
    id: str


@dataclass(frozen=True, slots=True)
class DurableStep(Kind):
    """What `@app.step` made."""

    function: Function
    id: str


@dataclass(frozen=True, slots=True)
class Ctx(Kind):
    """The context of a handler."""

    is_async: bool


@dataclass(frozen=True, slots=True)
class Steps(Kind):
    """`ctx.step`."""

    is_async: bool


@dataclass(frozen=True, slots=True)
class StepMethod(Kind):
    name: str
    is_async: bool


class Deferred(Kind):
    """What was begun or is yet to begin: a coroutine, a task, the future of a submitted step."""

    __slots__ = ("can_fail", "function", "many", "node", "settled", "source", "waited", "what")

    def __init__(
        self, what: str, source: Source, node: ast.AST, *, many: bool, can_fail: bool = True
    ) -> None:
        self.what = what  # "coroutine", "step", "future", "task"
        self.source = source
        self.node = node
        self.many = many  # it is made in a loop
        self.can_fail = can_fail
        self.function: tuple[Function, list[Value], dict[str, Value]] | None = (
            None  # what is yet to be called
        )
        self.settled = False  # somebody sees how it ends
        self.waited = False  # somebody waits until it has


class BoundMethod(Kind):
    """A method of a list, a future or the like."""

    __slots__ = ("name", "owner")

    def __init__(self, owner: Container | Deferred, name: str) -> None:
        self.owner = owner
        self.name = name


@dataclass(frozen=True, slots=True)
class Value:
    """What an expression may be.

    `origins` make it another one on each replay. `things` are those that it is, or is a part of. `items` are the
    loops over something without an order of which it is an item; `unordered`: it has no order itself.
    """

    kinds: tuple[Kind, ...] = ()
    origins: tuple[Origin, ...] = ()
    things: frozenset[Thing] = frozenset()
    items: frozenset[ast.AST] = frozenset()
    unordered: bool = False

    def of(self, *types: type[Kind]) -> list[Kind]:
        return [kind for kind in self.kinds if isinstance(kind, types)]

    @property
    def text(self) -> str | None:
        """The text that it is, if it is one."""
        if len(self.kinds) != 1:
            return None
        kind = self.kinds[0]
        return kind.text if isinstance(kind, Text) else None

    def alone(self) -> Value:
        """Where it comes from, whatever it is."""
        return Value(origins=self.origins, items=self.items)

    def tinged(self, *others: Value) -> Value:
        """The same, made with the help of others."""
        source = mixed(others)
        return replace(self, origins=_unique(self.origins, source.origins), items=self.items | source.items)

    def ordered(self) -> Value:
        return replace(self, unordered=False) if self.unordered else self


NOTHING = Value()

T = TypeVar("T")


def _unique(*several: Iterable[T]) -> tuple[T, ...]:
    """Each once, in the order in which they came: the check is to say the same every time."""
    return tuple(dict.fromkeys(each for one in several for each in one))


def of_kind(*kinds: Kind) -> Value:
    return Value(_unique(kinds), things=frozenset(kind for kind in kinds if isinstance(kind, Thing)))


def join(values: Iterable[Value]) -> Value:
    """What is one of several."""
    listed = [value for value in values if value is not NOTHING]
    if not listed or all(value is listed[0] for value in listed):
        return listed[0] if listed else NOTHING
    return Value(
        _unique(*(value.kinds for value in listed)),
        _unique(*(value.origins for value in listed)),
        frozenset().union(*(value.things for value in listed)),
        frozenset().union(*(value.items for value in listed)),
        any(value.unordered for value in listed),
    )


def mixed(values: Iterable[Value]) -> Value:
    """What is computed from several, and is none of them."""
    listed = list(values)
    return Value(
        origins=_unique(*(value.origins for value in listed)),
        items=frozenset().union(*(value.items for value in listed)),
    )


@dataclass(eq=False, slots=True)
class Env:
    """The names of a module, class or call."""

    source: Source
    outer: Env | None = None
    names: dict[str, Value] = field(default_factory=dict)
    is_class: bool = False
    home: Boundary | None = None
    elsewhere: set[str] = field(default_factory=set)  # declared global or nonlocal
    stars: list[str] = field(default_factory=list)  # modules of others, all of whose names are imported

    @property
    def is_module(self) -> bool:
        return self.outer is None

    @property
    def module(self) -> Env:
        env = self
        while env.outer is not None:
            env = env.outer
        return env

    def owner(self, name: str) -> Env | None:
        """The one that has a name, from here outwards."""
        env: Env | None = self
        while env is not None:
            if name in env.names and (env is self or not env.is_class):
                return env
            env = env.outer
        return None
