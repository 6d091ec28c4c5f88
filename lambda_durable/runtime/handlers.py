"""A handler is called: by the worker, by who looks for what is to be undone, and by who verifies a recorded run."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from ..durations import from_millis
from ..engine.journal import Header
from ..engine.replay import Replay
from ..events import Event
from ..function import Function
from .hooks import Hooks
from .logs import HandlerLog
from .renewal import renew


def play(
    replay: Replay,
    function: Function[Any, Any],
    header: Header,
    events: Sequence[Event[Any]],
    hooks: Hooks,
    log: HandlerLog,
    *,
    attempt: int,
    max_output: int,
) -> Any:
    """Replay the handler of a run with its (valid) events; what it returned. Raises what it raised, and Interrupts.
    `attempt` is that of the code between steps; `log` takes the handler's lines."""
    call = partial(
        function.call,
        event=events[0],
        _events=events,
        run_id=header.run_id,
        function_id=function.id,
        attempt=attempt,
        started_at=from_millis(header.created),
        _logger=log.logger,
        _renew=partial(renew, function, replay, max_output),
    )
    return log.hear(hooks.around_handler, header, events[0], partial(replay.run, call))
