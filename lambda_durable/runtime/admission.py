"""Admission: a run of a function with flow control passes its gates before it starts.

Its header is `queued` until then, and each step on its way is one transaction of that header and the gates, so it
is in one place, once. Who finds a gate closed gets a place in its line, and the message in hand ends there; what
brings the run back lies with the place. Who leaves a gate wakes the head of its line before its own message is
acknowledged, and a wake that finds nothing to do goes to who is the head by then. A gate with a pace opens by
itself: the head is woken for then, and the gate says for when, so that there is one such wake, and a copy of it dies.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..durations import to_millis
from ..engine import gates
from ..engine.gates import Gate, Limit, Place, Queueing
from ..engine.interrupts import Reload
from ..engine.journal import Author, Header, RunStatus
from ..errors import ErrorInfo
from ..event_json import load_event
from ..events import Event
from ..function import App
from ..ports import Outgoing, World
from ..store import Join, Move, Pass, Quit
from . import holders, lines, payloads
from . import limits as flow
from .checks import INTERVAL
from .lines import AT_ONCE
from .messages import Continuation
from .tallies import kept_from, over

PATIENCE = 24 * 60 * 60 * 1000
"""Milliseconds after which somebody looks after a run that waits in a line."""

PROMPTLY = 60 * 1000
"""Milliseconds from when it was written, in which a run that passes all limits need not be looked after any later."""

MOST_TRIES = 50

MOST_EVICTED = 100
"""How many that wait are cancelled at once by who takes their place: each of them does so as well."""

logger = logging.getLogger(__name__)


class Admission:
    """Lets the runs of an app start."""

    def __init__(self, app: App, world: World) -> None:
        self._app = app
        self._world = world

    def admit(self, header: Header, message: Continuation, tag: str) -> Header:
        """Bring a queued run on its way, and go on with the lines that it came by. Its header, which is running if it
        may start now, and else has a place in a line, or was skipped, or is cancelled meanwhile."""
        for _ in range(MOST_TRIES):
            moved = self._try(header, message, tag)
            if moved is not None:
                came_from = header.queueing.place if header.queueing is not None else None
                self._go_on(moved, message, tag, came_from)
                return moved
            found = self._world.store.get_header(header.run_id)
            assert found is not None
            header = found
            if header.status is not RunStatus.QUEUED:
                self.follow_up(header, message, tag)
                return header
        raise RuntimeError(
            f"run {header.run_id}: its gates changed {MOST_TRIES} times while it tried to pass one"
        )

    def follow_up(self, header: Header, message: Continuation, tag: str) -> None:
        """A message for a run that waits no more: if it is what admitted it, and died since, what follows that is done
        again; if it was to wake the run, it wakes who is the head of the line by now."""
        queueing = header.queueing
        if queueing is None or not (queueing.by == tag or message.line):
            return
        if header.status.ended and queueing.place is not None:
            self._world.store.quit(queueing.place)
        touched = {message.line} if message.line else set()
        if queueing.by == tag:  # an earlier delivery may have come from any of its lines
            touched |= {limit.gate for limit in self._limits(header)}
        self._serve_all(header, touched, tag, message.wake)

    def forget(self, message: Continuation) -> None:
        """A run is gone that waited in a line: whoever is behind it goes on."""
        if message.line:
            heads = self._world.store.line(message.line, AT_ONCE).heads
            for each in heads:
                if each.place.run == message.run:
                    self._world.store.quit(each.place)
            lines.wake(self._world, [each for each in heads if each.place.run != message.run])

    def fail(self, header: Header, error: ErrorInfo, tag: str) -> Header:
        """End a run that is queued, and is never to begin; its header as it is now."""
        now = to_millis(self._world.clock.now())
        ended = replace(header, status=RunStatus.FAILED, ended=now, ended_by=Author(1, tag), error=error)
        if self._world.store.move(header, ended, (), now=now):
            over(self._world.metrics, ended)
            return ended
        raise Reload

    def step_out(self, header: Header, message: Continuation, tag: str, *, with_its_function: bool) -> Header:
        """Let those go on who wait behind a run that is paused; its header as it is now. When it goes on, it comes
        back to where it was. Where its whole function is paused, it stays in lines that only its runs are in."""
        queueing = header.queueing or Queueing()
        place = queueing.place
        if place is not None and not (with_its_function and not flow.is_shared(place.gate)):
            after = replace(header, queueing=replace(queueing, place=None))
            now = to_millis(self._world.clock.now())
            if not self._world.store.move(header, after, [Quit(place)], now=now):
                raise Reload
            header = after
        left = {gate for gate in (message.line, place.gate if place is not None else None) if gate}
        if with_its_function:
            left = set(filter(flow.is_shared, left))
        self._serve_all(header, left, tag, message.wake)
        return header

    def leave(self, header: Header, tag: str) -> None:
        """A run has ended: who waits for its slots may go on. Done again by every delivery that ended it."""
        queueing = header.queueing
        if queueing is None:
            return
        store, lines_left = self._world.store, set()
        if queueing.place is not None:
            store.quit(queueing.place)
            lines_left.add(queueing.place.gate)
        for gate in queueing.inside:
            left = store.leave(gate, header.run_id)
            if left.waiting > 0:
                lines_left.add(gate)
            elif not left.inside:
                store.remove_gate(gate)
        self._serve_all(header, lines_left, tag)

    # -- a run's way ---------------------------------------------------------------------------------

    def _limits(self, header: Header) -> tuple[Limit, ...]:
        function = self._app.functions.get(header.function_id)
        if function is None:
            return ()
        limits = flow.of_run(self._app.id, function.flow, self._event(header))
        if header.origin is None:
            return limits
        return tuple(limit for limit in limits if not limit.life)  # a rerun is meant to be a duplicate

    def _event(self, header: Header) -> Event[Any]:
        return load_event(payloads.read(self._world.blobs, header.event))

    def _try(self, header: Header, message: Continuation, tag: str) -> Header | None:
        """Bring a run as far as it gets. Its header then. None: that or a gate changed meanwhile."""
        store, now = self._world.store, to_millis(self._world.clock.now())
        before = header.queueing or Queueing()
        limits = _left(self._limits(header), before)
        seen = [store.gate(limit.gate) for limit in limits]
        place = before.place
        if place is not None and place.gate not in [limit.gate for limit in limits[:1]]:
            store.quit(place)  # a deploy has taken the limit away, or put another before it
            place = None
        if place is not None and message.check and store.place(place) is None:
            place = None  # nobody would ever come to it
        in_line = place is not None and self._is_its_turn(place, limits[0], seen[0], now)
        if place is not None and not in_line:
            if message.check and self._is_head(place) and holders.free(self._world, place.gate, seen[0]):
                return None
            if store.forget_wake(place):
                return None
            # another delivery may have taken the slot that it sees taken, and died since
            found = store.get_header(header.run_id)
            return header if found is not None and found.queueing == header.queueing else None
        closed = gates.first_closed(limits, seen, header.run_id, now, in_line=in_line)
        if closed is not None and self._frees(limits[closed], seen[closed], message):
            return None
        if closed is not None and limits[closed].drops:
            return self._skip(header, limits[closed], seen[closed], now, tag)
        reached = len(limits) if closed is None else closed
        moves: list[Move] = [
            Pass(limits[index], seen[index], header.run_id, place if index == 0 else None)
            for index in range(reached)
        ]
        inside = before.inside + tuple(each.gate for each in limits[:reached] if each.slots)
        if closed is None:
            after = Queueing(inside=inside, admitted=now, by=tag)
            # What of an index stays as it was costs no write.
            at_once = place is None and now - header.created <= PROMPTLY
            check_at = header.check_at if at_once else now + INTERVAL
            moved = replace(header, status=RunStatus.RUNNING, queueing=after, check_at=check_at)
        else:
            joins = self._join(header, limits[closed], seen[closed])
            moves.append(joins)
            after = Queueing(inside=inside, place=joins.place, by=tag)
            latest = now + PATIENCE if header.start_by is None else header.start_by + INTERVAL
            moved = replace(header, queueing=after, check_at=min(now + PATIENCE, latest))
        if not store.move(header, moved, moves, now=now):
            return None
        if closed is not None:
            why = f"it waits at {limits[closed].gate}"
            kept_from(self._world.metrics, "delayed", header.run_id, header.function_id, why)
        return moved

    def _is_its_turn(self, place: Place, limit: Limit, gate: Gate, now: int) -> bool:
        """Whether a gate is open for so many that it is for who has this place."""
        ahead = min(gates.free(limit, gate, now), AT_ONCE)
        return ahead > 0 and place in [each.place for each in self._world.store.line(place.gate, ahead).heads]

    def _frees(self, limit: Limit, gate: Gate, message: Continuation) -> bool:
        """Whether a gate has slots of runs that are over, where it is worth a look: a run would be dropped for them, or
        it was silent for long."""
        return bool(limit.slots and (limit.drops or message.check)) and holders.free(
            self._world, limit.gate, gate
        )

    def _is_head(self, place: Place) -> bool:
        return place in [each.place for each in self._world.store.line(place.gate, 1).heads]

    def _join(self, header: Header, limit: Limit, gate: Gate) -> Join:
        function = self._app.functions[header.function_id]
        order = max(header.created, header.starts or 0)
        if not limit.evicts:  # there, the last who came stays
            order = flow.order(function.flow, self._event(header), order)
        place = Place(limit.gate, order, header.run_id)
        body = Continuation(run=header.run_id, generation=1, gate=limit.gate).body()
        return Join(place, limit, gate, body)

    def _skip(self, header: Header, limit: Limit, gate: Gate, now: int, tag: str) -> Header | None:
        queueing = Queueing(skipped=limit.drops, duplicate_of=gate.run or next(iter(gate.inside), ""))
        skipped = replace(
            header, status=RunStatus.SKIPPED, ended=now, ended_by=Author(1, tag), queueing=queueing
        )
        if not self._world.store.move(header, skipped, (), now=now):
            return None
        kept_from(self._world.metrics, "skipped", header.run_id, header.function_id, limit.drops)
        return skipped

    # -- lines ---------------------------------------------------------------------------------------

    def _evict(self, gate: str) -> None:
        """Cancel who is inside a gate, and who waits for it, but for the last who came."""
        store = self._world.store
        line = store.line(gate, MOST_EVICTED)
        if holders.free(self._world, gate, line.gate):
            line = store.line(gate, MOST_EVICTED)
        waiting = [each.place.run for each in line.heads]
        for run in (*line.gate.inside, *waiting[:-1]):
            found = store.begin_cancel(run)
            if found is not None and not found.status.ended:
                self._world.queue.send([Outgoing(Continuation(run=run, forced=True).body())])

    def _go_on(self, header: Header, message: Continuation, tag: str, came_from: Place | None) -> None:
        """See to the lines that a run has come by, or that its message was to go on with."""
        queueing = header.queueing or Queueing()
        touched = {each for each in (message.line, came_from.gate if came_from else None) if each}
        if queueing.place is not None:
            touched.add(queueing.place.gate)
        self._serve_all(header, touched, tag, message.wake)

    def _serve_all(self, header: Header, touched: set[str], tag: str, wake: int | None = None) -> None:
        place = header.queueing.place if header.queueing is not None and not header.status.ended else None
        limits = self._limits(header) if touched else ()
        for limit in limits:
            if limit.gate in touched and (limit.slots or not limit.drops):
                if limit.evicts and place is not None and place.gate == limit.gate:
                    self._evict(limit.gate)
                self._serve(limit, tag, wake)
        for gate in sorted(touched - {limit.gate for limit in limits}):  # a deploy has taken the limit away
            line = self._world.store.line(gate, AT_ONCE)
            lines.wake(self._world, line.heads)
            if not line.heads:
                self._tidy_up(gate, line.gate)

    def _serve(self, limit: Limit, tag: str, wake: int | None = None) -> None:
        """See to it that the line of a gate goes on. `wake`: for when the message in hand was to do so."""
        store, now = self._world.store, to_millis(self._world.clock.now())
        line = store.line(limit.gate, AT_ONCE)
        if not line.gate.waiting:
            if self._tidy_up(limit.gate, line.gate):
                return
            line = store.line(
                limit.gate, AT_ONCE
            )  # who came meanwhile may rely on the very wake that is in hand
        free = gates.free(limit, line.gate, now)
        if free > 0:
            lines.wake(self._world, line.ahead(free))
        elif limit.interval:
            at = gates.opens(limit, line.gate)
            lines.wake_later(self._world, line, limit.gate, at, tag, came=wake, any_time=False)

    def _tidy_up(self, name: str, gate: Gate) -> bool:
        """Nobody waited at a gate any more. Whether that is so still."""
        if gate.due and (gate.wake or not gate.expires):
            return self._world.store.let_expire(name, gate.due)
        if not gate.due and not gate.inside:
            self._world.store.remove_gate(name)
        return True


def _left(limits: Sequence[Limit], way: Queueing) -> list[Limit]:
    """The limits that a run has still to pass, by their names, for a deploy may have changed them since it came. Those
    that drop are asked once: who has passed them is accepted."""
    return [limit for limit in limits if limit.gate not in way.inside and not (way.by and limit.drops)]
