"""What names stand for: assignments, imports, functions and classes."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from .frames import ExhaustedError
from .others import DECORATOR
from .project import Project
from .sources import Source
from .stepping import Stepping
from .values import (
    NOTHING,
    AppMethod,
    Class,
    Container,
    Decorator,
    DurableStep,
    Env,
    External,
    Function,
    Handler,
    Instance,
    ProjectModule,
    Value,
    join,
    of_kind,
)


class Definitions(Stepping):
    """Binds names, and finds the functions that an app made handlers."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self.handlers: dict[ast.AST, Handler] = {}  # those that were found, by their code

    # Binding

    def _Expr(self, node: ast.Expr, env: Env) -> None:
        if isinstance(node.value, ast.Call):
            node.value.discarded = True  # type: ignore[attr-defined]
        if isinstance(node.value, ast.Await) and isinstance(node.value.value, ast.Call):
            value = self.evaluate(node.value.value, env)
            self.drop(value)
            self.wait_for(value)
            return
        self.drop(self.evaluate(node.value, env))

    def _Assign(self, node: ast.Assign, env: Env) -> None:
        value = self.evaluate(node.value, env)
        for target in node.targets:
            self.bind(target, value, env)

    def _AnnAssign(self, node: ast.AnnAssign, env: Env) -> None:
        if node.value is not None:
            self.bind(node.target, self.evaluate(node.value, env), env)

    def _AugAssign(self, node: ast.AugAssign, env: Env) -> None:
        before = self.evaluate_quietly(node.target, env)
        value = self.evaluate(node.value, env)
        if isinstance(node.target, ast.Name):
            for kind in before.kinds:
                if isinstance(kind, Container):
                    kind.content = join([kind.content, self.content(value)])
                    self.changed(node.target, of_kind(kind), node, env)
            self.bind(node.target, join([before, value.alone()]), env)
        else:
            self.bind(node.target, join([before, value]), env)

    def bind(self, target: ast.expr, value: Value, env: Env) -> None:
        match target:
            case ast.Name(id):
                self._bind_name(target, id, value, env)
            case ast.Tuple(elts) | ast.List(elts):
                for each, part in zip(elts, self._unpacked(value, elts), strict=True):
                    self.bind(each, part, env)
            case ast.Starred(inner):
                self.bind(inner, self.container([value]), env)
            case ast.Attribute(owner, name):
                self._bind_attribute(target, self.evaluate(owner, env), name, value, env)
            case ast.Subscript(owner, index):
                base = self.evaluate(owner, env)
                self.read(index, env)
                for kind in base.kinds:
                    if isinstance(kind, Container):
                        kind.content = join([kind.content, value])
                if not any(isinstance(kind, External) and kind.name == "os.environ" for kind in base.kinds):
                    self.changed(owner, base, target, env)

    def _unpacked(self, value: Value, targets: Sequence[ast.expr]) -> list[Value]:
        known = [kind.parts for kind in value.kinds if isinstance(kind, Container) and kind.parts]
        starred = any(isinstance(each, ast.Starred) for each in targets)
        if known and not starred and all(len(parts) == len(targets) for parts in known):
            return [join(several) for several in zip(*known, strict=True)]
        return [self.content(value)] * len(targets)

    def _bind_attribute(self, target: ast.Attribute, base: Value, name: str, value: Value, env: Env) -> None:
        for kind in base.kinds:
            if isinstance(kind, Instance):
                known = kind.attributes.get(name)
                kind.attributes[name] = value if known is None else join([known, value])
        self.changed(target.value, base, target, env)

    def _bind_name(self, node: ast.AST, name: str, value: Value, env: Env) -> None:
        if name not in env.elsewhere:
            env.names[name] = value
            return
        owner = (env.outer.owner(name) if env.outer is not None else None) or env.module
        owner.names[name] = join([owner.names.get(name, NOTHING), value])
        if name in self.guarded:
            return  # made where it was not there yet: another process makes its own
        at_import = owner.is_module
        outer = self.boundary is not None and not self.boundary.holds(owner.home)
        if outer or (self.boundary is None and at_import):
            self.wrote((owner, name), env.source, node, f"`{name}`", at_import=at_import)

    def _Global(self, node: ast.Global, env: Env) -> None:
        env.elsewhere.update(node.names)

    _Nonlocal = _Global

    def _Import(self, node: ast.Import, env: Env) -> None:
        for alias in node.names:
            whole = alias.name if alias.asname else alias.name.partition(".")[0]
            env.names[alias.asname or whole] = self._imported(whole, 0, env)
            if not alias.asname:
                self._imported(alias.name, 0, env)

    def _ImportFrom(self, node: ast.ImportFrom, env: Env) -> None:
        module = self._imported(node.module or "", node.level, env)
        for alias in node.names:
            if alias.name == "*":
                self._import_all(module, node.module or "", env)
                continue
            value = self.attribute(module, alias.name, node, env)
            if not value.kinds and not value.origins and not module.of(ProjectModule):
                value = of_kind(External(f"{node.module or ''}.{alias.name}"))
            env.names[alias.asname or alias.name] = value

    def _import_all(self, module: Value, name: str, env: Env) -> None:
        for kind in module.kinds:
            if isinstance(kind, ProjectModule):
                shared = {key: value for key, value in kind.env.names.items() if not key.startswith("_")}
                env.names.update(shared)
                env.module.stars.extend(kind.env.stars)
            else:
                env.module.stars.append(name)

    def _imported(self, name: str, level: int, env: Env) -> Value:
        source = self.project.find(name, level=level, importer=env.source)
        if source is not None:
            return of_kind(ProjectModule(self.module(source)))
        return of_kind(External(name))

    def module(self, source: object) -> Env:
        """What the names of a module are, once it has been imported."""
        assert isinstance(source, Source)
        if source not in self.modules:
            env = self.modules[source] = Env(source)
            for statement in source.tree.body:
                with self.importing():
                    try:
                        self.execute([statement], env)
                    except (ExhaustedError, RecursionError):
                        continue  # what it defines is not known
        return self.modules[source]

    # Definitions

    def _FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef, env: Env) -> None:
        value = of_kind(Function(node, env, self.defaults(node.args, env)))
        for expression in reversed(node.decorator_list):
            decorator = self.evaluate(expression, env)
            changed = self._decorated(decorator, value, expression, env)
            if not changed.kinds and is_registered(node) and self.takes_context(node, env):
                changed = self.decorate(
                    Decorator("function"), value, expression, env
                )  # of an app that is not known
            if changed.kinds:
                value = changed
        env.names[node.name] = value

    _AsyncFunctionDef = _FunctionDef

    def takes_context(self, node: ast.FunctionDef | ast.AsyncFunctionDef, env: Env) -> bool:
        """Whether a parameter is said to be a context, or its steps."""
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        with self.importing():
            return any(self.annotated(argument.annotation, env).kinds for argument in arguments)

    def _decorated(self, decorator: Value, value: Value, node: ast.expr, env: Env) -> Value:
        found = []
        for kind in decorator.kinds:
            match kind:
                case Decorator():
                    found.append(self.decorate(kind, value, node, env))
                case AppMethod(name):
                    found.append(self.decorate(Decorator(name), value, node, env))
                case Function():
                    found.append(self.follow(kind, [value], {}))
                case External(name) if name == DECORATOR:
                    found.append(value)
        return join(found)

    def decorate(self, decorator: Decorator, function: Value, node: ast.AST, env: Env) -> Value:  # noqa: ARG002
        found = []
        for kind in function.kinds:
            if not isinstance(kind, Function):
                continue
            if decorator.name == "step":
                found.append(of_kind(DurableStep(kind, decorator.id or kind.name)))
            else:
                handler = Handler(kind, decorator.id or kind.name)
                self.handlers.setdefault(kind.node, handler)
                found.append(of_kind(handler))
        return join(found)

    def _ClassDef(self, node: ast.ClassDef, env: Env) -> None:
        body = Env(env.source, env, is_class=True, home=self.boundary)
        self.execute(node.body, body)
        env.names[node.name] = of_kind(Class(node, env, body))


def is_registered(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether it looks as if an app made it a handler."""
    names = [each.func if isinstance(each, ast.Call) else each for each in node.decorator_list]
    return any(isinstance(name, ast.Attribute) and name.attr in ("function", "on_failure") for name in names)
