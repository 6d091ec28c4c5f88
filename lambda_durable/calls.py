"""What sync and async steps share: from a call's arguments to an operation."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextvars import copy_context
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import FunctionType
from typing import Any, Literal, get_origin

from .config import Retry
from .durations import LONGEST, Duration, in_millis, parse_duration, require_aware, to_millis
from .engine import paths
from .engine.journal import Kind
from .engine.operations import FanOut, Group, Poll, Sleep, StepCall, Undo
from .engine.scope import Scope, scope_here
from .engine.sync import SyncReplay
from .errors import ConfigurationError
from .serialization import Codec, codec, codec_of, fingerprint

Semantics = Literal["at_least_once", "at_most_once"]


@dataclass(frozen=True, slots=True)
class Options:
    """How a step is run, where the function's and the app's defaults don't say."""

    retry: Retry | None = None
    timeout: Duration | None = None
    semantics: Semantics = "at_least_once"
    model: Any = None
    undo: Callable[[Any], Any] | None = None
    undo_if_unknown: bool = False

    def __post_init__(self) -> None:
        if self.retry is not None and not isinstance(self.retry, Retry):
            raise ConfigurationError(f"retry= takes a Retry, and this is {self.retry!r}")
        if self.timeout is not None and parse_duration(self.timeout, "timeout=") <= timedelta():
            raise ConfigurationError(f"timeout= of a step is more than nothing, and this is {self.timeout!r}")
        if self.semantics not in ("at_least_once", "at_most_once"):
            raise ConfigurationError(
                f'semantics= is "at_least_once" or "at_most_once", and this is {self.semantics!r}'
            )
        if self.model is not None and not isinstance(self.model, type) and get_origin(self.model) is None:
            raise ConfigurationError(f"model= takes the type of the result, and this is {self.model!r}")
        if self.undo is not None and not callable(self.undo):
            raise ConfigurationError(
                f"undo= takes a function of the step's result, and this is {self.undo!r}; pass the function itself"
            )
        if not isinstance(self.undo_if_unknown, bool):
            raise ConfigurationError(
                f"undo_if_unknown= is True or False, and this is {self.undo_if_unknown!r}"
            )
        if self.undo_if_unknown and self.undo is None:
            raise ConfigurationError("undo_if_unknown= says when undo= is called, too, and there is no undo=")

    def policy(self, default: Retry) -> Retry:
        if self.semantics == "at_most_once":
            return self.retry or Retry.never()
        return self.retry or default

    def undoing(self, id: object, scope: Scope) -> Undo | None:
        """How a step of these options is undone. Raises ConfigurationError."""
        if self.undo is None:
            return None
        plain, _ = plain_function(self.undo, Options())
        if is_async(plain) and isinstance(scope.replay, SyncReplay):
            raise ConfigurationError(
                f"undo= of step {id!r} is an async function in a sync handler; make the handler `async def` with an "
                "AsyncContext, or hand in a plain function"
            )
        return Undo(plain, self.retry or scope.replay.retry, self.undo_if_unknown)

    def refuse_undo(self, what: str) -> None:
        """Raises ConfigurationError if there is an undo where it could not be kept."""
        if self.undo is not None:
            raise ConfigurationError(
                f"{what} does nothing that could be undone; give undo= to the steps that do: run, submit, map, poll, "
                "invoke, transact, send_event, send_signal"
            )

    @property
    def millis(self) -> int | None:
        """The timeout of an attempt in milliseconds."""
        return None if self.timeout is None else in_millis(parse_duration(self.timeout, "timeout="))

    def codec(self, fn: Callable[..., Any]) -> Codec:
        return codec_of(fn) if self.model is None else codec(self.model)


@dataclass(frozen=True, slots=True)
class Adapted:
    """A step's function, and how it is called where that is not just with its arguments."""

    call: Callable[..., Any]
    adapt: Callable[[Callable[..., Any]], Any]

    def __call__(self) -> Any:
        return self.adapt(self.call)


@dataclass(frozen=True, slots=True)
class DurableStep:
    """What `@app.step` knows of a function."""

    plain: Callable[..., Any]
    id: str
    options: Options


def plain_function(fn: Callable[..., Any], options: Options) -> tuple[Callable[..., Any], Options]:
    """The function to run, and how: one that `@app.step` made durable brings its own options along."""
    step = getattr(fn, "__durable_step__", None)
    if not isinstance(step, DurableStep):
        return fn, options
    own = step.options
    merged = Options(
        retry=options.retry or own.retry,
        timeout=own.timeout if options.timeout is None else options.timeout,
        semantics=own.semantics if options.semantics == "at_least_once" else options.semantics,
        model=own.model if options.model is None else options.model,
        undo=own.undo if options.undo is None else options.undo,
        undo_if_unknown=own.undo_if_unknown if options.undo is None else options.undo_if_unknown,
    )
    return step.plain, merged


def step_call(
    options: Options,
    id: object,
    fn: Callable[..., Any],
    args: Sequence[Any],
    kwargs: dict[str, Any],
    *,
    sync: bool,
    kind: Kind = Kind.RUN,
    scope: Scope | None = None,
) -> StepCall:
    fn, options = plain_function(_callable(id, fn), options)
    if sync:
        refuse_async(id, fn)
    scope = scope or scope_here()
    undo = options.undoing(id, scope)
    path, index = scope.name(id, kind)
    call = StepCall(
        path=path,
        kind=kind,
        scope=scope,
        index=index,
        call=functools.partial(fn, *args, **kwargs),
        retry=options.policy(scope.replay.retry),
        codec=options.codec(fn),
        at_most_once=options.semantics == "at_most_once",
        timeout=options.millis,
        undo=undo,
    )
    scope.undoable(call)
    return call


def sleep(options: Options, id: object, duration: Duration) -> Sleep:
    options.refuse_undo(f"step.sleep({id!r})")
    millis = in_millis(parse_duration(duration, f"step.sleep({id!r})"))
    return _sleep(id, lambda now: now + millis)


def sleep_until(options: Options, id: object, when: datetime) -> Sleep:
    options.refuse_undo(f"step.sleep_until({id!r})")
    at = to_millis(require_aware(when, f"step.sleep_until({id!r})"))
    if at - scope_here().now > in_millis(LONGEST):
        raise ConfigurationError(f"step.sleep_until({id!r}): {when.isoformat()} is more than ten years away")
    return _sleep(id, lambda _: at)


def _sleep(id: object, wake_at: Callable[[int], int]) -> Sleep:
    scope = scope_here()
    path, index = scope.name(id, Kind.SLEEP)
    return Sleep(path=path, kind=Kind.SLEEP, scope=scope, index=index, wake_at=wake_at)


def poll(
    options: Options,
    id: object,
    fn: Callable[..., Any],
    args: Sequence[Any],
    kwargs: dict[str, Any],
    *,
    until: Callable[[Any], object],
    every: Duration,
    timeout: Duration,
    sync: bool,
) -> StepCall:
    what = f"step.poll({id!r})"
    if not callable(until) or is_async(until):
        raise ConfigurationError(
            f"{what}: until= is a plain function of the result that says whether it will do, and this is {until!r}"
        )
    pace = Poll(
        until,
        max(in_millis(parse_duration(every, f"{what}, every=")), 1),
        in_millis(parse_duration(timeout, f"{what}, timeout=")),
    )
    call = step_call(options, id, fn, args, kwargs, sync=sync, kind=Kind.POLL)
    call.call = Adapted(call.call, functools.partial(_check, until))
    call.poll = pace
    return call


def _check(until: Callable[[Any], object], fn: Callable[[], Any]) -> Any:
    result = fn()
    return _check_later(until, result) if inspect.isawaitable(result) else (bool(until(result)), result)


async def _check_later(until: Callable[[Any], object], coming: Awaitable[Any]) -> tuple[bool, Any]:
    result = await coming
    return bool(until(result)), result


def group(
    options: Options,
    id: object,
    fn: Callable[..., Any],
    args: Sequence[Any],
    kwargs: dict[str, Any],
    *,
    sync: bool,
) -> Group:
    _callable(id, fn)
    options.refuse_undo(f"step.group({id!r})")
    if sync:
        refuse_async(id, fn)
    scope = scope_here()
    path, index = scope.name(id, Kind.GROUP)
    return Group(
        path=path,
        kind=Kind.GROUP,
        scope=scope,
        index=index,
        body=functools.partial(fn, *args, **kwargs),
        retry=options.retry or scope.replay.retry,
        codec=options.codec(fn),
        context=copy_context(),
    )


def parallel(
    options: Options, id: object, bodies: Sequence[Callable[[], Any]], max_concurrency: int | None
) -> FanOut:
    options.refuse_undo(f"step.parallel({id!r})")
    for body in bodies:
        _callable(id, body)
        refuse_async(id, body)
    keys = [str(index) for index in range(len(bodies))]
    codecs = [codec_of(body) for body in bodies]
    return _fan_out(Kind.PARALLEL, Options(), id, keys, bodies, codecs, max_concurrency)


def fan_out(
    kind: Kind,
    options: Options,
    id: object,
    fn: Callable[..., Any],
    items: Iterable[Any],
    *,
    key: Callable[[Any], str] | None,
    max_concurrency: int | None,
    return_exceptions: bool,
    sync: bool,
) -> FanOut:
    """A map or map_group."""
    fn, options = (
        plain_function(_callable(id, fn), options) if kind is Kind.MAP else (_callable(id, fn), options)
    )
    if sync:
        refuse_async(id, fn)
    if kind is Kind.MAP_GROUP:
        options.refuse_undo(f"step.map_group({id!r})")
    listed = list(items)
    keys = _keys(id, listed, key)
    bodies = [functools.partial(fn, item) for item in listed]
    undo = options.undoing(id, scope_here())
    codecs = [options.codec(fn)] * len(listed)
    op = _fan_out(kind, options, id, keys, bodies, codecs, max_concurrency)
    op.return_exceptions = return_exceptions
    op.undo = undo
    op.scope.undoable(op)
    if key is None:
        op.fingerprint = fingerprint(listed)
        if op.record is not None:
            op.check(op.record)
    return op


def _fan_out(
    kind: Kind,
    options: Options,
    id: object,
    keys: Sequence[str],
    bodies: Sequence[Callable[[], Any]],
    codecs: Sequence[Codec],
    max_concurrency: int | None,
) -> FanOut:
    if max_concurrency is not None and (
        not isinstance(max_concurrency, int) or isinstance(max_concurrency, bool) or max_concurrency < 1
    ):
        raise ConfigurationError(
            f"max_concurrency= of {id!r} is a whole number from 1, and this is {max_concurrency!r}"
        )
    scope = scope_here()
    path, index = scope.name(id, kind)
    return FanOut(
        path=path,
        kind=kind,
        scope=scope,
        index=index,
        keys=keys,
        bodies=bodies,
        codecs=codecs,
        retry=options.policy(scope.replay.retry),
        contexts=[copy_context() for _ in keys] if kind is not Kind.MAP else (),
        max_concurrency=max_concurrency,
        at_most_once=options.semantics == "at_most_once",
        timeout=options.millis,
    )


def _keys(id: object, items: Sequence[Any], key: Callable[[Any], str] | None) -> list[str]:
    if key is None:
        return [str(index) for index in range(len(items))]
    keys = []
    for item in items:
        name = key(item)
        if not isinstance(name, str) or not name:
            raise ConfigurationError(
                f"key= of {id!r} gave {name!r}; it must give each item a string that names it"
            )
        if len(name) > paths.LONGEST_ID:
            raise ConfigurationError(
                f"key= of {id!r} gave a name of {len(name)} characters; {paths.LONGEST_ID} are allowed"
            )
        keys.append(paths.check_id(name))
    if len(set(keys)) < len(keys):
        twice = next(name for name in keys if keys.count(name) > 1)
        raise ConfigurationError(f"key= of {id!r} gave two items the same name, {twice!r}")
    return keys


def _callable(id: object, fn: Any) -> Callable[..., Any]:
    if not callable(fn):
        hint = "; pass the function itself and its arguments after it" if fn is not None else ""
        raise ConfigurationError(f"step {id!r} takes a function, and this is {fn!r}{hint}")
    return fn  # type: ignore[no-any-return]


def is_async(fn: Callable[..., Any]) -> bool:
    while isinstance(fn, functools.partial):
        fn = fn.func
    if isinstance(fn, FunctionType):
        return inspect.iscoroutinefunction(fn)
    return inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(getattr(fn, "__call__", None))  # noqa: B004


def refuse_async(id: object, fn: Callable[..., Any]) -> None:
    if is_async(fn):
        raise ConfigurationError(
            f"step {id!r} got an async function in a sync handler, which cannot await it; make the handler "
            "`async def` with an AsyncContext, or hand in a plain function"
        )


def with_options(options: Options, **changes: Any) -> Options:
    return replace(options, **{name: value for name, value in changes.items() if value is not None})
