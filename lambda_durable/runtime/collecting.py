"""Collecting: the events of a function with `Debounce` or `Batch` become one run.

Each event is brought where it is collected by writes of one item each, which do nothing when they are done again: a
debounced event is the last of its burst unless a later one was; a batched one is given a seat, which is written down,
and put there. Nobody is done with an event before a *wake* for its burst or batch is on its way, and that is written
down as well, so that there is one and not one for each event. A wake that comes early goes back for the rest.

A run's id follows from the collector, and from when its burst or batch was opened: so it is begun once. That a burst's
run is there ends the burst; whoever came after the event with which it began opens the next one. A batch that is over
gives out no seats; one that was given out, and to which nobody has come, is taken away, and the event that comes late
takes another.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from ..durations import in_millis, to_millis
from ..engine import collectors
from ..engine.collectors import Collector, Member, Seat
from ..engine.journal import Payload
from ..events import Event
from ..flow_control import FlowControl
from ..ports import Outgoing, World
from . import limits, payloads
from .checks import INTERVAL
from .messages import Gather
from .run_ids import run_id
from .wakes import send_at

STRAGGLERS = 2_000
"""Milliseconds that a batch which is full waits for events that are on the way to their seats."""

STAND_IN = 60
"""Seconds."""

LONG = in_millis(timedelta(days=7))
"""Milliseconds. What lies in S3 lives at least so long."""

MOST_TRIES = 50


@dataclass(frozen=True, slots=True)
class Newcomer:
    """An event that is to be collected: its payload and `size` (bytes of JSON), and when it was first `seen`
    (milliseconds), by which it has its place in the order. `again`: it may have been here before. It `joined` later, if
    it was held, since its function was paused: for what is collected that is when it came."""

    event: Event[Any]
    payload: Payload
    size: int
    seen: int
    again: bool
    joined: int = 0

    @property
    def order(self) -> str:
        return collectors.order(self.seen, self.event.id)

    @property
    def came(self) -> int:
        return max(self.seen, self.joined)


def run_of(message: Gather) -> str:
    """The id of the run that is made of a burst or batch."""
    return run_id(message.opened, message.collector, str(message.opened))


def keep_for(world: World, payload: Payload, until: int) -> None:
    """See to it that an event is still there then (milliseconds)."""
    if payload.key is not None and until > to_millis(world.clock.now()) + LONG:
        world.blobs.extend(payload.key)


def leave_a_stand_in(world: World, message: Gather, tag: str) -> None:
    """A redelivery is about to write something. It may be a copy of a message that is gone, and nobody would go on
    should it die: so before that, a message is sent that does what it would. Whoever comes does all there is to do."""
    body = replace(message, stands_for=tag).body()
    world.queue.send([Outgoing(body, STAND_IN)])


@dataclass(frozen=True, slots=True)
class Collecting:
    """Collects the events of a function. `room`: the most bytes that the events of a batch have together."""

    world: World
    function_id: str
    flow: FlowControl | None
    room: int

    def join(self, newcomer: Newcomer) -> Gather | None:
        """An event joins what its function collects. The message to work on at once, if it has filled a batch."""
        assert self.flow is not None
        name = limits.collector(self.flow, newcomer.event)
        if self.flow.batch is not None:
            return self._join_batch(name, newcomer, self.flow.batch.max_size)
        burst = Collector(
            opened=newcomer.came, last=newcomer.order, event=newcomer.payload, joined=newcomer.joined
        )
        until = collectors.due(self.flow, burst)
        keep_for(self.world, newcomer.payload, until)
        found = self.world.store.collect_last(name, burst, until=until)
        self._see_to_wake(name, found)
        return None

    def ready(self, message: Gather, *, stragglers: bool) -> list[str]:
        """The events (JSON) of which a run is to be made, in their order; none, if it is not due, or there are none.
        With `stragglers`, a message comes again for those that are on their way."""
        name, opened = message.collector, message.opened
        found = self.world.store.collector(name)
        goes_on = found.opened == opened and not found.closed and not self._is_full(found)
        if goes_on and self._now() < collectors.due(self.flow, found):
            self._go_back(message, found)
            return []
        if name.startswith(limits.BATCH):
            return self._gathered(message, stragglers=stragglers)
        if not goes_on or found.event is None:
            return []
        return [payloads.read(self.world.blobs, found.event)]

    def over(self, message: Gather, event_id: str, *, mine: bool) -> None:
        """There is a run of a burst, which began with that event, or of a batch; and whether the message began it."""
        store, name = self.world.store, message.collector
        if name.startswith(limits.BATCH):
            if mine:
                store.forget_batch(name, message.opened, until=self._due(message.opened))
            return
        for _ in range(MOST_TRIES):
            found = store.collector(name)
            if found.opened != message.opened:
                self._see_to_wake(name, found)
                return
            came_after = collectors.id_of(found.last) != event_id
            opened = max(found.opened + 1, collectors.came(found)) if came_after else 0
            if store.end_burst(name, found, next=opened) and not came_after:
                return
        raise _changes(name)

    # -- wakes ---------------------------------------------------------------------------------------

    def _see_to_wake(self, name: str, found: Collector) -> None:
        """Have somebody go on with a collector. A wake that is long overdue was lost."""
        if found.opened and (not found.wake or found.wake + INTERVAL < self._now()):
            self._wake(name, found)

    def _wake(self, name: str, found: Collector) -> None:
        """Send a wake, and then write that down: the latest that is written down is one that is alive."""
        at = collectors.due(self.flow, found)
        message = Gather(function=self.function_id, collector=name, opened=found.opened, at=at)
        send_at(self.world, message.body(), at, now=self._now(), name=f"{name}/{found.opened}/{at}")
        if at > found.wake:
            self.world.store.expect_wake(name, found.opened, at)

    def _go_back(self, message: Gather, found: Collector) -> None:
        """A wake came early. It dies if a later one is known to be on its way: so of its copies one goes on."""
        if found.wake <= message.at:
            self._wake(message.collector, found)

    # -- batches -------------------------------------------------------------------------------------

    def _join_batch(self, name: str, newcomer: Newcomer, most: int) -> Gather | None:
        store, found = self.world.store, None
        seat = store.seat_of(name, newcomer.order) if newcomer.again else None
        for _ in range(MOST_TRIES):
            if seat is None:
                taken, found = self._take_seat(name, newcomer)
                seat = store.give_seat(name, newcomer.order, taken)
            until = self._due(seat.opened)
            keep_for(self.world, newcomer.payload, until)
            there = store.sit_down(name, seat, Member(newcomer.order, newcomer.payload), until=until)
            if there.order == newcomer.order:
                break
            taken, found = self._take_seat(name, newcomer)
            seat = store.give_seat(name, newcomer.order, taken, instead_of=seat)
        else:
            raise _changes(name)
        if found is None or found.opened != seat.opened:
            found = store.collector(name)
        if found.opened == seat.opened:
            self._see_to_wake(name, found)
        if seat.number < most:
            return None
        return Gather(
            function=self.function_id, collector=name, opened=seat.opened, at=self._due(seat.opened)
        )

    def _take_seat(self, name: str, newcomer: Newcomer) -> tuple[Seat, Collector]:
        """A seat in the batch that is open, or the first one of another."""
        assert self.flow is not None
        assert self.flow.batch is not None
        store, size, most = self.world.store, newcomer.size, self.flow.batch.max_size
        since = self._now() - in_millis(self.flow.batch.timeout)
        for _ in range(MOST_TRIES):
            done, found = store.take_seat(name, size, most=most, room=self.room - size, since=since)
            if not done:
                if found.opened:
                    found = replace(found, seats=store.close_batch(name, found.opened), closed=True)
                    self._see_to_end(name, found)
                opened = max(found.opened + 1, newcomer.came)
                until = self._due(opened)
                done, found = store.open_batch(name, found, opened=opened, size=size, until=until)
            if done:
                return Seat(found.opened, found.seats), found
        raise _changes(name)

    def _see_to_end(self, name: str, found: Collector) -> None:
        """A batch that is over is about to be followed by another: have a run made of it, if there is none. Who was
        to do so may have died before it knew."""
        message = Gather(
            function=self.function_id, collector=name, opened=found.opened, at=self._now() + STRAGGLERS
        )
        if found.seats and self.world.store.get_header(run_of(message)) is None:
            self.world.queue.send([Outgoing(message.body(), STRAGGLERS // 1000)])

    def _gathered(self, message: Gather, *, stragglers: bool) -> list[str]:
        store, name = self.world.store, message.collector
        given = store.close_batch(name, message.opened)
        written, found = store.members(name, message.opened)
        seats, members = given if written is None else written, dict(found)
        missing = [number for number in range(1, seats + 1) if number not in members]
        if missing and stragglers:
            self.world.queue.send([Outgoing(message.body(), STRAGGLERS // 1000)])
            return []
        for number in missing:
            seat = Seat(message.opened, number)
            members[number] = store.sit_down(name, seat, Member(), until=self._due(seat.opened))
        present = sorted((each.order, number) for number, each in members.items() if number <= seats)
        events = [event for _, number in present if (event := members[number].event) is not None]
        if seats and not events:
            store.forget_batch(name, message.opened, until=self._due(message.opened))
        return [payloads.read(self.world.blobs, event) for event in events]

    def _is_full(self, found: Collector) -> bool:
        batch = self.flow.batch if self.flow is not None else None
        return batch is not None and found.seats >= batch.max_size

    # -- time ----------------------------------------------------------------------------------------

    def _due(self, opened: int) -> int:
        return collectors.due(self.flow, Collector(opened=opened))

    def _now(self) -> int:
        return to_millis(self.world.clock.now())


def _changes(name: str) -> RuntimeError:
    return RuntimeError(f"what {name} collects changed {MOST_TRIES} times while an event was to join it")
