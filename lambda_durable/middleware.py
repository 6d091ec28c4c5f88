"""Middleware: what an app puts around its runs, its steps, and every value that is kept."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Literal

from .errors import ConfigurationError, ErrorInfo
from .events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """Which run a hook is called for. All of it is the same in every invocation, so a trace's ids can follow
    from it; but for `ended_at`, which is set once the run has ended. `parent_run_id` and `parent_step_id` are set where
    a step invoked the run. `carried` is what its event brought along from who sent it (`Middleware.carry`)."""

    app_id: str
    run_id: str
    function_id: str
    event_id: str
    created_at: datetime
    labels: tuple[str, ...] = ()
    parent_run_id: str | None = None
    parent_step_id: str | None = None
    carried: Mapping[str, str] = field(default_factory=dict)
    ended_at: datetime | None = None


@dataclass(slots=True, kw_only=True)
class HandlerReplay:
    """One pass of a handler over its journal. `status` is "running" until it ends: "suspended" (it waits for
    what is still to come), "returned" (with `result`) or "raised" (with `error`)."""

    run: RunInfo
    event: Event[Any]
    status: Literal["running", "suspended", "returned", "raised"] = "running"
    result: Any = None
    error: BaseException | None = None


@dataclass(slots=True, kw_only=True)
class StepAttempt:
    """One attempt of a step, with what its function was given. Once it has ended, `error` is set, or `result`,
    which may be replaced: by what the step then returned.

    `key` names the step among those of all runs, and those of a run that continues as new. `attempt` begins anew
    with each check of a poll; `calls` counts on, this attempt included.
    """

    run: RunInfo
    step_id: str
    kind: str
    attempt: int
    key: str
    calls: int
    began_at: datetime
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    result: Any = None
    error: BaseException | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedStep:
    """A step of any kind as it was when what it lies in ended: the run, its group or its map. `status` is "completed",
    "failed" or "cancelled"; or, where nobody waited for its end, "running", "retrying" or "waiting", and `ended_at` is
    then the end of what it lies in. `key` is as of StepAttempt."""

    step_id: str
    kind: str
    key: str
    status: str
    attempts: int
    began_at: datetime
    ended_at: datetime
    error: ErrorInfo | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value is kept: in which app, and as whose. `owner` is a run's id, or begins with `events/`,
    `inbox` or `app/`, which no run's id does."""

    app_id: str
    owner: str


class Middleware:
    """Override what you need; each method does nothing as it is.

    Of several, the first is the outermost. What an observing hook raises is logged (`lambda_durable.middleware`)
    and counted (`app.middleware_errors`), and changes nothing. What `encode` and `decode` raise fails the
    invocation: its message comes back, so nothing is lost, and the log names the middleware.
    """

    name: ClassVar[str] = ""
    """Stands beside what `encode` made, so that it is found again: never change it. "" is the class's name."""

    def around_handler(self, replay: HandlerReplay) -> AbstractContextManager[object]:  # noqa: ARG002
        """Around every replay of a handler: at least once in an invocation that works on a run, often more. A
        handler that is suspended leaves without an exception."""
        return nullcontext()

    def around_step(self, step: StepAttempt) -> AbstractContextManager[object]:  # noqa: ARG002
        """Around every attempt of a step's function, in its thread or task; never when it is replayed."""
        return nullcontext()

    def run_started(self, run: RunInfo, event: Event[Any]) -> None:
        """A run was begun. Called again if the message that began it comes again."""

    def run_ended(self, run: RunInfo, status: str, error: ErrorInfo | None) -> None:
        """A run is `completed`, `failed` or `cancelled`. Called again if the message that ended it comes again."""

    def steps_ended(self, run: RunInfo, steps: Sequence[EndedStep]) -> None:
        """A run, a group, a map or a branch ends, and these are the steps right in it, sleeps and waits included.
        Called again if the message that ends it comes again."""

    def carry(self, run: RunInfo | None, step_key: str | None) -> Mapping[str, str]:  # noqa: ARG002
        """What goes with an event, or with the start of a run, to the run that it starts (`RunInfo.carried`).

        Where a client sends, or the function of a step, it is called there, and `run` is None. Where a run starts
        another, `run` is the former, and `step_key` its step that invokes, or None for `on_failure`.
        """
        return {}

    def invocation_ended(self, seconds: float) -> None:
        """An invocation of the worker's Lambda has done its work, and has so many seconds left. After that the process
        is frozen, perhaps for ever: send now what is still to be sent. Who waits for a run waits for it, too."""

    def encode(self, text: str, place: Place) -> str:  # noqa: ARG002
        """What is kept instead of a value (JSON): in the table, the bucket, a message, an event on the bus. Need
        not be the same each time."""
        return text

    def decode(self, text: str, place: Place) -> str:  # noqa: ARG002
        """What `encode` was given, at the same place."""
        return text

    required: bool = False
    """Whether a value is refused that it has not encoded: no longer accept what was kept before the app had it."""

    @property
    def encodes(self) -> bool:
        return type(self).encode is not Middleware.encode


def check_middleware(given: object, what: str) -> tuple[Middleware, ...]:
    """Raises ConfigurationError for what is no sequence of middleware that can work together."""
    listed = (given,) if isinstance(given, Middleware) else given
    if not isinstance(listed, Sequence) or isinstance(listed, str):
        raise ConfigurationError(f"middleware= of {what} takes a list of Middleware, and this is {given!r}")
    names: set[str] = set()
    for each in listed:
        if not isinstance(each, Middleware):
            hint = "; make an object of it" if isinstance(each, type) else ""
            raise ConfigurationError(f"middleware= of {what} takes Middleware, and this is {each!r}{hint}")
        name = middleware_name(each)
        if each.encodes != (type(each).decode is not Middleware.decode):
            raise ConfigurationError(
                f"middleware {name!r} of {what} has one of encode and decode, and needs both"
            )
        if each.encodes and (name in names or not name.isidentifier()):
            raise ConfigurationError(
                f"middleware {name!r} of {what} encodes, so its name is an identifier of its own; set `name`"
            )
        names.add(name)
        _check_spelling(each, f"middleware {name!r} of {what}")
        for hook in ("around_handler", "around_step"):
            if _is_bare(getattr(each, hook)):
                raise ConfigurationError(
                    f"{hook} of middleware {name!r} of {what} gives no context manager: write @contextmanager above a "
                    "plain generator function"
                )
    return tuple(listed)


def _check_spelling(middleware: Middleware, what: str) -> None:
    """Refuses a method of its own that is called like a hook, but for a slip: nobody would ever call it."""
    from difflib import get_close_matches  # for a moment of the cold start of who has methods of their own

    hooks = [name for name, hook in vars(Middleware).items() if inspect.isfunction(hook)]
    for base in type(middleware).__mro__:
        if base is Middleware:
            return
        for name, method in vars(base).items():
            if hasattr(Middleware, name) or name.startswith("_") or not callable(method):
                continue
            if close := get_close_matches(name, hooks, n=1, cutoff=0.8):
                raise ConfigurationError(
                    f"{what} has a method {name!r}, which is never called: the hook is {close[0]!r}. If it is a method "
                    "of your own, let its name begin with an underscore"
                )


def _is_bare(hook: object) -> bool:
    """Whether it is a generator or coroutine function that no decorator made a context manager of."""
    return (
        inspect.isgeneratorfunction(hook)
        or inspect.isasyncgenfunction(hook)
        or inspect.iscoroutinefunction(hook)
    )


def middleware_name(middleware: Middleware) -> str:
    return middleware.name or type(middleware).__name__
