"""`ctx.logger` and `ctx.publish`: each line and message once, however often the handler is replayed.

The lines of a handler are held back until what follows them happens for the first time: a step that the
journal does not know begins, or the handler ends. Where it does know the step, they were written before.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from ..engine import paths
from ..engine.replay import Replay
from ..engine.scope import current_scope, current_task
from ..step_info import running_step
from .feeds import Feed, Outbox

if TYPE_CHECKING:
    import asyncio

P = ParamSpec("P")
T = TypeVar("T")

_current: ContextVar[HandlerLog | None] = ContextVar("lambda_durable.log", default=None)


class HandlerLog:
    """The lines of one replay."""

    def __init__(self, replay: Replay, function_id: str, feed: Feed | None = None) -> None:
        self._outbox = Outbox(feed, replay.journal_id)
        self._replay = replay
        self._function_id = function_id
        self._counts: dict[str, int] = {}
        self._held: list[tuple[asyncio.Task[Any] | None, str, logging.Logger, logging.LogRecord]] = []
        replay.log = self

    def hear(self, handler: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run the handler, and take the lines that are written meanwhile; who writes later is none of its."""
        before = _current.set(self)
        try:
            return handler(*args, **kwargs)
        finally:
            _current.reset(before)

    def logger(self) -> Any:
        return _powertools_logger(self._function_id)

    def take(self, logger: logging.Logger, record: logging.LogRecord) -> bool:
        """Bind a line to its run. Whether it is to be written at once."""
        record.run_id = self._replay.run_id
        record.function_id = self._function_id
        step = running_step.get()
        if step is not None:
            record.step_id, record.attempt = step.step_id, step.attempt
            return True
        scope = current_scope.get(None)
        path = scope.path if scope is not None else ""
        self._counts[path] = self._counts.get(path, 0) + 1
        if self._counts[path] > self._replay.journal.lines.get(path, 0):
            self._held.append((current_task(), path, logger, record))
        return False

    def counts(self) -> dict[str, int]:
        return dict(self._counts)

    def publish(self, scope: str, topic: str, text: str) -> None:
        self._outbox.add(scope, topic, text)

    @property
    def has_messages(self) -> bool:
        """Whether there are messages that may have to be published."""
        return self._outbox.pending(self._replay.focus)

    def known(self, scope: str, *, recorded: bool) -> None:
        """The running task calls a step that the journal knows: its lines so far were written before, and
        those of tasks that have ended."""
        if recorded:
            self._outbox.known(scope)
        if self._held:
            task = current_task()
            self._held = [line for line in self._held if line[0] is not task and not _has_ended(line[0])]

    def decided(self) -> None:
        """Something is about to happen for the first time, and what led to it is agreed upon."""
        self.flush()
        self._outbox.flush(self._replay.focus)

    def flush(self) -> None:
        """Something happens for the first time: write what led to it."""
        held, self._held = self._held, []
        focus = self._replay.focus
        for _, scope, logger, record in held:
            if not focus or paths.within(scope, focus):
                logger.callHandlers(record)


class _Holding(logging.Filter):
    """Hands the lines of a handler to its log."""

    def __init__(self, logger: logging.Logger) -> None:
        super().__init__()
        self._logger = logger

    def filter(self, record: logging.LogRecord) -> bool:
        log = _current.get()
        return log is None or log.take(self._logger, record)


@cache
def _powertools_logger(function_id: str) -> Any:
    from aws_lambda_powertools import Logger

    logger = Logger(service=function_id)
    wrapped = logging.getLogger(function_id)
    wrapped.addFilter(_Holding(wrapped))
    return logger


def _has_ended(task: asyncio.Task[Any] | None) -> bool:
    return task is not None and task.done()
