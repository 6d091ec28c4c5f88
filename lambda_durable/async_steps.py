"""`ctx.step` of an async handler: the methods of `Step`, each of which returns a coroutine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar, cast, overload

from . import calls, outside_calls
from .callbacks import Callback
from .calls import Options, Semantics
from .config import Retry
from .durations import Duration
from .engine.journal import Kind
from .engine.operations import Operation
from .errors import ConfigurationError, StepError
from .events import Event
from .outside_calls import OnConflict, OnParentEnd
from .signals import Signal

if TYPE_CHECKING:
    from .engine.asynchronous import AsyncReplay
    from .function import Function

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
R1 = TypeVar("R1")
R2 = TypeVar("R2")
R3 = TypeVar("R3")
R4 = TypeVar("R4")
D = TypeVar("D")

ReturnWhen = Literal["ALL_COMPLETED", "FIRST_COMPLETED", "FIRST_EXCEPTION"]


def _await(op: Operation) -> Coroutine[None, None, Any]:
    replay = op.scope.replay
    if not replay.is_async:
        raise ConfigurationError("an async step was called in a sync handler; its context is a Context")
    replay = cast("AsyncReplay", replay)
    op.awaitable = replay.call(op)
    replay.called.add(op)
    return op.awaitable


class AsyncStep:
    """The steps of an async handler. Each method returns a coroutine; run several at once with what Python
    has: `asyncio.gather`, `TaskGroup`, `create_task`, `asyncio.wait`."""

    # Coroutine[None, None, R] and not [Any, Any, R]: an Any in it makes the result of asyncio.gather an Any.

    __slots__ = ("_options",)

    def __init__(self, options: Options | None = None) -> None:
        self._options = options or Options()

    @overload
    def run(
        self, id: str, fn: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[None, None, R]: ...
    @overload
    def run(
        self, id: str, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[None, None, R]: ...
    def run(
        self, id: str, fn: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Coroutine[None, None, Any]:
        """As `Step.run`; `fn` may be async."""
        return _await(calls.step_call(self._options, id, fn, args, kwargs, sync=False))

    @overload
    def map(
        self,
        id: str,
        fn: Callable[[T], Awaitable[R]],
        items: Iterable[T],
        /,
        *,
        key: Callable[[T], str] | None = None,
        max_concurrency: int | None = None,
        return_exceptions: Literal[False] = False,
    ) -> Coroutine[None, None, list[R]]: ...
    @overload
    def map(
        self,
        id: str,
        fn: Callable[[T], R],
        items: Iterable[T],
        /,
        *,
        key: Callable[[T], str] | None = None,
        max_concurrency: int | None = None,
        return_exceptions: Literal[False] = False,
    ) -> Coroutine[None, None, list[R]]: ...
    @overload
    def map(
        self,
        id: str,
        fn: Callable[[T], Awaitable[R]],
        items: Iterable[T],
        /,
        *,
        key: Callable[[T], str] | None = None,
        max_concurrency: int | None = None,
        return_exceptions: bool,
    ) -> Coroutine[None, None, list[R | StepError]]: ...
    @overload
    def map(
        self,
        id: str,
        fn: Callable[[T], R],
        items: Iterable[T],
        /,
        *,
        key: Callable[[T], str] | None = None,
        max_concurrency: int | None = None,
        return_exceptions: bool,
    ) -> Coroutine[None, None, list[R | StepError]]: ...
    def map(
        self, id: str, fn: Callable[[Any], Any], items: Iterable[Any], /, **options: Any
    ) -> Coroutine[None, None, list[Any]]:
        """As `Step.map`; `fn` may be async."""
        return self._fan_out(Kind.MAP, id, fn, items, **options)

    @overload
    def map_group(
        self,
        id: str,
        fn: Callable[[T], Awaitable[R]],
        items: Iterable[T],
        /,
        *,
        key: Callable[[T], str] | None = None,
        max_concurrency: int | None = None,
        return_exceptions: Literal[False] = False,
    ) -> Coroutine[None, None, list[R]]: ...
    @overload
    def map_group(
        self,
        id: str,
        fn: Callable[[T], Awaitable[R]],
        items: Iterable[T],
        /,
        *,
        key: Callable[[T], str] | None = None,
        max_concurrency: int | None = None,
        return_exceptions: bool,
    ) -> Coroutine[None, None, list[R | StepError]]: ...
    def map_group(
        self, id: str, fn: Callable[[Any], Any], items: Iterable[Any], /, **options: Any
    ) -> Coroutine[None, None, list[Any]]:
        """As `Step.map_group`."""
        return self._fan_out(Kind.MAP_GROUP, id, fn, items, **options)

    def _fan_out(
        self,
        kind: Kind,
        id: str,
        fn: Callable[..., Any],
        items: Iterable[Any],
        *,
        key: Callable[[Any], str] | None = None,
        max_concurrency: int | None = None,
        return_exceptions: bool = False,
    ) -> Coroutine[None, None, list[Any]]:
        return _await(
            calls.fan_out(
                kind,
                self._options,
                id,
                fn,
                items,
                key=key,
                max_concurrency=max_concurrency,
                return_exceptions=return_exceptions,
                sync=False,
            )
        )

    def group(
        self, id: str, fn: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[None, None, R]:
        """As `Step.group`."""
        return _await(calls.group(self._options, id, fn, args, kwargs, sync=False))

    @overload
    def poll(
        self,
        id: str,
        fn: Callable[..., Awaitable[R]],
        /,
        *args: Any,
        until: Callable[[R], object],
        every: Duration,
        timeout: Duration,
        **kwargs: Any,
    ) -> Coroutine[None, None, R]: ...
    @overload
    def poll(
        self,
        id: str,
        fn: Callable[..., R],
        /,
        *args: Any,
        until: Callable[[R], object],
        every: Duration,
        timeout: Duration,
        **kwargs: Any,
    ) -> Coroutine[None, None, R]: ...
    def poll(
        self,
        id: str,
        fn: Callable[..., Any],
        /,
        *args: Any,
        until: Callable[[Any], object],
        every: Duration,
        timeout: Duration,
        **kwargs: Any,
    ) -> Coroutine[None, None, Any]:
        """As `Step.poll`; `fn` may be async."""
        op = calls.poll(
            self._options, id, fn, args, kwargs, until=until, every=every, timeout=timeout, sync=False
        )
        return _await(op)

    @overload
    def wait_for_event(
        self,
        id: str,
        event: str | Sequence[str],
        /,
        *,
        timeout: Duration,
        match: str | None = None,
        if_exp: str | None = None,
        model: None = None,
        lookback: Duration | None = None,
    ) -> Coroutine[None, None, Event[Any] | None]: ...
    @overload
    def wait_for_event(
        self,
        id: str,
        event: str | Sequence[str],
        /,
        *,
        timeout: Duration,
        match: str | None = None,
        if_exp: str | None = None,
        model: type[T],
        lookback: Duration | None = None,
    ) -> Coroutine[None, None, Event[T] | None]: ...
    def wait_for_event(
        self,
        id: str,
        event: str | Sequence[str],
        /,
        *,
        timeout: Duration,
        match: str | None = None,
        if_exp: str | None = None,
        model: Any = None,
        lookback: Duration | None = None,
    ) -> Coroutine[None, None, Event[Any] | None]:
        """As `Step.wait_for_event`."""
        return _await(
            outside_calls.wait_for_event(
                self._options,
                id,
                event,
                timeout=timeout,
                match=match,
                if_exp=if_exp,
                model=model,
                lookback=lookback,
            )
        )

    def wait_for_signal(
        self, id: str, signal: str, /, *, timeout: Duration, on_conflict: OnConflict = "fail"
    ) -> Coroutine[None, None, Signal | None]:
        """As `Step.wait_for_signal`."""
        return _await(
            outside_calls.wait_for_signal(self._options, id, signal, timeout=timeout, on_conflict=on_conflict)
        )

    @overload
    def wait_for_callback(
        self,
        id: str,
        submit: Callable[[Callback], object] | None = None,
        *,
        timeout: Duration,
        heartbeat: Duration | None = None,
        model: None = None,
    ) -> Coroutine[None, None, Any]: ...
    @overload
    def wait_for_callback(
        self,
        id: str,
        submit: Callable[[Callback], object] | None = None,
        *,
        timeout: Duration,
        heartbeat: Duration | None = None,
        model: type[T],
    ) -> Coroutine[None, None, T]: ...
    def wait_for_callback(
        self,
        id: str,
        submit: Callable[[Callback], object] | None = None,
        *,
        timeout: Duration,
        heartbeat: Duration | None = None,
        model: Any = None,
    ) -> Coroutine[None, None, Any]:
        """As `Step.wait_for_callback`; `submit` may be async."""
        return _await(
            outside_calls.wait_for_callback(
                self._options, id, submit, timeout=timeout, heartbeat=heartbeat, model=model, sync=False
            )
        )

    @overload
    def invoke(
        self,
        id: str,
        function: Function[D, R],
        data: D,
        /,
        *,
        timeout: Duration | None = None,
        on_parent_end: OnParentEnd = "cancel",
    ) -> Coroutine[None, None, R]: ...
    @overload
    def invoke(
        self,
        id: str,
        function: str,
        data: Any = None,
        /,
        *,
        timeout: Duration | None = None,
        on_parent_end: OnParentEnd = "cancel",
    ) -> Coroutine[None, None, Any]: ...
    def invoke(
        self,
        id: str,
        function: Any,
        data: Any = None,
        /,
        *,
        timeout: Duration | None = None,
        on_parent_end: OnParentEnd = "cancel",
    ) -> Coroutine[None, None, Any]:
        """As `Step.invoke`."""
        return _await(
            outside_calls.invoke(
                self._options, id, function, data, timeout=timeout, on_parent_end=on_parent_end
            )
        )

    def send_signal(self, id: str, signal: str, data: Any = None, /) -> Coroutine[None, None, bool]:
        """As `Step.send_signal`."""
        return _await(outside_calls.send_signal(self._options, id, signal, data))

    def transact(self, id: str, /, *items: Mapping[str, Any]) -> Coroutine[None, None, None]:
        """As `Step.transact`."""
        return _await(outside_calls.transact(self._options, id, items))

    def send_event(self, id: str, /, *events: Event[Any]) -> Coroutine[None, None, list[str]]:
        """As `Step.send_event`."""
        return _await(outside_calls.send_event(self._options, id, events))

    def sleep(self, id: str, duration: Duration) -> Coroutine[None, None, None]:
        """As `Step.sleep`."""
        return _await(calls.sleep(self._options, id, duration))

    def sleep_until(self, id: str, when: datetime) -> Coroutine[None, None, None]:
        """As `Step.sleep_until`."""
        return _await(calls.sleep_until(self._options, id, when))

    def options(
        self,
        *,
        retry: Retry | None = None,
        timeout: Duration | None = None,
        semantics: Semantics | None = None,
        model: Any = None,
        undo: Callable[[Any], object] | None = None,
        undo_if_unknown: bool = False,
    ) -> AsyncStep:
        """As `Step.options`."""
        changes = {"retry": retry, "timeout": timeout, "semantics": semantics, "model": model}
        changes |= {"undo": undo, "undo_if_unknown": undo_if_unknown or None}
        return AsyncStep(calls.with_options(self._options, **changes))
