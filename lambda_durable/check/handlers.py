"""Handlers: which functions are one, and a walk through each."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from .definitions import is_registered
from .frames import ExhaustedError
from .project import Project
from .sources import Source
from .statements import Statements
from .values import Ctx, Env, Function, Handler, Value, of_kind


class Walk(Statements):
    """A walk through all handlers of a project."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self.seen: set[ast.AST] = set()

    def walk(self, source: Source) -> list[Handler]:
        """Look at the handlers that a file defines; returns them."""
        self._make_inner_ones(source.tree, self.module(source))
        handlers = [handler for handler in self.handlers.values() if handler.function.env.source is source]
        for handler in handlers:
            self._walk_handler(handler)
        return handlers

    def walk_the_rest(self, source: Source) -> None:
        """Look at functions that take a context, and that no handler calls."""
        for node, env in _functions(source.tree, self.module(source)):
            if node not in self.seen and self.takes_context(node, env):
                self._walk_handler(Handler(Function(node, env), ""))

    def _make_inner_ones(self, tree: ast.AST, env: Env) -> None:
        """Handlers are made in functions, too, which something else may call: one that makes an app, a test."""
        for node, around in _functions(tree, env):
            inner = [
                each for each in ast.walk(node) if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef))
            ]
            if any(is_registered(each) and each not in self.handlers for each in inner if each is not node):
                with self.importing():
                    try:
                        self.follow(Function(node, around), [], {})
                    except (ExhaustedError, RecursionError):
                        continue

    def follow(self, function: Function, given: Sequence[Value], named: dict[str, Value]) -> Value:
        if not self.silent:
            self.seen.add(function.node)
        return super().follow(function, given, named)

    def _walk_handler(self, handler: Handler) -> None:
        function = handler.function
        if function.node in self.seen and not handler.id:
            return
        self.begin(handler.id)
        env = function.env
        declared = isinstance(function.node, ast.Lambda) or self.takes_context(function.node, env)
        taken = [] if declared else [of_kind(Ctx(function.is_async))]
        try:
            self.follow(function, taken, {})
            self.route = ()
            self.tell_of_what_is_left()
        except ExhaustedError:
            message = "the handler calls more code than is looked at; the rest was not"
            self.report("unresolved", env.source, function.node, message)
        except RecursionError:
            message = "the handler's code is nested too deeply to be looked at"
            self.report("unresolved", env.source, function.node, message)
        finally:
            self.silent = True


def _functions(tree: ast.AST, env: Env) -> Iterator[tuple[ast.FunctionDef | ast.AsyncFunctionDef, Env]]:
    """Those of a module and of its classes."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node, env
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node, env)
