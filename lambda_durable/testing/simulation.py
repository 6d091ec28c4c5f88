"""A discrete-event simulation: virtual time, and processes of which one runs at a time.

A process has a thread of its own, because an invocation may be paused while its event loop runs, and a
thread has but one running loop. The threads never run together: whoever runs holds the baton, and hands
it back to the event loop here (`run_until`), which jumps to the next event and hands it on. So the order
of everything follows from the seed.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable
from contextvars import copy_context
from datetime import datetime, timedelta
from random import Random

from ..runtime.threads import run_in_thread

Action = Callable[[], None]


class Crashed(BaseException):
    """Ends a process as a killed Lambda ends: nothing may catch it and go on."""


class Simulation:
    """Virtual time from `start` on, and what is to happen in it.

    With `interleave`, a process may be paused at each of its yield points, and what else is due then
    happens first, in random order; without, what is due at one time happens in the order it was asked for.
    """

    def __init__(self, seed: int | str, start: datetime, *, interleave: bool = False) -> None:
        self.now = start
        self._start = start
        self._seed = seed
        self._events: list[tuple[datetime, float, int, Action]] = []
        self._asked = 0
        self._running: Process | None = None
        self._paused: dict[Process, None] = {}
        self._order = self.random("order") if interleave else None
        # Few switches find other bugs than many: which it is depends on the seed.
        self._restlessness = self._order.uniform(0.1, 0.7) if self._order else 0.0

    def random(self, purpose: str) -> Random:
        """A source of randomness of its own, so that one purpose's draws don't shift another's."""
        return Random(f"{self._seed}/{purpose}")

    def monotonic(self) -> float:
        return (self.now - self._start).total_seconds()

    def current(self) -> Process | None:
        """The process whose thread this is called in; None outside of one."""
        running = self._running
        return running if running is not None and running.thread == threading.get_ident() else None

    def at(self, when: datetime, action: Action) -> None:
        """Have `action` called at `when`, or now if that is past."""
        self._push(when, self._order.random() if self._order else 0.0, action)

    def spawn(
        self,
        body: Callable[[Process], None],
        *,
        deadline: datetime | None = None,
        ended: Callable[[BaseException | None], None] | None = None,
    ) -> Process:
        """Start a process; returns when it has paused or ended. `ended` is told what it raised."""
        process = Process(self, deadline, ended)
        self._paused[process] = None
        process._begin(body)
        return process

    def run_until(self, when: datetime, *, stop: Callable[[], bool] = lambda: False) -> None:
        """Do all that falls due by then; afterwards it is then. Earlier, if `stop` says so."""
        self._refuse_inside()
        while not stop() and self._events and self._events[0][0] <= when:
            self._step()
        if stop():
            return
        self.now = max(self.now, when)

    def run_until_idle(self, *, gap: timedelta = timedelta.max) -> None:
        """Do all that is ever due, but for what comes after a longer `gap`; afterwards it is the time of the last
        of it."""
        self._refuse_inside()
        while self._events and self._events[0][0] - self.now <= gap:
            self._step()

    def next_due(self) -> datetime | None:
        """When something happens next; None for never."""
        return self._events[0][0] if self._events else None

    def close(self) -> None:
        """Let paused processes die, so that their threads are free."""
        self._events.clear()
        for process in list(self._paused):
            process.dead = "the simulation was closed"
            process._ended = None
            process._resume()

    def _push(self, when: datetime, rank: float, action: Action) -> None:
        self._asked += 1
        heapq.heappush(self._events, (max(when, self.now), rank, self._asked, action))

    def _refuse_inside(self) -> None:
        if self._running is not None:
            raise RuntimeError("virtual time was advanced from inside an invocation; do it from the test")

    def _step(self) -> None:
        when, _, _, action = heapq.heappop(self._events)
        self.now = max(self.now, when)
        action()

    def _gives_way(self, process: Process) -> bool:
        """Whether something else that is due goes first; then `process` is put among what is due."""
        if self._order is None or not self._events or self._events[0][0] > self.now:
            return False
        if self._order.random() >= self._restlessness:
            return False
        # Behind the next, and before or behind the others: some pause for one call of a neighbour, some
        # until nearly all else is done, whole chains of messages included.
        rank = self._order.uniform(self._events[0][1], 1)
        self._push(self.now, rank, process._resume)
        return True


class Process:
    """Something that takes virtual time. Its methods are for its own thread to call.

    `deadline` is when it is killed, should it be asleep then. `dead` says why it was crashed: it does
    nothing more, so every further yield point raises Crashed again.
    """

    def __init__(
        self,
        simulation: Simulation,
        deadline: datetime | None,
        ended: Callable[[BaseException | None], None] | None,
    ) -> None:
        self.deadline = deadline
        self.dead: str | None = None
        self.thread = 0
        self.points = 0
        self.dies_at: int | None = None
        self.freezes_at: int | None = None
        self._simulation = simulation
        self._ended = ended
        self._error: BaseException | None = None
        self._over = False
        self._go = _closed_gate()
        self._back = _closed_gate()

    def check(self) -> None:
        """Raises Crashed if this process was crashed before."""
        if self.dead is not None:
            raise Crashed(self.dead)

    def crash(self, why: str) -> None:
        self.dead = why
        raise Crashed(why)

    def yield_(self) -> None:
        """A point at which others may go first."""
        self.check()
        if self._simulation._gives_way(self):
            self._pause()

    def sleep_until(self, when: datetime) -> None:
        """Pause until then. Raises Crashed at the deadline if that comes first."""
        self.check()
        last = self.deadline is not None and when >= self.deadline
        wake = self.deadline if last and self.deadline is not None else when
        if wake > self._simulation.now:
            self._simulation.at(wake, self._resume)
            self._pause()
        if last:
            self.crash("ran into its timeout")

    def _begin(self, body: Callable[[Process], None]) -> None:
        context = copy_context()

        def job() -> None:
            self._go.acquire()
            self.thread = threading.get_ident()
            try:
                context.run(body, self)
            except BaseException as error:
                self._error = error
            self._over = True

        run_in_thread(job, self._back.release)
        self._resume()

    def _resume(self) -> None:
        """Hand the baton over, and wait until it comes back. Called by the event loop."""
        simulation = self._simulation
        simulation._running = self
        self._go.release()
        self._back.acquire()
        simulation._running = None
        if self._over:
            del simulation._paused[self]
            error, self._error = self._error, None
            if self._ended is not None:
                # A crash that something swallowed is a crash all the same.
                self._ended(Crashed(self.dead) if self.dead is not None else error)

    def _pause(self) -> None:
        """Hand the baton back, and wait for it."""
        self._back.release()
        self._go.acquire()
        self.check()


def _closed_gate() -> threading.Lock:
    gate = threading.Lock()
    gate.acquire()
    return gate


def seconds(number: float) -> timedelta:
    """A float of seconds, rounded up: who waits that long must not find that a fraction is left."""
    return timedelta(microseconds=-int(-number * 1_000_000 // 1))
