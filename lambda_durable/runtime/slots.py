"""Slots: how many steps execute at once.

A step's function is called only by an invocation that has a slot of each limit. A slot is a lease: it ends with the
invocation, and by itself once that is surely gone. Who finds a gate closed gets a place in its line, and the message
in hand ends there: what brings the run back lies with the place. Who leaves a gate wakes the heads of its line before
its own message is acknowledged; each takes its slot itself, if it still is its turn. A wake that finds nothing to do
gives its place up, and looks after the line. As long as somebody waits, a message is on its way for when the first
lease ends, which looks after it too: so no death of a holder, nor a wake that is lost, keeps the line from going on.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from ..durations import to_millis
from ..engine import gates
from ..engine.gates import Gate, Limit, Place
from ..engine.interrupts import Suspend
from ..engine.journal import Header
from ..event_json import load_event
from ..events import Event
from ..function import App, Function
from ..ports import Outgoing, World
from ..store import Join, Lease
from . import limits as flow
from . import payloads
from .chain import Chain
from .messages import Continuation, tag
from .visit import Visit
from .wakes import SKEW, send_at

AT_ONCE = 10
"""How many of a line are woken at once."""

LATE = 60_000
"""Milliseconds after its time at which a wake that did not come is lost."""

MOST_TRIES = 50


class Slots:
    """Gives the steps of an app their slots."""

    def __init__(self, app: App, world: World) -> None:
        self._app = app
        self._world = world

    def of(self, chain: Chain, function: Function[Any, Any] | None) -> Callable[[], None] | None:
        """What has to be called before a step's function is. None: nothing limits the function's steps."""
        if function is None or not function.flow.of_steps:
            return None
        return _Taking(self, self._world, chain, *self._limits(chain.header, function)).take

    def settle(self, message: Continuation, visit: Visit) -> None:
        """See to the lines that a message has come by. All else that it was to do is done, and durable."""
        lease, visit.lease = visit.lease, None
        if visit.handed_over:
            return
        if lease is not None:
            if not (visit.running or visit.stuck):  # what still runs does so until the lease ends
                self._give_back(lease, visit.tag)
        elif message.order is not None and not visit.keeps_place:
            self.quit(message, visit.tag)

    def give_back(self, visit: Visit) -> None:
        """An invocation has failed: whoever can have its slots need not wait for the end of the lease."""
        lease, visit.lease = visit.lease, None
        if lease is not None and not (visit.running or visit.stuck):
            with suppress(Exception):
                self._give_back(lease, visit.tag)

    def quit(self, message: Continuation, by: str) -> None:
        """What waited at a place in a line does so no more."""
        assert message.gate is not None
        assert message.order is not None
        store = self._world.store
        store.quit(place_of(message, message.gate, message.order))
        self.serve(message.gate, store.gate(message.gate), by, message.wake)

    def serve(self, name: str, gate: Gate, by: str, wake: int | None = None) -> None:
        """See to it that the line of a gate goes on. `wake`: for when the message in hand was to do so."""
        gate = self.swept(name, gate)
        if gate.waiting > 0:
            ahead = min(gate.slots - len(gate.inside), AT_ONCE)
            if ahead > 0:
                bodies = [Outgoing(body) for _, body in self._world.store.line(name, ahead)]
                self._world.queue.send(bodies)
            self.watch(name, gate, by, wake)

    def watch(self, name: str, gate: Gate, by: str, wake: int | None = None) -> None:
        """Have somebody look after a line when the first lease ends, unless a message for that is on its way."""
        store, now = self._world.store, to_millis(self._world.clock.now())
        at = max(min(gate.inside.values(), default=0), now + SKEW)
        if gate.wake and gate.wake != wake and gate.wake + LATE > now:
            if gate.woken_by != by:
                return
            at = gate.wake  # an earlier delivery may not have sent it
        elif not store.set_wake(name, gate, at, by):
            return  # somebody else has
        for place, text in store.line(name, 1):
            body = Continuation.model_validate_json(text).model_copy(update={"wake": at}).body()
            send_at(self._world, body, at, now=now, name=f"{place.run}/{place.part}/{name}/{at}")

    def swept(self, name: str, gate: Gate) -> Gate:
        """A gate without those who are surely gone."""
        now = to_millis(self._world.clock.now())
        for gone in gates.expired(gate, now):
            gate = self._world.store.leave(name, gone)
        return gate

    def _give_back(self, lease: Lease, by: str) -> None:
        left = {limit.gate: self._world.store.leave(limit.gate, lease.name) for limit in lease.limits}
        for name, gate in left.items():
            self.serve(name, gate, by)

    def _limits(self, header: Header, function: Function[Any, Any]) -> tuple[list[Limit], int]:
        event: Event[Any] = load_event(payloads.read(self._world.blobs, header.event))
        limits = flow.concurrency(self._app.id, function.flow, event, "steps")
        return limits, flow.order(function.flow, event, max(header.created, header.starts or 0))


@dataclass(slots=True)
class _Taking:
    """Takes the slots of one chain's steps."""

    slots: Slots
    world: World
    chain: Chain
    limits: list[Limit]
    order: int

    def take(self) -> None:
        """Have a slot of each limit until the invocation ends. Raises Suspend when it is to wait for one."""
        visit, store = self.chain.visit, self.world.store
        if visit.lease is not None:
            return
        until = to_millis(self.world.clock.now()) + round(self.chain.remaining() * 1000) + SKEW
        message = self.chain.message
        name = f"{_part(message)}.{message.generation}.{self._tag}.{uuid4().hex[:4]}"
        lease = Lease(name, until, self.limits)
        for _ in range(MOST_TRIES):
            place = self._place_in_hand()
            if place is not None and not self._is_its_turn(place):
                visit.keeps_place = True
                raise Suspend
            refused = store.lease(lease, place)
            if refused is None or any(name in gate.inside for gate in refused.values()):
                visit.lease = lease
                if place is not None:
                    self.slots.serve(place.gate, store.gate(place.gate), self._tag, message.wake)
                return
            closed = self._first_closed(refused)
            if closed is not None and self._wait(closed, refused[closed.gate], place):
                raise Suspend
        raise RuntimeError(
            f"run {self.chain.header.run_id}: the limits of its steps changed {MOST_TRIES} times while it tried to "
            "have a slot"
        )

    @property
    def _tag(self) -> str:
        return tag(self.chain.visit.delivery.message_id)

    def _place_in_hand(self) -> Place | None:
        """The place in a line that the message in hand goes on with. Raises Suspend if another message does."""
        message, store = self.chain.message, self.world.store
        if message.order is None or message.gate not in [limit.gate for limit in self.limits]:
            return None
        place = store.place(place_of(message, message.gate, message.order))
        if place is None and not message.forced:
            mine = f"{_part(message)}.{message.generation}."
            for name in store.gate(message.gate).inside:
                if name.startswith(mine) and not name.startswith(f"{mine}{self._tag}."):
                    raise Suspend  # and is not acknowledged before what follows is durable
        if place is not None and place.generation > message.generation:
            raise Suspend
        return place

    def _is_its_turn(self, place: Place) -> bool:
        store = self.world.store
        gate = self.slots.swept(place.gate, store.gate(place.gate))
        limit = next(limit for limit in self.limits if limit.gate == place.gate)
        ahead = min(gates.free(limit, gate, 0), AT_ONCE)
        if ahead > 0 and place in [each for each, _ in store.line(place.gate, ahead)]:
            return True
        self.slots.serve(place.gate, gate, self._tag, self.chain.message.wake)
        return False

    def _first_closed(self, refused: dict[str, Gate] | Any) -> Limit | None:
        """The first limit that lets nobody through. None: one has changed meanwhile."""
        for limit in self.limits:
            gate = refused.get(limit.gate)
            if gate is not None:
                now = to_millis(self.world.clock.now())
                if gates.expired(gate, now):
                    self.slots.swept(limit.gate, gate)
                    return None
                if gates.free(limit, gate, now) == 0 or gate.waiting > 0:
                    return limit
        return None

    def _wait(self, limit: Limit, gate: Gate, place: Place | None) -> bool:
        """Get a place in the line of a gate that is closed."""
        chain = self.chain
        if place is not None and place.gate == limit.gate:
            return False
        message = chain.once_more(gate=limit.gate, order=self.order, idle=chain.message.idle)
        join = Join(place_of(message, limit.gate, self.order), limit, gate, message.body())
        if not self.world.store.wait_in_line(join, leaving=place):
            return False
        chain.visit.keeps_place = True
        if place is not None:
            self.slots.serve(place.gate, self.world.store.gate(place.gate), self._tag, chain.message.wake)
        self.slots.watch(limit.gate, gate, self._tag)
        return True


def place_of(message: Continuation, gate: str, order: int) -> Place:
    """Where what a message goes on with waits in a line."""
    return Place(gate, order, message.run, _part(message), message.generation)


def _part(message: Continuation) -> str:
    return tag(f"{message.scope}|{message.leaf or ''}")
