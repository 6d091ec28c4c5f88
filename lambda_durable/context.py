"""What a handler gets: its event, its steps, and what is the same on every replay."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from .async_steps import AsyncStep
from .durations import from_millis
from .engine.scope import scope_here
from .events import Event
from .publishing import publish
from .steps import Step

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger

Data = TypeVar("Data")


@dataclass(frozen=True)
class _Base(Generic[Data]):
    event: Event[Data]
    """What started the run; `event.data` is as the function's model has it. Of a batch, the first."""
    run_id: str
    """The same in every invocation; after `continue_as_new`, too."""
    function_id: str
    """The id that `@app.function` was given."""
    attempt: int
    """Which attempt of the code between steps this is, since the last new outcome; 1 is the first."""
    started_at: datetime
    """When the run was begun: the same on every replay."""
    _logger: Any
    _renew: Callable[[Any], NoReturn]
    _events: Sequence[Event[Data]] = ()

    @property
    def events(self) -> Sequence[Event[Data]]:
        """The events of a batch, in their order: by when they came first. Without one, the event."""
        return list(self._events) or [self.event]

    def now(self) -> datetime:
        """The time of the newest outcome that was seen: the same on every replay."""
        return from_millis(scope_here().now)

    @property
    def random(self) -> random.Random:
        """Random numbers, seeded by the run's id: the same on every replay."""
        return scope_here().random

    @property
    def logger(self) -> Logger:
        """A Powertools Logger that writes each line once, however often the handler is replayed."""
        return self._logger()  # type: ignore[no-any-return]

    def publish(self, topic: str, data: Any = None) -> None:
        """Tell those who follow the run (`client.follow`) something, under a topic: once, however often the handler
        is replayed. It is written before the next step begins, or when the handler ends.

        `data` is plain JSON when it comes, up to 32 KiB. Raises ConfigurationError for a topic that is none,
        SerializationError and PayloadTooLargeError. In a step's function it is `current_step().publish`.
        """
        publish(topic, data)

    def continue_as_new(self, data: Data) -> NoReturn:
        """Begin the run anew, with other data: the same run id, and a journal in which nothing is remembered. For
        loops that never end: each round costs as much as the first.

        `ctx.event` then has this data, and is the same otherwise; `ctx.started_at` stays. What still pends is
        abandoned, as at the handler's end. Raises EventDataError for data that the function's model refuses,
        PayloadTooLargeError, and ConfigurationError or NestedStepError inside a group, branch or step.
        """
        self._renew(data)


class Context(_Base[Data]):
    """The context of a `def` handler."""

    @property
    def step(self) -> Step:
        """What the handler does durably."""
        return Step()


class AsyncContext(_Base[Data]):
    """The context of an `async def` handler."""

    @property
    def step(self) -> AsyncStep:
        """What the handler does durably: as `Step`, with coroutines."""
        return AsyncStep()
