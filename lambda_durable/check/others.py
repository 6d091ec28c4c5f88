"""Calls of what others have written: Python's own functions and those of packages."""

from __future__ import annotations

import ast
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from . import catalogue
from .catalogue import words
from .expressions import Expressions
from .values import (
    NOTHING,
    App,
    AppMethod,
    Container,
    DurableStep,
    Env,
    External,
    Function,
    Kind,
    StepMethod,
    Value,
    join,
    mixed,
    of_kind,
)

MUTATORS: Final = words(
    """
    append appendleft extend extendleft insert add update remove clear discard pop popleft popitem setdefault sort
    reverse __setitem__ difference_update intersection_update symmetric_difference_update
    """
)
"""Methods that change a list, dict, set or deque."""

_SETS: Final = words("builtins.set builtins.frozenset")
_ORDERING: Final = words(
    """
    builtins.sorted builtins.len builtins.sum builtins.min builtins.max builtins.any builtins.all builtins.bool
    """
)
_CALLING: Final = words(
    """
    builtins.map builtins.filter builtins.sorted builtins.max builtins.min builtins.iter functools.reduce
    itertools.starmap itertools.filterfalse itertools.takewhile itertools.dropwhile itertools.groupby
    itertools.accumulate
    """
)
"""They call the functions that they are given, there and then."""

_COLLECTING: Final = words(
    """
    builtins.list builtins.tuple builtins.set builtins.frozenset builtins.dict builtins.iter builtins.reversed
    builtins.enumerate builtins.zip builtins.map builtins.filter builtins.next collections.deque
    collections.OrderedDict collections.defaultdict collections.Counter itertools.chain itertools.islice
    itertools.batched itertools.starmap itertools.zip_longest itertools.cycle itertools.pairwise
    itertools.chain.from_iterable itertools.groupby itertools.product copy.copy copy.deepcopy
    """
)
"""What they give holds what they were given."""

_PATHS: Final = words(
    """
    pathlib.Path.joinpath pathlib.Path.with_name pathlib.Path.with_suffix pathlib.Path.with_stem
    pathlib.Path.resolve pathlib.Path.absolute
    """
)
DECORATOR: Final = "<a decorator that gives back the function>"


class Others(Expressions):
    """Knows what functions of others do."""

    @abstractmethod
    def call_asyncio(
        self, name: str, node: ast.Call, given: Sequence[Value], named: dict[str, Value], env: Env
    ) -> Value | None: ...

    @abstractmethod
    def settle(self, value: Value) -> None: ...

    def call_external(
        self, name: str, node: ast.Call, given: Sequence[Value], named: dict[str, Value], env: Env
    ) -> Value:
        if (special := self._special(name, node, given, named, env)) is not None:
            return special
        broken = self._breaks(name, node, given, env)
        for value in [*given, *named.values()]:
            self.look(value)
            self.settle(value)
        if broken is not None:
            made = of_kind(External(_result(name), made=True))
            return replace(made.tinged(broken), unordered=name in catalogue.UNORDERED)
        return of_kind(External(_result(name), made=True)).tinged(*given, *named.values())

    def _breaks(self, name: str, node: ast.Call, given: Sequence[Value], env: Env) -> Value | None:
        """What a call outside a step does that a replay does not repeat."""
        rule = catalogue.rule_of(name)
        if name in catalogue.NEEDS_TIME and len(given) > catalogue.NEEDS_TIME[name]:
            return None
        if name in catalogue.SEEDED and given:
            return None
        if rule is None:
            if self.in_handler:
                self.report("unresolved", env.source, node, f"{_spelled(name)} is code of another project")
            return None
        if rule == catalogue.FINE:
            return None
        if self.in_handler and rule != catalogue.QUIET:
            self.report(rule, env.source, node, f"{_spelled(name)} outside a step")
        return self.origin(rule, _spelled(name).removesuffix("()"))

    def _special(
        self, name: str, node: ast.Call, given: Sequence[Value], named: dict[str, Value], env: Env
    ) -> Value | None:
        """What is known of a few: those that collect, and those that call what they are given."""
        if name.startswith("lambda_durable."):
            return self._ours(name.rpartition(".")[2], name, given, named)
        if name.startswith("asyncio."):
            return self.call_asyncio(name, node, given, named, env)
        if name in ("functools.partial", "functools.partialmethod") and given:
            return self._partial(given, named)
        if name in ("functools.wraps", "functools.lru_cache", "functools.cache", "functools.cached_property"):
            return (
                given[0] if given and name.endswith(("cache", "property")) else of_kind(External(DECORATOR))
            )
        if name == "builtins.getattr" and len(given) > 1 and (attribute := given[1].text) is not None:
            return join([self.attribute(given[0], attribute, node, env), *given[2:]])
        if name == DECORATOR:
            return join(given[:1])
        if name == "contextvars.copy_context" or name.endswith("Context.run"):
            return None
        if name in catalogue.SEEDED and (given or named):
            return NOTHING
        if name in _ORDERING:
            called = self._call_given(name, given, named, node, env)
            value = mixed([*given, called])
            if name == "builtins.sorted":
                value = self.container([self.content(each) for each in given]).tinged(called)
            if name in ("builtins.max", "builtins.min"):
                value = join([value, *(self.content(each) for each in given)])
            for each in given:
                self.look(each)
            return value.ordered()
        if name in _COLLECTING:
            return self._collect(name, given, named, node, env)
        return None

    def _collect(
        self, name: str, given: Sequence[Value], named: dict[str, Value], node: ast.Call, env: Env
    ) -> Value:
        results = self._call_given(name, given, named, node, env)
        for each in given:
            self.look(each)
        contents = [self.content(each) for each in [*given, *named.values()]]
        if name in ("builtins.map", "itertools.starmap"):
            contents = [results]
        if name == "builtins.enumerate":
            contents = [self.tuple_of([NOTHING, contents[0]], counted=True)] if contents else []
        if name in ("builtins.zip", "itertools.zip_longest", "itertools.product"):
            contents = [self.tuple_of(contents)]
        if name == "itertools.chain.from_iterable":
            contents = [self.content(each) for each in contents]
        if name == "builtins.next":
            return join([*contents, *given[1:]])
        unordered = name in _SETS or any(each.unordered for each in given)
        return replace(self.container(contents), unordered=unordered)

    def _call_given(
        self, name: str, given: Sequence[Value], named: dict[str, Value], node: ast.AST, env: Env
    ) -> Value:
        if name not in _CALLING:
            return NOTHING
        items = join(self.content(each) for each in given)
        functions = [
            value for value in [*given, *named.values()] if value.of(Function, DurableStep, External)
        ]
        with self.looping():
            return join(
                self.apply(value, [items], node, env)
                for value in functions
                if not any(isinstance(kind, External) and kind.made for kind in value.kinds)
            )

    def _ours(self, last: str, name: str, given: Sequence[Value], named: dict[str, Value]) -> Value | None:
        if last == "Durable":
            return of_kind(App())
        if name.startswith("lambda_durable.Context."):
            return Value()
        if catalogue.rule_of(name) == catalogue.FINE:
            return of_kind(External(name, made=True)).tinged(*given, *named.values())
        return None

    def _partial(self, given: Sequence[Value], named: dict[str, Value]) -> Value:
        found: list[Kind] = []
        for kind in given[0].kinds:
            if isinstance(kind, Function):
                found.append(
                    replace(kind, bound=(*kind.bound, *given[1:]), named=(*kind.named, *named.items()))
                )
            elif isinstance(kind, AppMethod) and kind.name == "function":
                found.append(kind)
            elif isinstance(kind, StepMethod):
                found.append(replace(kind, name=f"{kind.name}"))
            else:
                found.append(kind)
        return of_kind(*found).tinged(*given[1:])

    def on_container(
        self, owner: Container, name: str, given: Sequence[Value], named: dict[str, Value]
    ) -> Value:
        added = join([*given, *named.values()])
        if name in MUTATORS and added is not NOTHING:
            grown = join([owner.content, added])
            if name in ("extend", "update", "extendleft"):
                grown = join([grown, *(self.content(value) for value in given)])
            owner.content = grown
        if name == "items":
            return self.container([self.tuple_of([owner.content, owner.content])])
        if name in ("keys", "values", "copy"):
            return self.container([owner.content])
        if name in ("union", "intersection", "difference", "symmetric_difference"):
            return replace(self.container([owner.content, *map(self.content, given)]), unordered=True)
        if name in ("get", "pop", "popleft", "setdefault", "popitem", "__getitem__", "most_common"):
            return join([owner.content, *given[1:]])
        return mixed([owner.content, *given])


def _spelled(name: str) -> str:
    return f"{name.removeprefix('builtins.').removesuffix('.__call__')}()"


def _result(name: str) -> str:
    """What a call gives is named after it; what a method of that gives, after both."""
    if name in _PATHS:
        return "pathlib.Path"
    return name if name.count(".") < 8 else name.partition(".")[0]
