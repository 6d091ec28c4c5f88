"""What a turn has to do, and when there will be more: kept by the news of its replay."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING

from ..engine.agenda import Agenda
from ..engine.operations import CallbackWait, Operation, Wait
from . import waits

if TYPE_CHECKING:
    from .turn import Turn


class Todo:
    """What is open in one replay, as its turn sees it: what can be started; what others may bring an end to; and what
    waits for its time."""

    def __init__(self, turn: Turn, agenda: Agenda) -> None:
        self._turn = turn
        self._agenda = agenda
        self._to_start: dict[str, Operation] = {}
        self._elsewhere: set[str] = set()
        self._times: list[tuple[int, str]] = []  # when something changes by itself
        self._wakes: list[tuple[int, str]] = []  # of these, when this invocation is to see to it

    def to_start(self) -> list[Operation]:
        """What can be started."""
        self.learn()
        self._to_start = {path: op for path, op in self._to_start.items() if self._turn.can_start(op)}
        return list(self._to_start.values())

    @property
    def is_here(self) -> bool:
        """Whether nothing else can bring another message back while this one is at work."""
        return not self._elsewhere

    def next_wake(self, now: int) -> int | None:
        """When the next of what waits for its time is to be seen to, after `now`."""
        while self._wakes:
            at, path = self._wakes[0]
            op = self._agenda.get(path)
            if at > now and op is not None and self._turn.wake_time(op) == at:
                return at
            heappop(self._wakes)
        return None

    def pass_time(self, now: int) -> bool:
        """See what has changed by `now`. Whether a sleep has ended that was open."""
        over = False
        while self._times and self._times[0][0] <= now:
            _, path = heappop(self._times)
            op = self._agenda.get(path)
            over = over or (op is not None and op.ended_at() is not None)
            self._agenda.note(path)
        return over

    def learn(self) -> None:
        """Take into account what has happened."""
        while news := self._agenda.news():
            for path, op in news:
                self._to_start.pop(path, None)
                self._elsewhere.discard(path)
                if op is not None:
                    self._see(path, op)

    def _see(self, path: str, op: Operation) -> None:
        turn = self._turn
        if isinstance(op, CallbackWait) and waits.look_up(turn.chain, op):
            self._agenda.note(path)  # and more is known of it now
        if isinstance(op, Wait) or turn.driven_elsewhere(op):
            self._elsewhere.add(path)
        if turn.can_start(op):
            self._to_start[path] = op
        at = turn.due(op.record) if op.record is not None else None
        if at is not None:
            heappush(self._times, (at, path))
            if turn.wake_time(op) is not None:
                heappush(self._wakes, (at, path))
