"""What expressions give, and what reading them means."""

from __future__ import annotations

import ast
import builtins
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from . import catalogue
from .frames import Frames
from .project import Project
from .values import (
    NOTHING,
    App,
    AppMethod,
    BoundMethod,
    Class,
    Container,
    Ctx,
    Deferred,
    Env,
    External,
    Function,
    Handler,
    Instance,
    Kind,
    Origin,
    ProjectModule,
    StepMethod,
    Steps,
    Text,
    Thing,
    Value,
    join,
    mixed,
    of_kind,
)

STABLE: Final = {"event", "events", "run_id", "function_id", "started_at", "now", "random", "logger"}
"""What of a context is the same on every replay."""

Comprehension = ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp


class Expressions(Frames):
    """Evaluates expressions, without running anything."""

    def __init__(self, project: Project) -> None:
        super().__init__()
        self.project = project
        self.modules: dict[object, Env] = {}

    @abstractmethod
    def call(
        self, node: ast.Call, callee: Value, given: Sequence[Value], named: dict[str, Value], env: Env
    ) -> Value: ...

    @abstractmethod
    def evaluate_call(self, node: ast.Call, env: Env) -> Value: ...

    @abstractmethod
    def apply(self, callee: Value, given: Sequence[Value], node: ast.AST, env: Env) -> Value: ...

    @abstractmethod
    def wait_for(self, value: Value) -> Value: ...

    @abstractmethod
    def branch_depends(
        self, node: ast.AST, condition: Value, events: int, env: Env, *, left: bool
    ) -> None: ...

    def evaluate(self, node: ast.expr | None, env: Env) -> Value:
        """What an expression may be; tells of what goes wrong in it."""
        if node is None:
            return NOTHING
        self.count()
        method = getattr(self, f"_{type(node).__name__}", None)
        if method is None:
            return self._parts(node, env)
        value = method(node, env)
        assert isinstance(value, Value)
        return value

    def read(self, node: ast.expr, env: Env) -> Value:
        """An expression whose value is looked at."""
        value = self.evaluate(node, env)
        self.look(value)
        return value

    def look(self, value: Value) -> None:
        """All of it is looked at."""
        if not self.writes:
            return
        open_, seen = list(value.things), set(value.things)
        while open_:
            thing = open_.pop()
            self.has_read(thing)
            within = thing.content.things - seen if isinstance(thing, Container) else frozenset()
            seen |= within
            open_ += within

    def _parts(self, node: ast.AST, env: Env) -> Value:
        values = [
            self.read(child, env) for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)
        ]
        return mixed(values)

    # Names and attributes

    def _Name(self, node: ast.Name, env: Env) -> Value:
        owner = env.owner(node.id)
        if owner is None:
            return self._mentioned(node, of_kind(self._builtin(node.id, env)), env)
        self.has_read((owner, node.id))
        value = owner.names[node.id]
        if owner.is_module and self.in_handler:
            self.differs_by_process(value, node.id, node, env)
        return self._mentioned(node, value, env)

    def _builtin(self, name: str, env: Env) -> External:
        """A name that nothing here defines: Python's own, or from a module that was imported with a star."""
        if env.module.stars and not hasattr(builtins, name):
            return External(f"{env.module.stars[-1]}.{name}")
        return External(f"builtins.{name}")

    def differs_by_process(self, value: Value, name: str, node: ast.AST, env: Env) -> None:
        """Tell of what was made once in each process, such as at import, if each makes another."""
        for origin in value.origins:
            if self.in_handler and origin.at_import and origin.rule in ("clock", "random", "uuid"):
                message = f"{name} is made by {origin.name}() once in each process: another has another"
                self.report(origin.rule, env.source, node, message)

    def _mentioned(self, node: ast.expr, value: Value, env: Env) -> Value:
        """To name os.environ is to read it."""
        for kind in value.kinds:
            if isinstance(kind, External) and not kind.made and kind.name in catalogue.READ_BY_NAME:
                if self.in_handler:
                    self.report("environment", env.source, node, f"{kind.name} is read outside a step")
                return value.tinged(self.origin("environment", kind.name))
        return value

    def origin(self, rule: str, name: str) -> Value:
        """That a value comes from something which differs. Settings that are read at import are the code's own."""
        if self.silent and rule == "environment":
            return NOTHING
        return Value(origins=(Origin(rule, name, at_import=self.silent),))

    def _Attribute(self, node: ast.Attribute, env: Env) -> Value:
        base = self.evaluate(node.value, env)
        return self._mentioned(node, self.attribute(base, node.attr, node, env), env)

    def attribute(self, base: Value, name: str, node: ast.AST, env: Env) -> Value:
        """What an attribute of a value is."""
        found = [self._attribute_of(kind, name, node, env) for kind in base.kinds]
        value = join(found).tinged(base)
        parts = frozenset() if base.of(Container) else base.things
        return replace(value, things=value.things | parts)

    def _attribute_of(self, kind: Kind, name: str, node: ast.AST, env: Env) -> Value:
        match kind:
            case External(whole, made):
                if made and whole == "pathlib.Path" and name == "parent":
                    return of_kind(kind)
                return of_kind(External(f"{whole}.{name}"))
            case ProjectModule(module):
                return self._of_module(module, name)
            case Ctx(is_async):
                return self._of_context(name, node, env, is_async=is_async)
            case Steps(is_async):
                return of_kind(StepMethod(name, is_async))
            case App():
                return of_kind(AppMethod(name)) if name in ("function", "step") else NOTHING
            case Handler(_, id):
                return (
                    of_kind(AppMethod(name))
                    if name == "on_failure"
                    else of_kind(Text(id))
                    if name == "id"
                    else NOTHING
                )
            case Instance():
                return self._of_instance(kind, name, node, env)
            case Class(_, _, body):
                return body.names.get(name, NOTHING)
            case Container():
                return of_kind(BoundMethod(kind, name))
            case Deferred():
                return of_kind(BoundMethod(kind, name))
        return NOTHING

    def _of_module(self, module: Env, name: str) -> Value:
        if name in module.names:
            return module.names[name]
        submodule = self.project.find(name, level=1, importer=module.source) if _is_package(module) else None
        return of_kind(ProjectModule(self.module(submodule))) if submodule is not None else NOTHING

    def _of_context(self, name: str, node: ast.AST, env: Env, *, is_async: bool) -> Value:
        if name in ("step", "continue_as_new"):
            if self.in_step and not self.silent:
                assert self.boundary is not None
                self.report(
                    "nested-step", env.source, node, f"ctx.{name} is used inside {self.boundary.what}"
                )
            return of_kind(Steps(is_async)) if name == "step" else NOTHING
        if name == "attempt":
            return self.origin(catalogue.QUIET, "ctx.attempt")
        value = of_kind(External(f"lambda_durable.Context.{name}")) if name in STABLE else NOTHING
        return replace(value, things=frozenset({self.event})) if name in ("event", "events") else value

    def _of_instance(self, instance: Instance, name: str, node: ast.AST, env: Env) -> Value:
        if name in instance.attributes:
            return instance.attributes[name]
        found = self._in_class(instance.of, name)
        bound = []
        for kind in found.kinds:
            if not isinstance(kind, Function):
                bound.append(of_kind(kind))
                continue
            words = decorators_of(kind)
            method = (
                kind if "staticmethod" in words else replace(kind, bound=(of_kind(instance), *kind.bound))
            )
            if words & {"property", "cached_property"}:
                bound.append(self.apply(of_kind(method), [], node, env))
            else:
                bound.append(of_kind(method))
        return join([*bound, Value(origins=found.origins)])

    def _in_class(self, of: Class, name: str) -> Value:
        if name in of.body.names:
            return of.body.names[name]
        for base in of.node.bases:
            for kind in self.evaluate(base, of.env).of(Class):
                assert isinstance(kind, Class)
                if kind is not of and (found := self._in_class(kind, name)) is not NOTHING:
                    return found
        return NOTHING

    @abstractmethod
    def module(self, source: object) -> Env: ...

    # What is made of several

    def container(self, contents: Sequence[Value], *, unordered: bool = False) -> Value:
        made = Container(join(contents), self.boundary, at_import=self.silent)
        taken = mixed(contents)
        return replace(of_kind(made).tinged(taken), unordered=unordered)

    def tuple_of(self, parts: Sequence[Value], *, counted: bool = False) -> Value:
        """A tuple, of which is known what is where."""
        value = self.container(parts)
        for kind in value.kinds:
            assert isinstance(kind, Container)
            kind.parts, kind.counted = tuple(parts), counted
        return value

    def content(self, value: Value) -> Value:
        """What is in a value: its items, whatever it is."""
        found = [kind.content for kind in value.kinds if isinstance(kind, Container)]
        return join([*found, Value(origins=value.origins, things=value.things, items=value.items)])

    def _Tuple(self, node: ast.Tuple, env: Env) -> Value:
        values = [self.evaluate(each, env) for each in node.elts]
        return (
            self.container(values)
            if any(isinstance(each, ast.Starred) for each in node.elts)
            else self.tuple_of(values)
        )

    def _List(self, node: ast.List, env: Env) -> Value:
        return self.container([self.evaluate(each, env) for each in node.elts])

    def _Set(self, node: ast.Set, env: Env) -> Value:
        return self.container([self.evaluate(each, env) for each in node.elts], unordered=True)

    def _Dict(self, node: ast.Dict, env: Env) -> Value:
        parts = [*node.keys, *node.values]
        return self.container([self.evaluate(each, env) for each in parts if each is not None])

    def _Starred(self, node: ast.Starred, env: Env) -> Value:
        return self.content(self.read(node.value, env))

    def _comprehension(self, node: Comprehension, env: Env) -> Value:
        inner = Env(env.source, env, home=self.boundary)
        return self._generate(node, list(node.generators), inner)

    _ListComp = _SetComp = _GeneratorExp = _DictComp = _comprehension

    def _generate(self, node: Comprehension, generators: list[ast.comprehension], env: Env) -> Value:
        if not generators:
            parts = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
            return self.container([self.evaluate(part, env) for part in parts])
        first, *rest = generators
        source = self.read(first.iter, env)
        item, token = self.item_of(source, first)
        with self.looping(token):
            self.bind(first.target, item, env)
            events = self.events
            conditions = [self.read(condition, env) for condition in first.ifs]
            value = self._generate(node, rest, env)
            for condition, at in zip(conditions, first.ifs, strict=True):
                self.branch_depends(at, condition, events, env, left=False)
            self.branch_depends(first.iter, source.alone(), events, env, left=False)
        unordered = source.unordered or value.unordered or isinstance(node, ast.SetComp)
        return replace(value, unordered=unordered)

    def item_of(self, source: Value, loop: ast.AST) -> tuple[Value, ast.AST | None]:
        """An item of what is gone through, and the loop if its order is none."""
        item = self.content(source)
        if not source.unordered:
            return item, None
        return self._marked(item, loop), loop

    def _marked(self, item: Value, loop: ast.AST) -> Value:
        """An item of a loop that has no order; an index says nothing of it."""
        kinds: list[Kind] = []
        for kind in item.kinds:
            if isinstance(kind, Container) and kind.parts:
                parts = [self._marked(part, loop) for part in kind.parts]
                if kind.counted:
                    parts[0] = kind.parts[0]
                kinds += self.tuple_of(parts, counted=kind.counted).kinds
            else:
                kinds.append(kind)
        return replace(item, kinds=tuple(kinds), items=item.items | {loop})

    @abstractmethod
    def bind(self, target: ast.expr, value: Value, env: Env) -> None: ...

    def _JoinedStr(self, node: ast.JoinedStr, env: Env) -> Value:
        values = [
            self.read(part.value if isinstance(part, ast.FormattedValue) else part, env)
            for part in node.values
        ]
        texts = [value.text for value in values]
        if all(text is not None for text in texts):
            return of_kind(Text("".join(text for text in texts if text is not None)))
        return mixed(values)

    def _Constant(self, node: ast.Constant, env: Env) -> Value:  # noqa: ARG002
        return of_kind(Text(node.value)) if isinstance(node.value, str) else NOTHING

    def _Subscript(self, node: ast.Subscript, env: Env) -> Value:
        base, index = self.evaluate(node.value, env), self.read(node.slice, env)
        value = self.content(base)
        generics = [kind for kind in base.kinds if isinstance(kind, Class) or _is_generic(kind)]
        return join([value, of_kind(*generics), index.alone()])

    def _BinOp(self, node: ast.BinOp, env: Env) -> Value:
        left, right = self.read(node.left, env), self.read(node.right, env)
        if isinstance(node.op, ast.Add) and left.text is not None and right.text is not None:
            return of_kind(Text(left.text + right.text))
        value = mixed([left, right])
        if any(isinstance(kind, Container) for kind in (*left.kinds, *right.kinds)):
            made = self.container([self.content(left), self.content(right)])
            return replace(made, unordered=left.unordered or right.unordered)
        paths = [kind for kind in left.kinds if kind == External("pathlib.Path", made=True)]
        return replace(value, kinds=tuple(paths))

    def _BoolOp(self, node: ast.BoolOp, env: Env) -> Value:
        return join(self.read(each, env) for each in node.values)

    def _IfExp(self, node: ast.IfExp, env: Env) -> Value:
        condition, events = self.read(node.test, env), self.events
        with self.behind(node, 0):
            yes = self.evaluate(node.body, env)
        with self.behind(node, 1):
            no = self.evaluate(node.orelse, env)
        self.branch_depends(node.test, condition, events, env, left=False)
        return join([yes, no, condition.alone()])

    def _NamedExpr(self, node: ast.NamedExpr, env: Env) -> Value:
        value = self.evaluate(node.value, env)
        self.bind(node.target, value, env)
        return value

    def _Lambda(self, node: ast.Lambda, env: Env) -> Value:
        return of_kind(Function(node, env, self.defaults(node.args, env)))

    def defaults(self, arguments: ast.arguments, env: Env) -> tuple[tuple[str, Value], ...]:
        """What a function's parameters are unless given."""
        listed = [*arguments.posonlyargs, *arguments.args]
        given = list(zip(listed[len(listed) - len(arguments.defaults) :], arguments.defaults, strict=True))
        named = [
            (a, d) for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if d is not None
        ]
        return tuple((argument.arg, self.evaluate(default, env)) for argument, default in [*given, *named])

    def _Await(self, node: ast.Await, env: Env) -> Value:
        return self.wait_for(self.evaluate(node.value, env))

    def _Yield(self, node: ast.Yield | ast.YieldFrom, env: Env) -> Value:
        env.names.setdefault(YIELDED, NOTHING)
        env.names[YIELDED] = join([env.names[YIELDED], self.evaluate(node.value, env)])
        return NOTHING

    _YieldFrom = _Yield

    def _Call(self, node: ast.Call, env: Env) -> Value:
        return self.evaluate_call(node, env)

    def new_thing(self) -> Value:
        """Something of which no more is known than that it was made here."""
        return Value(things=frozenset({Thing(self.boundary, at_import=self.silent)}))


YIELDED: Final = "<yielded>"


def _is_generic(kind: Kind) -> bool:
    return isinstance(kind, External) and not kind.made and kind.name.rpartition(".")[2][:1].isupper()


def _is_package(env: Env) -> bool:
    return env.source.path.name == "__init__.py"


def decorators_of(function: Function) -> set[str]:
    """The names of its decorators."""
    if isinstance(function.node, ast.Lambda):
        return set()
    listed = [each.func if isinstance(each, ast.Call) else each for each in function.node.decorator_list]
    return {
        each.attr if isinstance(each, ast.Attribute) else each.id
        for each in listed
        if isinstance(each, (ast.Attribute, ast.Name))
    }
