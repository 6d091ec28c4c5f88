"""Pausing: what comes for a paused run, or for a function that is, is kept until it goes on.

A message that comes for a paused run does nothing but end a wait whose time is over, and is kept in the table; resuming
sends it anew. A run's own pause stands in its header, which is loaded anyway; that of its function is what the
process knows of it (pauses.py).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..engine.interrupts import Reload
from ..engine.journal import Header, RunStatus
from ..pauses import Hold
from ..ports import World
from . import checks, waits
from .admission import Admission
from .attempts import Attempts
from .chain import Chain
from .holding import CONTINUATION, keep, paused
from .messages import FINISH, START_BY, tag
from .staleness import record_at


@dataclass(frozen=True, slots=True)
class Pausing:
    """Keeps the messages of paused runs."""

    _world: World
    _admission: Admission

    def keeps(self, chain: Chain) -> bool:
        """Whether a message has nothing to do now, since its run is paused: then it is kept, if it has to be."""
        header, message = chain.header, chain.message
        if header.status not in (RunStatus.QUEUED, RunStatus.RUNNING):
            return False
        hold = self._hold(header)
        if hold is None:
            return False
        if message.due is not None and message.due.path in (FINISH, START_BY):
            return message.due.at <= chain.now()  # one that comes early goes back
        if chain.visit.running:
            Attempts(chain).drain()  # what runs ends
            raise Reload
        if self._is_about_a_wait(chain):
            return True
        self._step_out_of_line(chain, hold)
        if message.check:
            checks.look_seldom(chain)
        return keep(self._world, hold, *_entry(chain))

    def _hold(self, header: Header) -> Hold | None:
        if header.paused:
            return Hold(number=header.pauses, run=header.run_id)
        pause = paused(self._world, header.function_id)
        if pause is None:
            return None
        if pause.runs == "cancel" and header.created < pause.at:
            self._world.store.begin_cancel(header.run_id)
            raise Reload
        return Hold(number=pause.number, function=header.function_id)

    def _is_about_a_wait(self, chain: Chain) -> bool:
        """A message that is for the time at which a wait is given up: if that is over, the wait ends, whether its
        run is paused or not. Whether the wait was put off meanwhile, and so is the message."""
        due = chain.message.due
        record = record_at(chain, due.path) if due is not None and due.path[:1] != ":" else None
        if record is None or record.final or record.waits is None or record.wake_at is None:
            return False
        if record.wake_at <= chain.now():
            waits.time_out(chain, record)
            return False
        chain.repeats = False
        again = chain.once_more(idle=chain.message.idle)
        chain.wake(record.path, record.wake_at, message=again)
        return True

    def _step_out_of_line(self, chain: Chain, hold: Hold) -> None:
        """Let those go on who wait behind a run that is to begin nothing."""
        if chain.header.status is RunStatus.QUEUED:
            chain.header = self._admission.step_out(
                chain.header, chain.message, chain.tag, with_its_function=bool(hold.function)
            )


def _entry(chain: Chain) -> tuple[str, str]:
    """A message as it is kept, and its key. One that may have done something comes back as what it is: another
    delivery of the same. Checks of the same are one."""
    visit, message = chain.visit, chain.message
    body, mine = visit.message.body(), chain.tag
    if chain.outdated or visit.delivery.receive_count > 1 or visit.stands_for is not None or visit.loads > 1:
        body = replace(visit.message, stands_for=mine).body()
    elif message.check:
        mine = tag(body)
    return f"{CONTINUATION}#{chain.header.created:014d}#{mine}", body
