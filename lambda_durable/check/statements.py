"""Statements: which branches there are, what leaves them, and what is caught."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from .calls import RETURNED
from .definitions import Definitions
from .frames import Left
from .values import NOTHING, Env, External, Instance, Value, join, of_kind, own_nodes

_EVERYTHING = {"builtins.BaseException", "builtins.BaseExceptionGroup"}
_LEAVING = (ast.Return, ast.Raise, ast.Continue, ast.Break)


class Statements(Definitions):
    """Executes statements, without running anything."""

    def execute(self, body: Sequence[ast.stmt], env: Env) -> bool:
        """Whether the code after these is never reached. Behind a branch, code does not run after arms that leave."""
        for place, statement in enumerate(body):
            self.count()
            before = len(self.left)
            if self._execute(statement, env):
                return True
            if len(self.left) > before:
                with self.after(self.left[before:]):
                    return self.execute(body[place + 1 :], env)
        return False

    def _execute(self, node: ast.stmt, env: Env) -> bool:
        method = getattr(self, f"_{type(node).__name__}", None)
        if method is not None:
            return bool(method(node, env))
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self.read(child, env)
        return False

    def _Return(self, node: ast.Return, env: Env) -> bool:
        value = self.evaluate(node.value, env)
        if len(self.stack) <= 1:
            self.look(value)
        env.names[RETURNED] = join([env.names.get(RETURNED, NOTHING), value])
        return True

    def _Raise(self, node: ast.Raise, env: Env) -> bool:
        if node.exc is not None:
            self.read(node.exc, env)
        return True

    def _Continue(self, node: ast.Continue, env: Env) -> bool:  # noqa: ARG002
        return True

    def _Break(self, node: ast.Break, env: Env) -> bool:  # noqa: ARG002
        return True

    def _Delete(self, node: ast.Delete, env: Env) -> None:
        for target in node.targets:
            if isinstance(target, (ast.Subscript, ast.Attribute)):
                self.changed(target.value, self.evaluate(target.value, env), target, env)

    # Branches

    def _If(self, node: ast.If, env: Env) -> bool:
        condition, events = self.read(node.test, env), self.events
        kept, self.guarded = self.guarded, self.guarded | _not_there_yet(node.test)
        arms = [node.body, node.orelse]
        over = self._arms(node, arms[:1], env, rest=arms[1:], restore=kept)
        self.guarded = kept
        left = any(_leaves(arm) for arm in arms)
        self.branch_depends(node.test, condition, events, env, left=left)
        return over

    def _arms(
        self,
        node: ast.AST,
        first: list[list[ast.stmt]],
        env: Env,
        *,
        rest: list[list[ast.stmt]],
        restore: frozenset[str] | None = None,
    ) -> bool:
        """Each arm begins with the names as they are now; afterwards they are what they are in any that comes to
        its end. Whether none does."""
        before, after = dict(env.names), []
        all_over = True
        returned: list[Value] = []
        for place, arm in enumerate([*first, *rest]):
            if place >= len(first) and restore is not None:
                self.guarded = restore
            env.names = dict(before)
            with self.behind(node, place):
                over = self.execute(arm, env)
            if over:
                self.left.append(Left(node, place, for_good=_leaves_for_good(arm)))
            returned.append(env.names.get(RETURNED, NOTHING))
            if not over:
                after.append(env.names)
            all_over = all_over and over
        env.names = _merged(after) if after else env.names
        if (joined := join(returned)) is not NOTHING:
            env.names[RETURNED] = joined
        return all_over

    def branch_depends(self, node: ast.AST, condition: Value, events: int, env: Env, *, left: bool) -> None:
        """Tell of a condition that differs on every replay, if steps depend on it."""
        if not self.in_handler or not (left or self.events > events):
            return
        for origin in condition.origins:
            name = origin.name if origin.name.startswith("ctx") else f"{origin.name}()"
            self.report("unstable-branch", env.source, node, f"which steps run depends on {name}")

    def _While(self, node: ast.While, env: Env) -> bool:
        events, before = self.events, dict(env.names)
        condition = NOTHING
        for _ in range(2):
            condition = join([condition, self.read(node.test, env)])
            with self.looping(), self.returning():
                self.execute(node.body, env)
            env.names = _merged([before, env.names])
        self.branch_depends(node.test, condition, events, env, left=False)
        self.execute(node.orelse, env)
        always = isinstance(node.test, ast.Constant) and bool(node.test.value)
        return always and not any(isinstance(each, ast.Break) for each in ast.walk(node))

    def _For(self, node: ast.For | ast.AsyncFor, env: Env) -> None:
        source = self.read(node.iter, env)
        item, token = self.item_of(source, node)
        events, before = self.events, dict(env.names)
        for _ in range(2):
            with self.looping(token), self.returning():
                self.bind(node.target, item, env)
                self.execute(node.body, env)
            env.names = _merged([before, env.names])
        self.branch_depends(node.iter, source.alone(), events, env, left=False)
        self.execute(node.orelse, env)

    _AsyncFor = _For

    def _Match(self, node: ast.Match, env: Env) -> bool:
        subject, events = self.read(node.subject, env), self.events
        arms = []
        for case in node.cases:
            for pattern in ast.walk(case.pattern):
                name = getattr(pattern, "name", None) or getattr(pattern, "rest", None)
                if isinstance(name, str):
                    env.names[name] = join([subject, self.content(subject)])
            if case.guard is not None:
                self.read(case.guard, env)
            arms.append(case.body)
        over = self._arms(node, arms, env, rest=[])
        self.branch_depends(node.subject, subject, events, env, left=any(map(_leaves, arms)))
        return over and any(
            isinstance(case.pattern, ast.MatchAs) and case.pattern.pattern is None and case.guard is None
            for case in node.cases
        )

    # What is caught

    def _With(self, node: ast.With | ast.AsyncWith, env: Env) -> bool:
        events = self.events
        managers = []
        for item in node.items:
            manager = self.evaluate(item.context_expr, env)
            managers.append((item, manager))
            if item.optional_vars is not None:
                entered = [of_kind(kind) for kind in manager.kinds if isinstance(kind, (External, Instance))]
                self.bind(item.optional_vars, join([*entered, manager.alone()]), env)
        over = self.execute(node.body, env)
        for item, _ in managers:
            call = item.context_expr
            if self.events > events and isinstance(call, ast.Call) and self._suppresses_all(call, env):
                self._tell_of_catching(call, "contextlib.suppress(BaseException)", env)
                over = False
        return over

    _AsyncWith = _With

    def _suppresses_all(self, call: ast.Call, env: Env) -> bool:
        function = self.evaluate_quietly(call.func, env)
        if External("contextlib.suppress") not in function.kinds:
            return False
        return any(self._is_everything(each, env) for each in call.args)

    def _Try(self, node: ast.Try | ast.TryStar, env: Env) -> bool:
        events, before = self.events, dict(env.names)
        over = self.execute(node.body, env)
        has_steps = self.events > events
        if not over:
            with self.behind(node, len(node.handlers)):
                over = self.execute(node.orelse, env)
        ends = [] if over else [env.names]
        returned = [env.names.get(RETURNED, NOTHING)]
        within = _merged([before, env.names])
        for place, handler in enumerate(node.handlers):
            env.names = dict(within)
            if handler.type is not None:
                self.evaluate(handler.type, env)
            if handler.name:
                env.names[handler.name] = NOTHING
            if has_steps and self._catches_all(handler, env):
                shown = f"except {ast.unparse(handler.type)}" if handler.type is not None else "a bare except"
                self._tell_of_catching(handler, shown, env)
            with self.behind(node, place):
                if not self.execute(handler.body, env):
                    ends.append(env.names)
                else:
                    self.left.append(Left(node, place, for_good=_leaves_for_good(handler.body)))
            returned.append(env.names.get(RETURNED, NOTHING))
        env.names = _merged(ends) if ends else dict(within)
        if (joined := join(returned)) is not NOTHING:
            env.names[RETURNED] = joined
        if has_steps and (leaving := _leaving_finally(node.finalbody)) is not None:
            shown = f"`{ast.unparse(leaving).partition(' ')[0]}` in a finally block"
            self._tell_of_catching(leaving, shown, env)
        return self.execute(node.finalbody, env) or not ends

    _TryStar = _Try

    def _catches_all(self, handler: ast.ExceptHandler, env: Env) -> bool:
        if handler.type is not None and not self._is_everything(handler.type, env):
            return False
        return not _raises_again(handler)

    def _is_everything(self, node: ast.expr, env: Env) -> bool:
        if isinstance(node, ast.Tuple):
            return any(self._is_everything(each, env) for each in node.elts)
        value = self.evaluate_quietly(node, env)
        return any(isinstance(kind, External) and kind.name in _EVERYTHING for kind in value.kinds)

    def _tell_of_catching(self, node: ast.AST, shown: str, env: Env) -> None:
        if self.in_handler:
            self.report(
                "catch-all", env.source, node, f"{shown} around steps catches what suspends the handler"
            )


def _merged(several: Sequence[dict[str, Value]]) -> dict[str, Value]:
    if len(several) == 1:
        return several[0]
    names = dict.fromkeys(name for each in several for name in each)
    return {name: join(each[name] for each in several if name in each) for name in names}


def _leaves_for_good(body: Sequence[ast.stmt]) -> bool:
    """Whether the function is left at the end of these, and not a loop."""
    return bool(body) and not isinstance(body[-1], (ast.Continue, ast.Break))


def _leaves(body: Sequence[ast.stmt]) -> bool:
    return bool(body) and isinstance(body[-1], _LEAVING)


def _not_there_yet(test: ast.expr) -> frozenset[str]:
    """The names that a condition finds to be None or empty: `x is None`, `not x`."""
    match test:
        case ast.Compare(
            left=ast.Name(id), ops=[ast.Is() | ast.Eq()], comparators=[ast.Constant(value=None)]
        ):
            return frozenset({id})
        case ast.UnaryOp(op=ast.Not(), operand=ast.Name(id)):
            return frozenset({id})
        case ast.BoolOp(values=values):
            return frozenset().union(*map(_not_there_yet, values))
    return frozenset()


def _raises_again(handler: ast.ExceptHandler) -> bool:
    """Whether a bare `raise`, or one of what was caught, is in it."""
    return any(
        isinstance(node, ast.Raise)
        and (node.exc is None or (isinstance(node.exc, ast.Name) and node.exc.id == handler.name))
        for node in own_nodes(handler.body)
    )


def _leaving_finally(body: Sequence[ast.stmt]) -> ast.stmt | None:
    """What in a `finally` block lets an exception go unseen."""
    for node in own_nodes(body):
        if isinstance(node, ast.Return):
            return node
    return next((node for node in body if isinstance(node, (ast.Break, ast.Continue))), None)
