"""What is begun and waited for: coroutines, asyncio's tasks, futures of submitted steps."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from typing import Final

from .calls import Calls
from .values import (
    NOTHING,
    BoundMethod,
    Container,
    Deferred,
    Env,
    External,
    Function,
    Value,
    join,
    of_kind,
)

_BEGIN: Final = {"create_task", "ensure_future"}
_TIMED: Final = {"wait": "timeout", "as_completed": "timeout", "wait_for": "timeout"}
_ENDINGS: Final = {"done", "step_id", "get_name", "set_name", "cancelled"}
"""What does not tell how a task or future went."""


class Waiting(Calls):
    """Tells what is begun and never asked for."""

    def begin(self, handler: str) -> None:
        super().begin(handler)
        self.results: dict[Deferred, Value] = {}
        self.waits: dict[Deferred, list[Deferred]] = {}  # what calls of `wait` wait for
        self.hiding: set[Deferred] = set()  # they give failures among their results

    def defer(
        self, function: Function, given: Sequence[Value], named: dict[str, Value], node: ast.AST, env: Env
    ) -> Value:
        """A coroutine: its code runs once it is awaited."""
        deferred = self.begun("coroutine", node, env)
        deferred.function = function, list(given), dict(named)
        return of_kind(deferred)

    def begun(self, what: str, node: ast.AST, env: Env, *, can_fail: bool = True) -> Deferred:
        deferred = Deferred(what, env.source, node, many=self.loops > 0, can_fail=can_fail)
        if self.in_handler:
            self.deferred.append(deferred)
        return deferred

    def wait_for(self, value: Value) -> Value:
        """`await` of a value."""
        found = [self._ended(each, as_task=False) for each in _deferred(value)]
        if not found:
            return value
        self.events += 1
        return join(found)

    def _ended(self, deferred: Deferred, *, as_task: bool) -> Value:
        deferred.settled = True
        return self._run(deferred, as_task=as_task)

    def _run(self, deferred: Deferred, *, as_task: bool) -> Value:
        if deferred.function is None:
            return self.results.get(deferred, NOTHING)
        function, given, named = deferred.function
        deferred.function = None
        if as_task:
            with self.as_task(many=deferred.many):
                result = self.follow(function, given, named)
        else:
            result = self.follow(function, given, named)
        self.results[deferred] = result
        return result

    def settle(self, value: Value) -> None:
        """It is handed to code that is not known: that may well wait for it."""
        for deferred in _deferred(value):
            self._ended(deferred, as_task=True)

    def call_asyncio(
        self, name: str, node: ast.Call, given: Sequence[Value], named: dict[str, Value], env: Env
    ) -> Value | None:
        last = name.rpartition(".")[2]
        if last == "sleep" and name == "asyncio.sleep":
            if self.in_handler and not _is_zero(node):
                self.report("timer", env.source, node, "asyncio.sleep() outside a step")
            return of_kind(self.begun("coroutine", node, env)) if self.in_handler else NOTHING
        if name in ("asyncio.get_event_loop", "asyncio.get_running_loop", "asyncio.new_event_loop"):
            return of_kind(External("asyncio.loop"))
        if name == "asyncio.TaskGroup":
            return of_kind(External("asyncio.TaskGroup", made=True))
        if limit := _TIMED.get(last):
            self._refuse_limit(last, limit, node, env)
        waited = [each for value in [*given, *named.values()] for each in _deferred(value)]
        match name:
            case "asyncio.gather" | "asyncio.as_completed" | "asyncio.wait_for" | "asyncio.shield":
                results = [self._ended(each, as_task=True) for each in waited]
                if name == "asyncio.gather" and is_true(node, "return_exceptions"):
                    results = [self.container([result]) for result in results]
                    return of_kind(self._gathered(node, env, waited, self.container(results)))
                whole = self.begun("coroutine", node, env)
                self.results[whole] = self.container(results) if name == "asyncio.gather" else join(results)
                return (
                    join([of_kind(whole)])
                    if name != "asyncio.as_completed"
                    else self.container([of_kind(whole)])
                )
            case "asyncio.wait":
                for each in waited:
                    self._run(each, as_task=True)
                    each.waited = True
                whole = self.begun("coroutine", node, env)
                self.results[whole] = self.container([of_kind(*waited)])
                self.waits[whole] = waited
                return of_kind(whole)
            case "asyncio.create_task" | "asyncio.ensure_future" | "asyncio.loop.create_task":
                return self._task(waited, node, env, joined=False)
            case "asyncio.TaskGroup.create_task":
                return self._task(waited, node, env, joined=True)
        return None

    def _gathered(self, node: ast.AST, env: Env, waited: list[Deferred], result: Value) -> Deferred:
        """A gather that hides failures among its results."""
        whole = self.begun("coroutine", node, env)
        self.results[whole] = result
        if any(each.can_fail for each in waited):
            self.hiding.add(whole)
        return whole

    def _task(self, waited: list[Deferred], node: ast.AST, env: Env, *, joined: bool) -> Value:
        can_fail = any(each.can_fail for each in waited)
        task = self.begun("task", node, env, can_fail=can_fail)
        task.settled = joined
        for each in waited:
            each.settled = True
        self.results[task] = join(self._run(each, as_task=True) for each in waited)
        return of_kind(task)

    def _refuse_limit(self, last: str, limit: str, node: ast.Call, env: Env) -> None:
        given = next((word.value for word in node.keywords if word.arg == limit), None)
        if last == "wait_for" and len(node.args) > 1:
            given = node.args[1]
        if given is None or (isinstance(given, ast.Constant) and given.value is None):
            return
        if self.in_handler:
            self.report("timer", env.source, node, f"asyncio.{last}() with a time limit outside a step")

    def call_deferred(self, method: BoundMethod, node: ast.Call, env: Env) -> Value:  # noqa: ARG002
        """A method of a task or future."""
        assert isinstance(method.owner, Deferred)
        if method.name in _ENDINGS:
            return NOTHING
        self.events += 1
        return self._ended(method.owner, as_task=True)

    def drop(self, value: Value) -> None:
        """A value that an expression gives and nobody takes."""
        for deferred in _deferred(value):
            if deferred in self.hiding and self.in_handler:
                self.report(
                    "ignored-failure",
                    deferred.source,
                    deferred.node,
                    "with return_exceptions=True failures are among the results, which nobody takes",
                )
            for each in self.waits.get(deferred, ()):
                each.waited = False

    def tell_of_what_is_left(self) -> None:
        """At a handler's end: what it has begun and not asked for. One place may have begun several."""
        places: dict[tuple[object, int, int], list[Deferred]] = {}
        for deferred in self.deferred:
            at = deferred.node
            place = deferred.source, getattr(at, "lineno", 0), getattr(at, "col_offset", 0)
            places.setdefault(place, []).append(deferred)
        for several in places.values():
            if not any(each.settled or each.waited for each in several):
                self._tell_of(several[0])

    def _tell_of(self, deferred: Deferred) -> None:
        what = _called(deferred.node)
        match deferred.what:
            case "coroutine" | "step":
                self.report("not-awaited", deferred.source, deferred.node, f"{what} is never awaited")
            case "future" if deferred.can_fail:
                message = f"nobody asks {what} for its result"
                self.report("ignored-failure", deferred.source, deferred.node, message)
            case "task" if deferred.can_fail:
                message = f"the task of {what} is never awaited"
                self.report("ignored-failure", deferred.source, deferred.node, message)


def _deferred(value: Value) -> Iterable[Deferred]:
    """Those in a value, and in what is in it."""
    seen: set[object] = set()
    open_ = [value]
    found = []
    while open_:
        for kind in open_.pop().kinds:
            if kind in seen:
                continue
            seen.add(kind)
            if isinstance(kind, Deferred):
                found.append(kind)
            elif isinstance(kind, Container):
                open_.append(kind.content)
    return found


def _called(node: ast.AST) -> str:
    shown = ast.unparse(node.func) if isinstance(node, ast.Call) else ast.unparse(node)
    return f"{shown}()"


def is_true(node: ast.Call, word: str) -> bool:
    """Whether an argument is True, and nothing else."""
    return any(
        each.arg == word and isinstance(each.value, ast.Constant) and each.value.value is True
        for each in node.keywords
    )


def _is_zero(node: ast.Call) -> bool:
    return bool(node.args) and isinstance(node.args[0], ast.Constant) and node.args[0].value == 0
