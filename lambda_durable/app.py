"""`Durable`: the registry of an app's functions."""

from __future__ import annotations

import functools
import os
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, ParamSpec, Protocol, TypeVar, cast, overload

from . import calls
from .async_steps import AsyncStep
from .calls import DurableStep, Options, Semantics
from .cancel_on import CancelOn
from .config import (
    Retry,
    StepsPerInvocation,
    Timeouts,
    check_pin,
    check_steps_per_invocation,
    check_version,
)
from .context import AsyncContext, Context
from .durations import Duration
from .engine.scope import current_scope
from .errors import ConfigurationError
from .events import Event, Trigger
from .flow_control import (
    Batch,
    Concurrency,
    Debounce,
    FlowControl,
    Idempotency,
    Priority,
    RateLimit,
    Singleton,
    Throttle,
)
from .function import Function
from .middleware import Middleware, check_middleware
from .runtime.payloads import MAX_OUTPUT
from .steps import Step

P = ParamSpec("P")
R = TypeVar("R")
D = TypeVar("D")
Data = TypeVar("Data")


class _Decorator(Protocol[Data]):
    """Takes the handler of a function with one trigger."""

    @overload
    def __call__(self, handler: Callable[[AsyncContext[Data]], Awaitable[R]], /) -> Function[Data, R]: ...
    @overload
    def __call__(self, handler: Callable[[Context[Data]], R], /) -> Function[Data, R]: ...


class _OpenDecorator(Protocol):
    """Takes the handler of any other function: its context says what the data is."""

    @overload
    def __call__(self, handler: Callable[[AsyncContext[D]], Awaitable[R]], /) -> Function[D, R]: ...
    @overload
    def __call__(self, handler: Callable[[Context[D]], R], /) -> Function[D, R]: ...


_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}", re.ASCII)


class Durable:
    """The functions that one deployed worker serves.

    `retry` and `steps_per_invocation` are the defaults of its functions. `max_output` is the most bytes of
    JSON that one output, event or payload may have (5 MiB). `middleware` is around all of its runs and steps,
    the first outermost; `middleware_errors` counts what it raised in this process, by name.
    """

    def __init__(
        self,
        id: str,
        *,
        steps_per_invocation: StepsPerInvocation = "auto",
        retry: Retry | None = None,
        middleware: Middleware | Sequence[Middleware] = (),
        max_output: int = MAX_OUTPUT,
    ) -> None:
        self.id = _check_id(id, "an app")
        self.retry = _check_retry(retry, f"app {id!r}") or Retry()
        self.steps_per_invocation = check_steps_per_invocation(steps_per_invocation)
        self.max_output = max_output
        self.middleware = check_middleware(middleware, f"app {id!r}")
        self.middleware_errors: Counter[str] = Counter()
        self._functions: dict[str, Function[Any, Any]] = {}

    @functools.cached_property
    def handler(self) -> Callable[[Any, Any], Any]:
        """What a Lambda calls; template.yaml names the variable of a module that holds it. In the Lambda of the HTTP
        API, which has LAMBDA_DURABLE_HTTP_API set, it is `api_handler`."""
        if os.environ.get("LAMBDA_DURABLE_HTTP_API"):
            return self.api_handler
        from .handler import LambdaHandler

        return LambdaHandler(self)

    @functools.cached_property
    def api_handler(self) -> Callable[[Any, Any], Any]:
        """The HTTP API, as the Lambda of a function URL."""
        from .api.handler import ApiHandler

        return ApiHandler(self)

    @property
    def functions(self) -> Mapping[str, Function[Any, Any]]:
        """Its functions, by id."""
        return self._functions

    @overload
    def function(
        self,
        id: str,
        triggers: Trigger[D],
        *,
        retry: Retry | None = None,
        timeouts: Timeouts | None = None,
        cancel_on: CancelOn | Sequence[CancelOn] = (),
        steps_per_invocation: StepsPerInvocation | None = None,
        concurrency: Concurrency | Sequence[Concurrency] = (),
        throttle: Throttle | None = None,
        rate_limit: RateLimit | None = None,
        debounce: Debounce | None = None,
        batch: Batch | None = None,
        priority: Priority | None = None,
        singleton: Singleton | None = None,
        idempotency: Idempotency | None = None,
        labels: Callable[[Event[D]], Sequence[str]] | None = None,
        version: str | None = None,
        pin: bool = False,
    ) -> _Decorator[D]: ...
    @overload
    def function(
        self,
        id: str,
        triggers: Sequence[Trigger[Any]] = (),
        *,
        retry: Retry | None = None,
        timeouts: Timeouts | None = None,
        cancel_on: CancelOn | Sequence[CancelOn] = (),
        steps_per_invocation: StepsPerInvocation | None = None,
        concurrency: Concurrency | Sequence[Concurrency] = (),
        throttle: Throttle | None = None,
        rate_limit: RateLimit | None = None,
        debounce: Debounce | None = None,
        batch: Batch | None = None,
        priority: Priority | None = None,
        singleton: Singleton | None = None,
        idempotency: Idempotency | None = None,
        labels: Callable[[Event[Any]], Sequence[str]] | None = None,
        version: str | None = None,
        pin: bool = False,
    ) -> _OpenDecorator: ...
    def function(
        self,
        id: str,
        triggers: Trigger[Any] | Sequence[Trigger[Any]] = (),
        *,
        retry: Retry | None = None,
        timeouts: Timeouts | None = None,
        cancel_on: CancelOn | Sequence[CancelOn] = (),
        steps_per_invocation: StepsPerInvocation | None = None,
        concurrency: Concurrency | Sequence[Concurrency] = (),
        throttle: Throttle | None = None,
        rate_limit: RateLimit | None = None,
        debounce: Debounce | None = None,
        batch: Batch | None = None,
        priority: Priority | None = None,
        singleton: Singleton | None = None,
        idempotency: Idempotency | None = None,
        labels: Callable[[Event[Any]], Sequence[str]] | None = None,
        version: str | None = None,
        pin: bool = False,
    ) -> Any:
        """Make a handler a durable function, started by any of its triggers (at most 10).

        With one trigger the event's data is what its model says; with several, what the handler's
        `Context[...]` says; without one the function is only started or invoked. `labels` gives up to 3
        strings to find a run by. `timeouts` limits how long a run may take, `cancel_on` names
        events that cancel it. `version` says which code this is, in runs and errors; with `pin`, a run stays on
        the Lambda version that it began on, whatever is deployed meanwhile. `retry` and `steps_per_invocation` are the
        app's unless given; the others are flow control. Raises ConfigurationError for what can't work.
        """
        if isinstance(triggers, str):
            raise ConfigurationError(
                f"function {id!r}: {triggers!r} is no trigger; write on_event({triggers!r})"
            )
        listed = [triggers] if isinstance(triggers, Trigger) else list(triggers)
        _check_id(id, "a function")
        if id in self._functions:
            raise ConfigurationError(f"app {self.id!r} has two functions with the id {id!r}")
        if len(listed) > 10:
            raise ConfigurationError(f"function {id!r} has {len(listed)} triggers, and 10 are allowed")
        for place, trigger in enumerate(listed):
            if not isinstance(trigger, Trigger):
                raise ConfigurationError(
                    f"function {id!r}: {trigger!r} is no trigger; write on_event(...), cron(...) or every(...)"
                )
            if trigger in listed[:place]:
                raise ConfigurationError(f"function {id!r} has the trigger {trigger!r} twice")

        def register(handler: Callable[[Any], Any]) -> Function[Any, Any]:
            function: Function[Any, Any] = Function(
                id,
                handler,
                listed,
                retry=_check_retry(retry, f"function {id!r}") or self.retry,
                steps_per_invocation=check_steps_per_invocation(
                    self.steps_per_invocation if steps_per_invocation is None else steps_per_invocation
                ),
                labels=labels,
                timeouts=_check_timeouts(timeouts, id),
                cancel_on=_check_cancel_on(cancel_on, id),
                version=check_version(version, f"function {id!r}"),
                pin=check_pin(pin, f"function {id!r}"),
                flow=FlowControl(
                    function_id=id,
                    concurrency=tuple(concurrency) if isinstance(concurrency, Sequence) else (concurrency,),
                    throttle=throttle,
                    rate_limit=rate_limit,
                    debounce=debounce,
                    batch=batch,
                    priority=priority,
                    singleton=singleton,
                    idempotency=idempotency,
                ),
                register=self._register,
            )
            self._register(function)
            return function

        return register

    def _register(self, function: Function[Any, Any]) -> None:
        self._functions[function.id] = function

    @overload
    def step(self, fn: Callable[P, R], /) -> Callable[P, R]: ...
    @overload
    def step(
        self,
        /,
        *,
        id: str | None = None,
        retry: Retry | None = None,
        timeout: Duration | None = None,
        semantics: Semantics | None = None,
        model: Any = None,
        undo: Callable[[Any], object] | None = None,
        undo_if_unknown: bool = False,
    ) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
    def step(
        self,
        fn: Callable[..., Any] | None = None,
        /,
        *,
        id: str | None = None,
        retry: Retry | None = None,
        timeout: Duration | None = None,
        semantics: Semantics | None = None,
        model: Any = None,
        undo: Callable[[Any], object] | None = None,
        undo_if_unknown: bool = False,
    ) -> Any:
        """Make a plain function a step wherever a handler calls it; elsewhere it stays what it is. `id` is the
        function's name unless given; the rest is as of `Step.options`."""
        changes = {"retry": retry, "timeout": timeout, "semantics": semantics, "model": model}
        changes |= {"undo": undo, "undo_if_unknown": undo_if_unknown or None}
        options = calls.with_options(Options(), **changes)

        def decorate(plain: Callable[..., Any]) -> Callable[..., Any]:
            return _durable(DurableStep(plain, id or plain.__name__, options))

        return decorate if fn is None else decorate(fn)


def _durable(step: DurableStep) -> Callable[..., Any]:
    @functools.wraps(step.plain)
    def call(*args: Any, **kwargs: Any) -> Any:
        scope = current_scope.get(None)
        if scope is None:
            return step.plain(*args, **kwargs)
        if not scope.replay.is_async:
            return Step().run(step.id, call, *args, **kwargs)
        if not calls.is_async(step.plain):
            raise ConfigurationError(
                f"step {step.id!r} is a plain function, which an async handler can't wait for by calling it; write "
                f"`await ctx.step.run({step.id!r}, {step.plain.__name__}, ...)`, or make it `async def`"
            )
        return AsyncStep().run(step.id, call, *args, **kwargs)

    call.__durable_step__ = step  # type: ignore[attr-defined]
    return call


def _check_retry(retry: object, what: str) -> Retry | None:
    if retry is not None and not isinstance(retry, Retry):
        raise ConfigurationError(
            f"retry= of {what} takes a Retry, and this is {retry!r}: write Retry(max_attempts=...)"
        )
    return retry


def _check_timeouts(timeouts: object, id: str) -> Timeouts:
    if timeouts is not None and not isinstance(timeouts, Timeouts):
        raise ConfigurationError(
            f"timeouts= of function {id!r} takes Timeouts, and this is {timeouts!r}: write Timeouts(finish='1h')"
        )
    return timeouts or Timeouts()


def _check_cancel_on(given: object, id: str) -> list[CancelOn]:
    listed = [given] if isinstance(given, CancelOn) else list(cast("Sequence[object]", given))
    for each in listed:
        if not isinstance(each, CancelOn):
            raise ConfigurationError(
                f"cancel_on= of function {id!r} takes CancelOn(event, ...), and this is {each!r}"
            )
    return cast("list[CancelOn]", listed)


def _check_id(id: object, what: str) -> str:
    if not isinstance(id, str) or not _ID.fullmatch(id):
        raise ConfigurationError(
            f"the id of {what} has 1 to 128 letters, digits, dots, dashes and underscores, and this is {id!r}"
        )
    return id
