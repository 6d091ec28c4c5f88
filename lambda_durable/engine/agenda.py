"""The agenda of a replay: what its code waits for, kept as things happen.

Whatever happens to an operation is noted by its path: it is called, entered, left or abandoned, its record is written,
it is handed out, its time comes. Who has to know is told of what was noted, and looks through nothing else: what a
branch costs must not grow with the number of its siblings.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from . import paths
from .operations import Operation

if TYPE_CHECKING:
    from .replay import Replay


class Agenda:
    """What one replay waits for. The driver asks for news of operations, and fan-outs for those of their branches."""

    def __init__(self, replay: Replay) -> None:
        self._replay = replay
        self._noted = replay.journal.changed
        self._noted.clear()
        self._open: dict[str, Operation] = {}
        self._news: dict[str, None] = {}
        self._branches: dict[str, list[str]] = {}

    def note(self, path: str) -> None:
        """Something has happened to an operation."""
        self._noted[path] = None

    def open(self) -> Collection[Operation]:
        """What waits for an outcome and could be worked on here: steps and sleeps, and groups and fan-outs that are not
        entered."""
        self.settle()
        return self._open.values()

    def get(self, path: str) -> Operation | None:
        """An operation, if it was open when somebody looked last."""
        return self._open.get(path)

    def has(self, path: str) -> bool:
        return path in self._open

    def news(self) -> list[tuple[str, Operation | None]]:
        """What something has happened to since the last time; with the operation, if it is open."""
        self.settle()
        news, self._news = self._news, {}
        return [(path, self._open.get(path)) for path in news]

    def branches(self) -> dict[str, list[str]]:
        """The fan-outs that were entered since the last time, or whose branches something has happened to; and
        those."""
        self.settle()
        found, self._branches = self._branches, {}
        return found

    def settle(self) -> None:
        """Look at what was noted."""
        while self._noted:
            noted = list(self._noted)
            self._noted.clear()
            for path in noted:
                self._look_at(path)

    def _look_at(self, path: str) -> None:
        replay = self._replay
        entered = replay.entered.get(path)
        if entered is not None:
            if entered.abandoned or entered.ended_at() is not None:
                self._noted.update((each, None) for scope in replay.within(path) for each in scope.pending)
            self._branches.setdefault(path, [])
        if paths.is_branch(path):
            self._branches.setdefault(paths.parent(path), []).append(path)
        self._judge(path)
        op = replay.pending(path) or replay.pending(paths.parent(path))
        for part in op.together() if op is not None else ():
            self._judge(part.path)
        replay.noticed(path)

    def _judge(self, path: str) -> None:
        """See whether an operation is open."""
        self._news[path] = None
        op = self._find(path)
        if op is None:
            self._open.pop(path, None)
        else:
            self._open[path] = op

    def _find(self, path: str) -> Operation | None:
        replay = self._replay
        called = op = replay.pending(path)
        if called is None and (called := replay.pending(paths.parent(path))) is not None:
            op = next((part for part in called.parts() if part.path == path), None)
        if op is None or called is None or called.ended_at() is not None or path in replay.entered:
            return None
        return op if replay.concerns(op) and not replay.cut_off(called.scope) else None
