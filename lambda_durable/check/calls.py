"""Calls, followed into the project's own functions."""

from __future__ import annotations

import ast
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from .expressions import YIELDED, decorators_of
from .frames import DEEPEST
from .others import MUTATORS, Others
from .values import (
    NOTHING,
    AppMethod,
    BoundMethod,
    Class,
    Container,
    Ctx,
    Decorator,
    Deferred,
    DurableStep,
    Env,
    External,
    Function,
    Handler,
    Instance,
    Kind,
    StepMethod,
    Steps,
    Text,
    Value,
    join,
    mixed,
    of_kind,
)

RETURNED: Final = "<returned>"
_TAKING: Final = ("pop", "popleft", "popitem", "setdefault")
"""Those of the methods that change something which also give something back."""


class Calls(Others):
    """Follows calls as far as they lead to code of the project."""

    @abstractmethod
    def execute(self, body: Sequence[ast.stmt], env: Env) -> bool: ...

    @abstractmethod
    def call_step(
        self, kind: StepMethod, node: ast.Call, given: Sequence[Value], named: dict[str, Value], env: Env
    ) -> Value: ...

    @abstractmethod
    def call_durable(
        self, step: DurableStep, node: ast.AST, given: Sequence[Value], named: dict[str, Value], env: Env
    ) -> Value: ...

    @abstractmethod
    def call_deferred(self, method: BoundMethod, node: ast.Call, env: Env) -> Value: ...

    @abstractmethod
    def defer(
        self, function: Function, given: Sequence[Value], named: dict[str, Value], node: ast.AST, env: Env
    ) -> Value: ...

    @abstractmethod
    def decorate(self, decorator: Decorator, function: Value, node: ast.AST, env: Env) -> Value: ...

    def evaluate_call(self, node: ast.Call, env: Env) -> Value:
        discarded = getattr(node, "discarded", False)
        callee = self.evaluate(node.func, env)
        if isinstance(node.func, ast.Attribute):
            self._method(node, node.func, discarded=discarded, env=env)
        given: list[Value] = []
        for argument in node.args:
            value = self.evaluate(argument, env)
            given.append(value)
        named = {word.arg or "**": self.evaluate(word.value, env) for word in node.keywords}
        return self.call(node, callee, given, named, env)

    def _method(self, node: ast.Call, func: ast.Attribute, *, discarded: bool, env: Env) -> None:
        """A method of something may change it, and looks at it if it gives something back."""
        base = self.evaluate_quietly(func.value, env)
        if func.attr in MUTATORS and not _is_of_others(base):
            self.changed(func.value, base, node, env)
            if discarded or func.attr not in _TAKING:
                return
        if not any(isinstance(kind, (Ctx, Steps)) for kind in base.kinds):
            self.look(base)

    def evaluate_quietly(self, node: ast.expr, env: Env) -> Value:
        """A name or attribute, evaluated once more: nothing is told again."""
        if not isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)):
            return NOTHING
        kept, self.silent = self.silent, True
        try:
            return self.evaluate(node, env)
        finally:
            self.silent = kept

    def changed(self, target: ast.expr, value: Value, node: ast.AST, env: Env) -> None:
        """Something is changed in place: what a step changes outside of itself is not changed on a replay."""
        name = f"`{ast.unparse(target)}`"
        for thing in value.things:
            outer = self.boundary is not None and not self.boundary.holds(thing.home)
            if outer or (self.boundary is None and thing.at_import):
                self.wrote(thing, env.source, node, name, at_import=thing.at_import)

    # What is called

    def call(
        self, node: ast.Call, callee: Value, given: Sequence[Value], named: dict[str, Value], env: Env
    ) -> Value:
        found = []
        kinds = [
            kind for kind in callee.kinds if not isinstance(kind, Text)
        ]  # the keys of a dict of functions
        for kind in kinds[:8]:
            found.append(self._call_one(kind, node, given, named, env))
        if not kinds:
            found.append(self._unknown(node, callee, given, named, env))
        return join([*found, callee.alone()])

    def _call_one(
        self, kind: Kind, node: ast.Call, given: Sequence[Value], named: dict[str, Value], env: Env
    ) -> Value:
        match kind:
            case Function():
                if kind.is_async:
                    return self.defer(kind, given, named, node, env)
                if decorators_of(kind) & {"cache", "lru_cache"}:
                    return self._follow_once(kind, given, named, node, env)
                return self.follow(kind, given, named)
            case Class():
                return self._instantiate(kind, given, named)
            case StepMethod():
                return self.call_step(kind, node, given, named, env)
            case DurableStep():
                return self.call_durable(kind, node, given, named, env)
            case BoundMethod(owner=Deferred()):
                return self.call_deferred(kind, node, env)
            case BoundMethod(owner=Container() as owner):
                return self.on_container(owner, kind.name, given, named)
            case AppMethod(name):
                return self._app_method(name, given, named, node, env)
            case Decorator():
                return self.decorate(kind, join(given[:1]), node, env)
            case Handler():
                return NOTHING
            case External(name) if name.startswith("lambda_durable.Context.event"):
                return self._unknown(node, NOTHING, given, named, env)
            case External(name, made):
                return self.call_external(f"{name}.__call__" if made else name, node, given, named, env)
            case Instance():
                method = self.attribute(of_kind(kind), "__call__", node, env)
                return self.call(node, method, given, named, env) if method.kinds else NOTHING
        return self._unknown(node, NOTHING, given, named, env)

    def apply(self, callee: Value, given: Sequence[Value], node: ast.AST, env: Env) -> Value:
        """A call that the code does not spell out: of a property, of what sorts."""
        found = []
        for kind in callee.kinds:
            if isinstance(kind, Function):
                found.append(
                    self.defer(kind, given, {}, node, env) if kind.is_async else self.follow(kind, given, {})
                )
            elif isinstance(kind, DurableStep):
                found.append(self.call_durable(kind, node, given, {}, env))
            elif isinstance(kind, External):
                at = ast.Call(func=ast.Name(id=kind.name), args=[], keywords=[])
                ast.copy_location(at, node)
                found.append(self.call_external(kind.name, at, given, {}, env))
        return join(found)

    def follow(self, function: Function, given: Sequence[Value], named: dict[str, Value]) -> Value:
        """What a function of the project gives; its code is looked at as if it stood here."""
        if len(self.stack) >= DEEPEST and function.node not in self.stack:
            source, node = function.env.source, function.node
            self.report("unresolved", source, node, "so deep in calls of one another, code is not looked at")
        if function.node in self.stack or len(self.stack) >= DEEPEST:
            return mixed([*given, *named.values()])
        env = Env(function.env.source, function.env, home=self.boundary)
        env.names.update(function.defaults)
        self._bind_parameters(function, [*function.bound, *given], {**dict(function.named), **named}, env)
        kept = self.stack, self.route, self.left
        self.stack, self.left = (*self.stack, function.node), []
        if not isinstance(function.node, ast.Lambda):
            self.route = (*self.route, function.name)
        try:
            if isinstance(function.node, ast.Lambda):
                return self.evaluate(function.node.body, env)
            self.execute(function.node.body, env)
        finally:
            self.stack, self.route, self.left = kept
        results = env.names.get(RETURNED, NOTHING)
        if YIELDED in env.names:
            return self.container([env.names[YIELDED]])
        return results

    def _follow_once(
        self, function: Function, given: Sequence[Value], named: dict[str, Value], node: ast.AST, env: Env
    ) -> Value:
        """What a function gives that is called once in each process, as if at import."""
        with self.importing():
            value = self.follow(function, given, named)
        self.differs_by_process(value, f"{function.name}()", node, env)
        return value

    def _bind_parameters(
        self, function: Function, given: Sequence[Value], named: dict[str, Value], env: Env
    ) -> None:
        arguments = function.node.args
        listed = [*arguments.posonlyargs, *arguments.args]
        for argument, value in zip(listed, given, strict=False):
            env.names[argument.arg] = value
        rest = self.container(given[len(listed) :]) if arguments.vararg else NOTHING
        if arguments.vararg:
            env.names[arguments.vararg.arg] = rest
        others = dict(named)
        for argument in [*listed, *arguments.kwonlyargs]:
            if argument.arg in others:
                env.names[argument.arg] = others.pop(argument.arg)
        if "**" in others:
            spread = self.content(others["**"])
            for argument in [*listed, *arguments.kwonlyargs]:
                env.names.setdefault(argument.arg, spread)
        if arguments.kwarg:
            env.names[arguments.kwarg.arg] = self.container(list(others.values()))
        starred = any(isinstance(kind, Ctx) for value in given for kind in value.kinds)
        for argument in [*listed, *arguments.kwonlyargs]:
            value = env.names.get(argument.arg, NOTHING)
            declared = self.annotated(argument.annotation, function.env)
            if declared is not NOTHING and not any(isinstance(kind, (Ctx, Steps)) for kind in value.kinds):
                value = join([value, declared])
            elif not value.kinds and not starred and declared is not NOTHING:
                value = declared
            env.names[argument.arg] = value

    def annotated(self, annotation: ast.expr | None, env: Env) -> Value:
        """A parameter that is said to be a context, or its steps."""
        if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
            try:
                annotation = ast.parse(annotation.value, mode="eval").body
            except SyntaxError:
                return NOTHING
        if isinstance(annotation, ast.Subscript):
            annotation = annotation.value
        if not isinstance(annotation, (ast.Name, ast.Attribute)):
            return NOTHING
        kept, self.silent = self.silent, True
        try:
            value = self.evaluate(annotation, env)
        finally:
            self.silent = kept
        for kind in value.kinds:
            if isinstance(kind, External) and kind.name.startswith("lambda_durable."):
                match kind.name.rpartition(".")[2]:
                    case "Context" | "AsyncContext" as name:
                        return of_kind(Ctx(name == "AsyncContext"))
                    case "Step" | "AsyncStep" as name:
                        return of_kind(Steps(name == "AsyncStep"))
        return NOTHING

    def _instantiate(self, of: Class, given: Sequence[Value], named: dict[str, Value]) -> Value:
        instance = Instance(of, self.boundary, at_import=self.silent)
        made = of_kind(instance)
        initialize = self._in_class(of, "__init__")
        for kind in initialize.of(Function):
            assert isinstance(kind, Function)
            self.follow(replace(kind, bound=(made,)), given, named)
        if not initialize.kinds:
            fields = [
                each.target.id
                for each in of.node.body
                if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
            ]
            instance.attributes.update(zip(fields, given, strict=False))
            instance.attributes.update({name: value for name, value in named.items() if name != "**"})
        return made.tinged(*given, *named.values())

    def _app_method(
        self, name: str, given: Sequence[Value], named: dict[str, Value], node: ast.Call, env: Env
    ) -> Value:
        if name == "function":
            return of_kind(Decorator("function", join([*given[:1], named.get("id", NOTHING)]).text))
        if name == "step" and not given:
            return of_kind(Decorator("step", named.get("id", NOTHING).text))
        return self.decorate(Decorator(name), join(given[:1]), node, env)

    def _unknown(
        self, node: ast.Call, callee: Value, given: Sequence[Value], named: dict[str, Value], env: Env
    ) -> Value:
        """A call that leads nowhere known."""
        passed = [*given, *named.values()]
        for value in passed:
            self.look(value)
            self.settle(value)
        if self.in_handler and any(value.of(Ctx, Steps) for value in passed):
            self.report(
                "unresolved",
                env.source,
                node,
                f"{ast.unparse(node.func)}() takes the context, and which function it is, is not known",
            )
        return mixed([callee, *passed])


def _is_of_others(value: Value) -> bool:
    """Whether `add` and the like mean what its class says, and not a change of a list or set."""
    return any(
        isinstance(kind, Instance)
        or (isinstance(kind, External) and not kind.name.startswith("lambda_durable.Context.event"))
        for kind in value.kinds
    )
