"""How far the local cloud's clock is ahead: who skips a sleep does so for the cloud, its workers, and the commands.

It imports nothing of this package: the cloud's own interpreter may not have it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

VARIABLE = "LAMBDA_DURABLE_AHEAD"
"""Names the file that says by how many seconds; a process without it goes by the host's clock."""


class Ahead:
    """The file, which the clock of each process that follows it obeys."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._written = 0

    @property
    def seconds(self) -> float:
        try:
            return float(self.path.read_text())
        except FileNotFoundError:
            return 0.0

    def add(self, by: timedelta) -> None:
        """Skip so much, for all who follow."""
        new = self.path.with_suffix(".new")
        new.write_text(str(self.seconds + by.total_seconds()))
        new.replace(self.path)
        self.follow()

    def follow(self) -> None:
        """Set this process's clock, for all that it runs, as the file says now."""
        try:
            written = self.path.stat().st_mtime_ns
        except FileNotFoundError:
            return
        if written != self._written:
            self._written = written
            _clock.go(self.seconds)


class _Clock:
    """This process's."""

    def __init__(self) -> None:
        self._ahead = 0.0
        self._traveller: Any = None

    def go(self, ahead: float) -> None:
        further = timedelta(seconds=ahead - self._ahead)
        self._ahead = ahead
        if self._traveller is not None:
            self._traveller.shift(further)
        elif further:
            import time_machine

            self._traveller = time_machine.travel(datetime.now().astimezone() + further).start()


_clock = _Clock()
