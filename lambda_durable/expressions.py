"""Expressions over events: a path, a CEL expression, or a callable on Event.

`data.cart.sku` and `event.data.cart.sku` are one path; digits index a list (`data.items.0`). Any other text
is CEL over `event`, with the fields `name`, `data` (JSON values), `id`, `time` (a timestamp) and `source`.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from functools import cache
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeVar

from pydantic_core import to_jsonable_python

from .cel_cost import MOST_STEPS, Cost, Measure, costs
from .errors import ConfigurationError, DurableError, type_name

if TYPE_CHECKING:
    from cel import Program

LONGEST_EXPRESSION = 8192
"""Characters. The CEL library recurses natively: some 50,000 operators in a row kill the process."""

_T = TypeVar("_T")

_FIELDS = ("name", "data", "id", "time", "source")
_BOUND_BY_MACRO = re.compile(r"\(\s*([A-Za-z_]\w*)\s*,", re.ASCII)
_CALLABLE_NAMESPACES = {"optional"}


class Missing(Enum):
    """The type of `MISSING`: there is nothing at a path. JSON's null is not missing, it is None."""

    MISSING = "missing"

    def __bool__(self) -> Literal[False]:
        return False

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing.MISSING


class ExpressionError(DurableError):
    """An expression failed on an event.

    The message and `error_type` tell the kind of the failure only, since its text may hold what is in the
    event; `__cause__` has the failure itself.
    """

    def __init__(self, message: str, *, error_type: str) -> None:
        super().__init__(message)
        self.error_type = error_type


class EventLike(Protocol):
    """What an expression needs of an event."""

    @property
    def name(self) -> str: ...
    @property
    def data(self) -> Any: ...
    @property
    def id(self) -> str: ...
    @property
    def time(self) -> datetime: ...
    @property
    def source(self) -> str: ...


Source = str | Callable[[Any], object]
"""An expression as users write it: text, or a callable on Event."""

_Compute = Callable[[EventLike, Any], Any]


@dataclass(frozen=True, eq=False, slots=True)
class Expression:
    """A compiled expression. `path` has the names of a path, `("data", "sku")`, and is None for all else."""

    source: Source
    what: str
    path: tuple[str, ...] | None
    _compute: _Compute

    def evaluate(self, event: EventLike, incoming: Any = None) -> Any:
        """The value: plain JSON values from a path, `MISSING` where it leads nowhere.

        `incoming` is a newer event that a run waits for: `async` in CEL, and what a callable is given.
        Raises ExpressionError, whatever went wrong.
        """
        return self._guarded(self._compute, event, incoming)

    def holds(self, event: EventLike, incoming: Any = None) -> bool:
        """The value as a condition. CEL must give a bool; of a path or a callable it is the truth of what it
        gives."""
        value = self.evaluate(event, incoming)
        if callable(self.source) or self.path is not None:
            return self._guarded(bool, value)
        if not isinstance(value, bool):
            kind = type_name(type(value))
            why = f"gave {kind}, and a condition is a bool"
            raise ExpressionError(f"{self.what}: {self.source!r} {why}", error_type=f"it {why}")
        return value

    def _guarded(self, fn: Callable[..., _T], *args: object) -> _T:
        try:
            return fn(*args)
        except BaseException as error:
            if not _is_failure(error) or isinstance(error, ExpressionError):
                raise
            kind = type_name(type(error))
            message = f"{self.what}: {_shown(self.source)} failed: {kind}"
            raise ExpressionError(message, error_type=kind) from error


def compile_expression(source: Source, what: str, *, incoming: bool = False) -> Expression:
    """An expression from what a user wrote. `what` names the argument in errors.

    With `incoming`, CEL may use `async` too. Raises ConfigurationError for what cannot be an expression: CEL
    that does not parse or uses an unknown variable, a path that is not into an event, a coroutine function.
    """
    if callable(source):
        return _from_callable(source, what)
    _check_text(source, what)
    if names := _path(source):
        return _from_path(source, names, what)
    return _from_cel(source, what, "async" if incoming else "")


def compile_condition(source: Source, what: str, *, incoming: bool = False) -> Expression:
    """As compile_expression, for an `if_exp`; `holds` is what to ask."""
    if callable(source):
        return _from_callable(source, what)
    _check_text(source, what)
    if (names := _path(source)) and names[0] in _FIELDS:
        return _from_path(source, names, what)
    return _from_cel(source, what, "async" if incoming else "")


@dataclass(frozen=True, slots=True)
class Search:
    """A condition over a run's event and its output (plain values, None unless it has completed)."""

    reads_output: bool
    _holds: Callable[[EventLike, Any], bool]

    def holds(self, event: EventLike, output: Any) -> bool:
        """Raises ExpressionError, whatever went wrong."""
        return self._holds(event, output)


def compile_search(source: str | Callable[..., object], what: str, *, output: bool = True) -> Search:
    """A condition from what a user wrote: CEL over `event` and `output`, or a callable on both; or on the event alone.
    Raises ConfigurationError."""
    if not output:
        alone = compile_condition(source, what)
        return Search(False, lambda event, _: alone.holds(event))
    if callable(source):
        return Search(True, _from_callable(source, what, both=True).holds)
    _check_text(source, what)
    compiled = _from_cel(source, what, "output")
    return Search("output" in _parse(source, what).variables(), compiled.holds)


def canonical(value: Any) -> str:
    """JSON of a JSON value, the same for equal ones: 1 and 1.0 are, 1 and "1" are not."""
    return json.dumps(_whole(value), ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    return [_whole(item) for item in value] if isinstance(value, list) else value


def _check_text(source: object, what: str) -> None:
    if not isinstance(source, str):
        raise ConfigurationError(f"{what}: expected a path, CEL or a callable on Event, got {source!r}")
    if not source.strip():
        raise ConfigurationError(f"{what}: the expression is empty")
    if len(source) > LONGEST_EXPRESSION:
        raise ConfigurationError(
            f"{what}: an expression has at most {LONGEST_EXPRESSION} characters, and this has {len(source)}"
        )


def _path(text: str) -> tuple[str, ...] | None:
    first, *rest = text.strip().split(".")
    if not first.isidentifier() or not all(n.isidentifier() or (n.isascii() and n.isdigit()) for n in rest):
        return None
    return tuple(rest) if first == "event" and rest else (first, *rest)


def _from_path(source: str, names: tuple[str, ...], what: str) -> Expression:
    if names[0] not in _FIELDS:
        raise ConfigurationError(
            f"{what}: {source!r} is no path into an event, which has {', '.join(_FIELDS)};"
            f" for what its data holds, write {'event.data.' + '.'.join(names)!r}"
        )

    def follow(event: EventLike, _: EventLike | None) -> Any:
        value: Any = to_jsonable_python(getattr(event, names[0]))
        for name in names[1:]:
            if isinstance(value, dict) and name in value:
                value = value[name]
            elif isinstance(value, list) and name.isdigit() and int(name) < len(value):
                value = value[int(name)]
            else:
                return MISSING
        return value

    return Expression(source, what, names, follow)


def _from_callable(source: Callable[..., object], what: str, *, both: bool = False) -> Expression:
    if iscoroutinefunction(source) or iscoroutinefunction(getattr(source, "__call__", None)):  # noqa: B004
        raise ConfigurationError(
            f"{what}: {_shown(source)} is a coroutine function, which cannot be awaited here"
        )

    def call(event: EventLike, incoming: Any) -> object:
        if both:
            return source(event, incoming)
        return source(event if incoming is None else incoming)

    return Expression(source, what, None, call)


def _from_cel(source: str, what: str, second: str) -> Expression:
    """CEL over `event`, and over a `second` variable: an event that came (`async`), or a run's output."""
    program = _parse(source, what)
    known = {"event", second} - {""}
    bound = set(_BOUND_BY_MACRO.findall(source))
    for name in program.variables():
        if name not in known | bound | _CALLABLE_NAMESPACES and not _is_builtin(name):
            hint = f": write 'event.{name}'" if name in _FIELDS else ""
            raise ConfigurationError(
                f"{what}: {source!r} uses {name!r}, and it sees {' and '.join(sorted(known))} only{hint}"
            )

    heavy = costs(source)

    def execute(event: EventLike, incoming: Any) -> Any:
        variables: dict[str, Any] = {"event": _variables(event)}
        if second == "output":
            variables[second] = incoming
        elif incoming is not None:
            variables["async"] = _variables(incoming)
        if heavy and _steps(heavy, variables) > MOST_STEPS:
            why = (
                "its loops take too many steps for this event: one in another, map, filter, and event.data inside a "
                "loop multiply"
            )
            raise ExpressionError(f"{what}: {source!r} failed: {why}", error_type=why)
        return program.execute(variables)

    return Expression(source, what, None, execute)


def _steps(heavy: Iterable[Cost], variables: Mapping[str, Any]) -> int:
    measure = Measure.of(each["data"] if name != "output" else each for name, each in variables.items())
    return max(cost.steps(measure.largest, measure.size) for cost in heavy)


def _parse(source: str, what: str) -> Program:
    library = _cel_library(what)
    try:
        program: Program = library.compile(source)
    except BaseException as error:
        if not _is_failure(error):
            raise
        from .cel_syntax import explained

        raise ConfigurationError(f"{what}: {explained(str(error), source)}") from error
    return program


def _is_builtin(name: str) -> bool:
    """Whether CEL itself knows a name that a program uses: the types, such as `int`, are identifiers."""
    try:
        _load_cel().compile(name).execute({})
    except Exception:
        return False
    return True


def _cel_library(what: str) -> Any:
    try:
        return _load_cel()
    except ImportError as error:
        raise ConfigurationError(
            f'{what}: CEL expressions need a library that is not installed: pip install "lambda-durable[cel]"'
        ) from error


@cache
def _load_cel() -> Any:
    # The package imports its command line (typer, rich, prompt_toolkit: 200 ms) to reach its 1 ms extension.
    name = "cel.cel"
    if loaded := sys.modules.get(name):
        return loaded
    package = find_spec("cel")
    spec = PathFinder.find_spec(name, package.submodule_search_locations) if package else None
    if spec is None or spec.loader is None:
        raise ImportError(f"no module named {name!r}", name=name)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return sys.modules.setdefault(name, module)


def _fields(event: EventLike) -> dict[str, Any]:
    return {name: getattr(event, name) for name in _FIELDS}


def _variables(event: EventLike) -> dict[str, Any]:
    # Refuses what is nested more than 254 deep, too: the CEL library recurses natively and would die of it.
    return {**_fields(event), "data": to_jsonable_python(event.data)}


def _is_failure(error: BaseException) -> bool:
    """Whether the expression is to blame. A panic in Rust is a BaseException that cannot be imported."""
    return isinstance(error, Exception | SystemExit) or type(error).__module__ == "pyo3_runtime"


def _shown(source: Source) -> str:
    return getattr(source, "__qualname__", type(source).__name__) if callable(source) else repr(source)
