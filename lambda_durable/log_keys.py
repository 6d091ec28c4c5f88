"""What every line of the log says of where it was written: which run, which step."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Final

_NONE: Final = MappingProxyType[str, object]({})
_keys: ContextVar[MappingProxyType[str, object]] = ContextVar("lambda_durable.log_keys", default=_NONE)


class RunKeys(logging.Filter):
    """Gives each line that passes it `run_id`, `function_id`, `step_id` and `attempt`, as far as they are known where
    it was written, and drops none. What a line has of its own (`extra=`) stays.

    On Lambda it is on the handlers of the root logger, so lines of `logging` have them. A logger with a handler of
    its own, as one of Powertools, takes them by `logger.addFilter(RunKeys())`.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        for name, value in _keys.get().items():
            if not hasattr(record, name):
                setattr(record, name, value)
        return True


RUN_KEYS: Final = RunKeys()


def bind(**keys: object) -> None:
    """Give keys to lines that are written in this context from now on."""
    _keys.set(MappingProxyType({**_keys.get(), **keys}))


@contextmanager
def bound(**keys: object) -> Iterator[None]:
    """Give keys to the lines that are written meanwhile; what is bound in between ends with it."""
    before = _keys.set(MappingProxyType({**_keys.get(), **keys}))
    try:
        yield
    finally:
        _keys.reset(before)
