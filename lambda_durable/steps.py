"""`ctx.step`: what a handler can do durably. Signatures stand twice, for sync and async; bodies once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar, cast, overload

from . import calls, outside_calls
from .callbacks import Callback
from .calls import Options, Semantics
from .config import Retry
from .durations import Duration
from .engine.journal import Kind
from .errors import StepError
from .events import Event
from .futures import ReturnWhen, StepFuture, block, settled
from .outside_calls import OnConflict, OnParentEnd
from .signals import Signal

if TYPE_CHECKING:
    from .function import Function

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
R1 = TypeVar("R1")
R2 = TypeVar("R2")
R3 = TypeVar("R3")
R4 = TypeVar("R4")
D = TypeVar("D")


class Step:
    """The steps of a sync handler."""

    __slots__ = ("_options",)

    def __init__(self, options: Options | None = None) -> None:
        self._options = options or Options()

    def run(self, id: str, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run `fn(*args, **kwargs)` once, durably: its result is kept, and every replay gets that.

        An attempt that raises is retried as the policy says; the last one's error is raised as StepError.
        """
        return cast(R, block(calls.step_call(self._options, id, fn, args, kwargs, sync=True)))

    def submit(self, id: str, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> StepFuture[R]:
        """Start a step that runs in parallel to what follows."""
        op = calls.step_call(self._options, id, fn, args, kwargs, sync=True)
        op.scope.add(op)
        return StepFuture(op)

    def wait(
        self, futures: Iterable[StepFuture[Any]], /, *, return_when: ReturnWhen = "ALL_COMPLETED"
    ) -> tuple[tuple[StepFuture[Any], ...], tuple[StepFuture[Any], ...]]:
        """Wait for submitted steps; returns those that have ended and those that have not, both in the
        order in which they were given. Who came first is remembered."""
        return settled(list(futures), return_when)

    @overload
    def parallel(
        self, id: str, b1: Callable[[], R1], /, *, max_concurrency: int | None = None
    ) -> tuple[R1]: ...
    @overload
    def parallel(
        self, id: str, b1: Callable[[], R1], b2: Callable[[], R2], /, *, max_concurrency: int | None = None
    ) -> tuple[R1, R2]: ...
    @overload
    def parallel(
        self,
        id: str,
        b1: Callable[[], R1],
        b2: Callable[[], R2],
        b3: Callable[[], R3],
        /,
        *,
        max_concurrency: int | None = None,
    ) -> tuple[R1, R2, R3]: ...
    @overload
    def parallel(
        self,
        id: str,
        b1: Callable[[], R1],
        b2: Callable[[], R2],
        b3: Callable[[], R3],
        b4: Callable[[], R4],
        /,
        *,
        max_concurrency: int | None = None,
    ) -> tuple[R1, R2, R3, R4]: ...
    @overload
    def parallel(
        self, id: str, /, *branches: Callable[[], Any], max_concurrency: int | None = None
    ) -> tuple[Any, ...]: ...
    def parallel(
        self, id: str, /, *branches: Callable[[], Any], max_concurrency: int | None = None
    ) -> tuple[Any, ...]:
        """Run branches side by side, each of which may call steps; those of the first are `id[0]/...`.

        On a failure no further branch begins, those that run come to their end, and the lowest failed
        branch's error is raised.
        """
        return cast(tuple[Any, ...], block(calls.parallel(self._options, id, branches, max_concurrency)))

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
    ) -> list[R]: ...
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
    ) -> list[R | StepError]: ...
    def map(
        self,
        id: str,
        fn: Callable[[T], R],
        items: Iterable[T],
        /,
        *,
        key: Callable[[T], str] | None = None,
        max_concurrency: int | None = None,
        return_exceptions: bool = False,
    ) -> list[R] | list[R | StepError]:
        """Run `fn(item)` for each item, a step each: `id[0]`, `id[1]`, ..., or `id[<key(item)>]`.

        On a failure no further item begins, those that run come to their end, and the lowest failed item's
        error is raised; with `return_exceptions` its StepError stands in the list. Raises DeterminismError
        if a list without `key` is another one on a replay.
        """
        return cast(
            list[R],
            block(
                calls.fan_out(
                    Kind.MAP,
                    self._options,
                    id,
                    fn,
                    items,
                    key=key,
                    max_concurrency=max_concurrency,
                    return_exceptions=return_exceptions,
                    sync=True,
                )
            ),
        )

    @overload
    def map_group(
        self,
        id: str,
        fn: Callable[[T], R],
        items: Iterable[T],
        /,
        *,
        key: Callable[[T], str] | None = None,
        max_concurrency: int | None = None,
        return_exceptions: Literal[False] = False,
    ) -> list[R]: ...
    @overload
    def map_group(
        self,
        id: str,
        fn: Callable[[T], R],
        items: Iterable[T],
        /,
        *,
        key: Callable[[T], str] | None = None,
        max_concurrency: int | None = None,
        return_exceptions: bool,
    ) -> list[R | StepError]: ...
    def map_group(
        self,
        id: str,
        fn: Callable[[T], R],
        items: Iterable[T],
        /,
        *,
        key: Callable[[T], str] | None = None,
        max_concurrency: int | None = None,
        return_exceptions: bool = False,
    ) -> list[R] | list[R | StepError]:
        """As `map`, but `fn` is handler code that calls steps: those of the first item are `id[0]/...`."""
        return cast(
            list[R],
            block(
                calls.fan_out(
                    Kind.MAP_GROUP,
                    self._options,
                    id,
                    fn,
                    items,
                    key=key,
                    max_concurrency=max_concurrency,
                    return_exceptions=return_exceptions,
                    sync=True,
                )
            ),
        )

    def group(self, id: str, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run `fn(*args, **kwargs)`, which calls steps, in a scope of its own: they are named `id/...`. Once
        it is done a replay loads only its result. What fails inside is raised outside as it was."""
        return cast(R, block(calls.group(self._options, id, fn, args, kwargs, sync=True)))

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
    ) -> R:
        """Call `fn(*args, **kwargs)`, a short step each time, `every` so often until `until(result)` is true;
        returns that result. The last check is at the deadline; then StepTimeoutError is raised. A check that
        raises is retried as the policy says.
        """
        op = calls.poll(
            self._options, id, fn, args, kwargs, until=until, every=every, timeout=timeout, sync=True
        )
        return cast(R, block(op))

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
    ) -> Event[Any] | None: ...
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
    ) -> Event[T] | None: ...
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
    ) -> Event[Any] | None:
        """Wait for an event of a name, or of one of several: the first to come. None on timeout.

        `match` is a path whose value must be equal in the run's own event and in this one; `if_exp` is CEL over
        `event` (the run's own) and `async` (this one). With `lookback`, one that came up to that long before
        the wait counts too. `model` is a pydantic model of its data.
        """
        return cast(
            "Event[Any] | None",
            block(
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
            ),
        )

    def wait_for_signal(
        self, id: str, signal: str, /, *, timeout: Duration, on_conflict: OnConflict = "fail"
    ) -> Signal | None:
        """Wait for a signal by its name, which one run at a time may wait for. None on timeout.

        Raises SignalConflictError when somebody waits for it already; with `on_conflict="replace"` that one
        gets the error.
        """
        return cast(
            "Signal | None",
            block(
                outside_calls.wait_for_signal(
                    self._options, id, signal, timeout=timeout, on_conflict=on_conflict
                )
            ),
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
    ) -> Any: ...
    @overload
    def wait_for_callback(
        self,
        id: str,
        submit: Callable[[Callback], object] | None = None,
        *,
        timeout: Duration,
        heartbeat: Duration | None = None,
        model: type[T],
    ) -> T: ...
    def wait_for_callback(
        self,
        id: str,
        submit: Callable[[Callback], object] | None = None,
        *,
        timeout: Duration,
        heartbeat: Duration | None = None,
        model: Any = None,
    ) -> Any:
        """Wait until the outside world hands a token back with a result, and return that, as `model` says.

        `submit(callback)` tells it of `callback.token`; it is a step of its own, `id/submit`, and if it fails for
        good, its error is raised. Raises CallbackError when the outside world reports a failure, or a result
        that `model` refuses; StepTimeoutError after `timeout`, or when there was no heartbeat for `heartbeat`.
        """
        return block(
            outside_calls.wait_for_callback(
                self._options, id, submit, timeout=timeout, heartbeat=heartbeat, model=model, sync=True
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
    ) -> R: ...
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
    ) -> Any: ...
    def invoke(
        self,
        id: str,
        function: Any,
        data: Any = None,
        /,
        *,
        timeout: Duration | None = None,
        on_parent_end: OnParentEnd = "cancel",
    ) -> Any:
        """Run another durable function, by object or id, as a run of its own; returns its output.

        Raises InvokeError if it failed, was cancelled or skipped, and StepTimeoutError if it took longer than
        `timeout`. It is cancelled when it timed out or when this run ends first, unless `on_parent_end` is
        "leave".
        """
        return block(
            outside_calls.invoke(
                self._options, id, function, data, timeout=timeout, on_parent_end=on_parent_end
            )
        )

    def send_signal(self, id: str, signal: str, data: Any = None, /) -> bool:
        """Send a signal to the run that waits for it. Whether one did."""
        return cast(bool, block(outside_calls.send_signal(self._options, id, signal, data)))

    def transact(self, id: str, /, *items: Mapping[str, Any]) -> None:
        """Write up to 99 items of your own, and the outcome of this step, in one DynamoDB transaction: exactly
        once, or not at all.

        `items` are entries of TransactWriteItems, in the format of a low-level client; any tables, with
        conditions. Raises TransactionError when a condition fails, which is not retried; a conflict with
        another transaction is.
        """
        block(outside_calls.transact(self._options, id, items))

    def send_event(self, id: str, /, *events: Event[Any]) -> list[str]:
        """Publish events; returns their ids, which are the same for every attempt."""
        return cast("list[str]", block(outside_calls.send_event(self._options, id, events)))

    def sleep(self, id: str, duration: Duration) -> None:
        """Sleep, for up to ten years, without anything running meanwhile."""
        block(calls.sleep(self._options, id, duration))

    def sleep_until(self, id: str, when: datetime) -> None:
        """Sleep until an aware datetime; one in the past is at once."""
        block(calls.sleep_until(self._options, id, when))

    def options(
        self,
        *,
        retry: Retry | None = None,
        timeout: Duration | None = None,
        semantics: Semantics | None = None,
        model: Any = None,
        undo: Callable[[Any], object] | None = None,
        undo_if_unknown: bool = False,
    ) -> Step:
        """The same steps with other defaults: `ctx.step.options(retry=Retry.never()).run("charge", ...)`.

        `semantics="at_most_once"`: one attempt ever, which fails if it dies without telling how it ended;
        with `retry` beside it, at most once per attempt. `timeout`: how long an attempt may take; one that
        takes longer is a StepTimeoutError, and tried again by the policy. `model`: the type of the result,
        instead of the function's return annotation.

        `undo(result)` undoes what the step did when the run fails or is cancelled: as a durable step of its own,
        `undo/<path>`, in reverse order of commit. With `undo_if_unknown` it is called with None, too, when an
        attempt died without telling whether its effect happened.
        """
        changes = {"retry": retry, "timeout": timeout, "semantics": semantics, "model": model}
        changes |= {"undo": undo, "undo_if_unknown": undo_if_unknown or None}
        return Step(calls.with_options(self._options, **changes))
