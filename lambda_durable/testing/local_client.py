"""The client of a LocalRuntime."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from ..client import Client
from ..durations import Duration, parse_duration
from ..function import App
from ..ports import World


class LocalClient(Client):
    """Who waits for a run lets virtual time pass: `pass_time` does so for as long as a run has not ended,
    but not for longer than it is told."""

    def __init__(
        self, app: App, *, world: World, pass_time: Callable[[timedelta, Callable[[], bool]], None]
    ) -> None:
        super().__init__(app, world=world)
        self._pass_time = pass_time

    def result(self, run_id: str, *, timeout: Duration) -> Any:
        self._pass_time(parse_duration(timeout, "result(timeout=)"), lambda: self._has_ended(run_id))
        return super().result(run_id, timeout="0s")

    def _wait(self, pause: timedelta, quiet: int) -> None:
        """Looks further ahead the longer nothing comes: days of sleep are a few looks."""
        longest = timedelta(days=1)
        self._pass_time(min(pause * 2 ** min(quiet, 20), max(longest, pause)), lambda: False)

    def _has_ended(self, run_id: str) -> bool:
        header = self._world.store.get_header(run_id)
        return header is not None and header.status.ended
