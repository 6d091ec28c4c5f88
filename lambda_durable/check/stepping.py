"""Steps: what `ctx.step` is asked to do, under which id, and what runs in it."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from .frames import Scope, Use, exclusive
from .values import (
    NOTHING,
    Boundary,
    BoundMethod,
    Container,
    Deferred,
    DurableStep,
    Env,
    External,
    Function,
    Handler,
    Kind,
    StepMethod,
    Steps,
    Value,
    join,
    of_kind,
)
from .waiting import Waiting, is_true

_RUNS: Final = {"run", "submit", "poll"}
_GROUPS: Final = {"group", "map_group", "parallel"}
_METHODS: Final = {
    *_RUNS,
    *_GROUPS,
    *("map", "sleep", "sleep_until", "wait_for_event", "wait_for_signal", "wait_for_callback", "send_signal"),
    *("invoke", "transact", "send_event"),
}
_SURE: Final = {"sleep", "sleep_until", "wait_for_event"}
"""They do not fail."""


class Stepping(Waiting):
    """Looks into steps and groups."""

    def call_step(
        self, kind: StepMethod, node: ast.Call, given: Sequence[Value], named: dict[str, Value], env: Env
    ) -> Value:
        name = kind.name
        if name == "options":
            self._undo(named, node, env)
            return of_kind(Steps(kind.is_async))
        if name == "wait":
            return self._wait(node, given, env)
        if name not in _METHODS:
            return NOTHING
        if self.in_step and not self.silent:
            assert self.boundary is not None
            self.report("nested-step", env.source, node, f"a step is called inside {self.boundary.what}")
            return NOTHING
        id = named.get("id", given[0] if given else NOTHING)
        shown = self._name(name, id, node, env)
        rest, words = list(given[1:]), {word: value for word, value in named.items() if word != "id"}
        self.events += 1
        result = self._inside(name, shown, rest, words, node, env)
        if name in ("map", "map_group") and len(rest) > 1:
            self._check_items(name, node, rest[1], env)
        if name in ("map", "map_group", "parallel"):
            result = self.container([result])
            if is_true(node, "return_exceptions") and getattr(node, "discarded", False) and not kind.is_async:
                self._hides(node, env)
        if name == "submit" or kind.is_async:
            what = "future" if name == "submit" else "step"
            deferred = self.begun(what, node, env, can_fail=name not in _SURE)
            self.results[deferred] = result
            if kind.is_async and name in ("map", "map_group") and is_true(node, "return_exceptions"):
                self.hiding.add(deferred)
            return of_kind(deferred)
        return result

    def _hides(self, node: ast.AST, env: Env) -> None:
        if self.in_handler:
            message = "with return_exceptions=True failures are among the results, which nobody takes"
            self.report("ignored-failure", env.source, node, message)

    def call_durable(
        self, step: DurableStep, node: ast.AST, given: Sequence[Value], named: dict[str, Value], env: Env
    ) -> Value:
        """A call of what `@app.step` made: a step in a handler, and none elsewhere."""
        if self.silent:
            return NOTHING
        if self.in_step:
            assert self.boundary is not None
            message = f"step {step.id!r} is called inside {self.boundary.what}"
            self.report("nested-step", env.source, node, message)
            return NOTHING
        self._name_as("step", step.id, NOTHING, node, env)
        self.events += 1
        result = self._in_step(f"step {step.id!r}", [of_kind(step.function)], given, named, node, env)
        if not step.function.is_async:
            return result
        deferred = self.begun("step", node, env)
        self.results[deferred] = result
        return of_kind(deferred)

    # Ids

    def _name(self, method: str, id: Value, node: ast.Call, env: Env) -> str:
        what = "group" if method in _GROUPS else "step"
        shown = self._name_as(what, id.text, id, node, env)
        self.look(id)
        return shown

    def _name_as(self, what: str, text: str | None, id: Value, node: ast.AST, env: Env) -> str:
        for origin in id.origins:
            message = f"the id of a {what} is made of {_named(origin.name)}"
            self.report("computed-id", env.source, node, message)
        for loop in self.unordered:
            if loop not in id.items:
                self.report(
                    "unordered", env.source, node, "steps are called in the order of a set, or of a listing"
                )
        if text is None:
            return f"a {what}"
        use = Use(env.source, node, self.task, self.trail)
        uses = self.scope.ids.setdefault(text, [])
        self._check_twice(text, use, uses, env)
        uses.append(use)
        return f"{what} {text!r}"

    def _check_twice(self, text: str, use: Use, uses: list[Use], env: Env) -> None:
        if use.task.many:
            message = f"several tasks of one scope call a step {text!r}, which is a DuplicateStepError"
            self.report("duplicate-id", env.source, use.node, message)
            return
        for other in uses:
            if exclusive(use, other) or (other.node, use.node) in self.twice:
                continue
            if other.task is not use.task:
                message = f"two tasks of one scope call a step {text!r}, which is a DuplicateStepError"
            elif other.node is not use.node:
                message = f"the id {text!r} is used in line {getattr(other.node, 'lineno', 0)}, too"
                if other.source is not use.source:
                    message = f"{message} of {other.source.shown}"
            else:
                continue
            self.twice.add((use.node, other.node))
            self.report("duplicate-id", env.source, use.node, message)
            return

    def _check_items(self, method: str, node: ast.Call, items: Value, env: Env) -> None:
        if not items.unordered or any(word.arg == "key" for word in node.keywords):
            return
        message = f"{method} without key= goes through a set, or a listing, in no certain order"
        self.report("unordered", env.source, node, message)

    # What runs in them

    def _inside(
        self, method: str, shown: str, given: list[Value], named: dict[str, Value], node: ast.Call, env: Env
    ) -> Value:
        """What a step or group gives. Its result is kept, and is the same on every replay."""
        if method in _GROUPS:
            return self._groups(method, shown, given, named, node, env)
        if method in _RUNS or method == "map":
            functions, arguments = given[:1], given[1:]
            if method == "map":
                arguments = [self.content(value) for value in given[1:2]]
                self._call_key(named, arguments, node, env)
            words = {
                word: value for word, value in named.items() if word not in ("until", "every", "timeout")
            }
            if method in ("map",):
                words = {}
            result = self._in_step(shown, functions, arguments, words, node, env)
            if "until" in named:
                self._in_step(shown, [named["until"]], [result], {}, node, env)
            return result
        if method == "wait_for_callback":
            submit = [*given[:1], *([named["submit"]] if "submit" in named else [])]
            self._in_step(shown, submit, [NOTHING], {}, node, env)
        else:
            for value in [*given, *named.values()]:
                self.look(value)
        return self.new_thing() if method in ("wait_for_event", "wait_for_callback", "invoke") else NOTHING

    def _in_step(
        self,
        shown: str,
        functions: Sequence[Value],
        given: Sequence[Value],
        named: dict[str, Value],
        node: ast.AST,
        env: Env,
    ) -> Value:
        boundary = Boundary(shown, self.boundary, is_step=True)
        known = False
        with self.within(boundary):
            for value in functions:
                for kind in value.kinds:
                    function = kind.function if isinstance(kind, (DurableStep, Handler)) else kind
                    if isinstance(function, Function):
                        self.follow(function, given, named)
                        known = True
                    elif not isinstance(kind, External):
                        self.apply(of_kind(kind), given, node, env)
        if not known:  # it may look at whatever it is given
            for value in [*given, *named.values()]:
                self.look(value)
        return self.new_thing()

    def _groups(
        self, method: str, shown: str, given: list[Value], named: dict[str, Value], node: ast.Call, env: Env
    ) -> Value:
        functions, arguments, words = given[:1], given[1:], named
        if method == "parallel":
            functions, arguments, words = given, [], {}
        if method == "map_group":
            arguments, words = [self.content(value) for value in given[1:2]], {}
            self._call_key(named, arguments, node, env)
        results = []
        for function in functions:
            boundary = Boundary(shown, self.boundary, is_step=False)
            with self.within(boundary, scope=Scope()):
                results.append(self._group(function, arguments, words, node, env))
        made = join(results)
        return replace(self.new_thing(), kinds=_plain(made))

    def _group(
        self, function: Value, given: list[Value], named: dict[str, Value], node: ast.Call, env: Env
    ) -> Value:
        found = []
        for kind in function.kinds:
            if isinstance(kind, Function):
                value = self.follow(kind, given, named)
                found.append(self.wait_for(value))
            elif isinstance(kind, DurableStep):
                found.append(self.call_durable(kind, node, given, named, env))
            elif isinstance(kind, (External, BoundMethod)) and self.in_handler:
                message = "the code of this group is not of the project"
                self.report("unresolved", env.source, node, message)
        if not function.kinds and self.in_handler:
            self.report("unresolved", env.source, node, "which function this group runs is not known")
        return join(found)

    def _call_key(self, named: dict[str, Value], items: Sequence[Value], node: ast.AST, env: Env) -> None:
        """`key` is called by the handler, on every replay."""
        if "key" not in named:
            return
        key = self.apply(named["key"], items, node, env)
        for origin in key.origins:
            self.report("computed-id", env.source, node, f"key= is made of {_named(origin.name)}")

    def _undo(self, named: dict[str, Value], node: ast.Call, env: Env) -> None:
        if "undo" in named:
            self._in_step("an undo", [named["undo"]], [NOTHING], {}, node, env)

    def _wait(self, node: ast.Call, given: Sequence[Value], env: Env) -> Value:
        """`step.wait`: both of what it gives hold futures."""
        self.events += 1
        futures = [kind for value in given[:1] for kind in _futures(value)]
        if not getattr(node, "discarded", False):
            for future in futures:
                future.waited = True
        if not futures and self.in_handler and given and not given[0].kinds:
            self.report("unresolved", env.source, node, "which steps this waits for is not known")
        return self.container([self.container([of_kind(*futures)])])


def _futures(value: Value) -> list[Deferred]:
    found = [kind for kind in value.kinds if isinstance(kind, Deferred)]
    for kind in value.kinds:
        if isinstance(kind, Container):
            found += [inner for inner in kind.content.kinds if isinstance(inner, Deferred)]
    return found


def _plain(value: Value) -> tuple[Kind, ...]:
    """What of a group's result comes back: it is kept as data."""
    return tuple(kind for kind in value.kinds if not isinstance(kind, (Deferred, Container)))


def _named(name: str) -> str:
    return name if "." in name and name.startswith("ctx") else f"{name}()"
