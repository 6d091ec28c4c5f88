"""A durable function: a handler, what starts it, and how it is run."""

from __future__ import annotations

import contextlib
import inspect
import json
import logging
import typing
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, get_args, get_origin, overload

from pydantic_core import ValidationError

from .calls import is_async
from .cancel_on import CancelOn
from .classes import is_model_class
from .config import Retry, StepsPerInvocation, Timeouts
from .context import AsyncContext, Context
from .errors import ConfigurationError, ErrorInfo, EventDataError
from .event_json import load_events
from .events import Event, Trigger
from .expressions import ExpressionError
from .flow_control import FlowControl
from .middleware import Middleware
from .parsing import read
from .serialization import Codec, codec_of
from .shapes import shape_of

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Data = TypeVar("Data")
Result = TypeVar("Result")
R = TypeVar("R")

logger = logging.getLogger(__name__)

LABELS = 3
LONGEST_LABEL = 256


@dataclass(frozen=True)
class Failure(Generic[Data]):
    """A run that has failed for good: what a function's `on_failure` handler gets as its event's data.

    `event` is the failed run's own, its data as the function's model has it (as it came, where that is what
    the model refused); `events` are all of them, where it was a batch.
    """

    event: Event[Data]
    error: ErrorInfo
    run_id: str
    function_id: str
    events: Sequence[Event[Data]] = ()


class Function(Generic[Data, Result]):
    """What `@app.function` makes of a handler. It is called by the runtime, never directly."""

    def __init__(
        self,
        id: str,
        handler: Callable[[Any], Any],
        triggers: Sequence[Trigger[Any]],
        *,
        retry: Retry,
        steps_per_invocation: StepsPerInvocation,
        labels: Callable[[Event[Data]], Sequence[str]] | None,
        timeouts: Timeouts,
        cancel_on: Sequence[CancelOn],
        version: str,
        pin: bool,
        flow: FlowControl,
        register: Callable[[Function[Any, Any]], None],
    ) -> None:
        self.id = id
        self.handler = handler
        self.triggers = tuple(triggers)
        self.retry = retry
        self.steps_per_invocation = steps_per_invocation
        self.is_async = is_async(handler)
        if self.is_async:
            from .engine import asynchronous  # noqa: F401  asyncio, in a cold start's time, and only for who uses it
        self.codec: Codec = codec_of(handler)
        self.failure_handler: Function[Failure[Data], Any] | None = None
        self.timeouts = timeouts
        self.cancel_on = tuple(cancel_on)
        self.version = version
        self.pin = pin
        self.flow = flow
        self.failed_conditions = 0  # times that the if_exp of a trigger failed on an event, in this process
        self._labels = labels
        self._register = register
        annotation = _context_annotation(handler)
        self._check_context(annotation)
        hint = self._data_type(annotation)
        self._data = None if hint is None or hint is Any else _DataType(hint)
        self.__name__ = getattr(handler, "__name__", id)
        self.__doc__ = getattr(handler, "__doc__", None)

    def _check_context(self, annotation: Any) -> None:
        kind = get_origin(annotation) or annotation
        if self.is_async and kind is Context:
            raise ConfigurationError(
                f"function {self.id!r} is `async def`, so its context is an AsyncContext"
            )
        if not self.is_async and kind is AsyncContext:
            raise ConfigurationError(
                f"function {self.id!r} is a plain `def`, so its context is a Context; or make it `async def`"
            )

    def _data_type(self, annotation: Any) -> Any:
        models = [trigger.model for trigger in self.triggers if trigger.model is not None]
        if len(self.triggers) == 1 and models:
            return models[0]
        said = get_args(annotation)
        return said[0] if said and not isinstance(said[0], TypeVar) else None

    @overload
    def on_failure(
        self, handler: Callable[[AsyncContext[Failure[Data]]], Awaitable[R]], /
    ) -> Function[Failure[Data], R]: ...
    @overload
    def on_failure(self, handler: Callable[[Context[Failure[Data]]], R], /) -> Function[Failure[Data], R]: ...
    def on_failure(self, handler: Callable[[Any], Any], /) -> Function[Any, Any]:
        """Run a handler, durably and as a run of its own, once a run of this function has failed for good; not
        after it was cancelled. Its `ctx.event.data` is a Failure."""
        if self.failure_handler is not None:
            raise ConfigurationError(f"function {self.id!r} has two on_failure handlers")
        function = _FailureFunction(self, handler)
        self.failure_handler = function
        self._register(function)
        return function

    def wants(self, event: Event[Any]) -> bool:
        """Whether one of its triggers takes the event. One whose condition fails on it does not; that is logged, and
        counted in `failed_conditions`."""
        return any(self._accepts(trigger, event) for trigger in self.triggers)

    def _accepts(self, trigger: Trigger[Any], event: Event[Any]) -> bool:
        try:
            return trigger.accepts(event)
        except ExpressionError as error:
            self.failed_conditions += 1
            logger.warning(
                "if_exp of a trigger of function %r failed on event %r (%r), which therefore does not start it: %s",
                self.id,
                event.name,
                event.id,
                error.error_type,
                extra={"function_id": self.id, "event_id": event.id},
            )
            return False

    @cached_property
    def no_data(self) -> Any:
        """What stands for the data of a run that was given none: {}, or None where the function's type takes that
        and not {}."""
        return None if self._takes(None) and not self._takes({}) else {}

    def _takes(self, data: object) -> bool:
        try:
            if self._data is not None:
                self._data.of(data)
        except Exception:  # ValidationError, or what a validator of the user's own raises
            return False
        return True

    def validate(self, event: Event[Any]) -> Event[Data]:
        """The event with its data as the function's model. Raises EventDataError naming the field."""
        if self._data is None:
            return event
        try:
            data = self._data.of(event.data)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(["data", *map(str, first["loc"])])
            more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
            raise EventDataError(
                f"event {event.name!r} ({event.id}) does not fit {error.title}: {where}: {first['msg']}{more}"
            ) from None
        except Exception as error:
            raise EventDataError(
                f"event {event.name!r} ({event.id}): its model raised {type(error).__name__}: {error}"
            ) from error
        return Event(event.name, data, event.id, event.time, event.source, event.carried)

    def validate_all(self, events: Sequence[Event[Any]]) -> list[Event[Data]]:
        """The events of a batch, or the one. Raises EventDataError, which says which it is."""
        valid = []
        for number, event in enumerate(events, 1):
            try:
                valid.append(self.validate(event))
            except EventDataError as error:
                if len(events) == 1:
                    raise
                raise EventDataError(f"{number} of the {len(events)} of its batch: {error}") from error
        return valid

    def labels(self, event: Event[Any]) -> tuple[str, ...]:
        """What to find its runs by."""
        if self._labels is None:
            return ()
        found = self._labels(self.validate(event))
        labels = tuple(found)[:LABELS]
        if isinstance(found, str) or not all(isinstance(label, str) for label in labels):
            raise ConfigurationError(
                f"labels= of function {self.id!r} gives up to {LABELS} strings, not {found!r}"
            )
        return tuple(label[:LONGEST_LABEL] for label in labels if label)

    def call(self, **context: Any) -> Any:
        """Run the handler on a context."""
        kind: Any = AsyncContext if self.is_async else Context
        return self.handler(kind(**context))

    def __call__(self, *_: Any, **__: Any) -> Any:
        raise ConfigurationError(
            f"function {self.id!r} is durable and is not called directly: send an event, use client.start(...), "
            "or LocalRuntime.run(...) in a test"
        )

    def __repr__(self) -> str:
        return f"Function({self.id!r})"


class _FailureFunction(Function[Any, Any]):
    """An `on_failure` handler. Its id holds what no other function's may: a slash."""

    def __init__(self, of: Function[Any, Any], handler: Callable[[Any], Any]) -> None:
        super().__init__(
            f"{of.id}/on_failure",
            handler,
            (),
            retry=of.retry,
            steps_per_invocation=of.steps_per_invocation,
            labels=None,
            timeouts=Timeouts(),
            cancel_on=(),
            version=of.version,
            pin=of.pin,
            flow=FlowControl(function_id=f"{of.id}/on_failure"),
            register=of._register,
        )
        self._of = of

    def on_failure(self, _: Callable[[Any], Any], /) -> Function[Any, Any]:
        raise ConfigurationError(f"{self.id!r} handles failures itself, and has no on_failure of its own")

    def validate(self, event: Event[Any]) -> Event[Any]:
        kept = event.data
        failed = load_events(json.dumps(kept["event"]))
        for place, each in enumerate(failed):
            with contextlib.suppress(EventDataError):
                failed[place] = self._of.validate(each)
        failure = Failure(
            event=failed[0],
            error=read(ErrorInfo, kept["error"]),
            run_id=kept["run_id"],
            function_id=kept["function_id"],
            events=failed,
        )
        return replace(event, data=failure)

    def _data_type(self, _: Any) -> Any:
        return None


def failure_data(event_text: str, error: ErrorInfo, run_id: str, function_id: str) -> dict[str, Any]:
    """A Failure as plain JSON values."""
    kept = asdict(error)
    return {"event": json.loads(event_text), "error": kept, "run_id": run_id, "function_id": function_id}


def _context_annotation(handler: Callable[..., Any]) -> Any:
    """What the handler says of its first parameter."""
    parameters = list(inspect.signature(handler).parameters.values())
    if not parameters:
        raise ConfigurationError(
            f"handler {handler!r} takes no context; write `def handler(ctx: Context[Data])`"
        )
    try:
        hints = typing.get_type_hints(handler)
    except Exception:
        return None
    return hints.get(parameters[0].name)


class _DataType:
    """What the data of a function's events is. Raises ConfigurationError for what nothing can be validated by."""

    def __init__(self, hint: Any) -> None:
        self._hint = hint
        self._shape = shape_of(hint)
        if self._shape is None:
            _ = self._adapter  # a mistake is to show at once

    @cached_property
    def _adapter(self) -> TypeAdapter[Any]:
        from pydantic import TypeAdapter

        try:
            return TypeAdapter(self._hint)
        except Exception as error:
            if isinstance(self._hint, type) and is_model_class(self._hint):
                raise
            raise ConfigurationError(
                f"{self._hint!r} cannot be the type of an event's data: {error}"
            ) from None

    def of(self, data: object) -> Any:
        """The data as its type has it. Raises ValidationError, or what a validator of the user's own raises."""
        if self._shape is not None and self._shape.fits(data):
            return data
        return self._adapter.validate_python(data)


class App(Protocol):
    """What a worker and a client need of an app."""

    @property
    def id(self) -> str: ...
    @property
    def functions(self) -> Mapping[str, Function[Any, Any]]: ...
    @property
    def max_output(self) -> int: ...
    @property
    def middleware(self) -> tuple[Middleware, ...]: ...
    @property
    def middleware_errors(self) -> Counter[str]: ...
