"""Slots: how many steps execute at once.

A step's function is called only by an invocation that has a slot of each limit. A slot is a lease: it ends with the
invocation, and by itself once that is surely gone. Who finds a gate closed gets a place in its line, and the message
in hand ends there: what brings the run back lies with the place. Who leaves a gate wakes the heads of its line before
its own message is acknowledged; each takes its slot itself, if it still is its turn. A wake that finds nothing to do
gives its place up, and looks after the line. As long as somebody waits, a message is on its way for when the first
lease ends, which looks after it too: so no death of a holder, nor a wake that is lost, keeps the line from going on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from ..durations import to_millis
from ..engine import gates
from ..engine.gates import Gate, Limit, Line, Place, Waiting
from ..engine.interrupts import Suspend
from ..engine.journal import Header
from ..event_json import load_event
from ..events import Event
from ..flow_control import MOST_AT_ONCE
from ..function import App, Function
from ..ports import World
from ..store import Join, Lease
from . import limits as flow
from . import payloads
from .chain import Chain
from .checks import look_seldom
from .lines import AT_ONCE, SLOW, wake, wake_later
from .messages import Continuation, tag
from .visit import Visit
from .wakes import LONGEST_DELAY, SKEW

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
        names = set()
        if lease is not None and not visit.leaves_running:  # what still runs does so until the lease ends
            names = self._give_back(lease)
        if message.gate is not None and message.order is not None:
            taken = lease is not None and message.gate in [limit.gate for limit in lease.limits]
            if not taken and not visit.keeps_place:
                self._world.store.quit(place_of(message, message.gate, message.order))
            if not taken or message.wake is not None:
                names.add(message.gate)
        for name in sorted(names):
            mine = name == message.gate
            came, most = (message.wake, visit.most_slots) if mine else (None, MOST_AT_ONCE)
            self.serve(name, self.line(name), visit.tag, came, most=most)

    def give_back(self, visit: Visit) -> None:
        """An invocation has failed: whoever can have its slots need not wait for the end of the lease."""
        lease, visit.lease = visit.lease, None
        if lease is not None and not visit.leaves_running:
            with suppress(Exception):
                for name in self._give_back(lease):
                    self.serve(name, self.line(name), visit.tag)

    def serve(
        self, name: str, line: Line, by: str, came: int | None = None, *, most: int = MOST_AT_ONCE
    ) -> None:
        """See to it that a line goes on. `came`: the time for which the message in hand was to do so. `most`: the slots
        that there are for who finds that it is not its turn. The gate may say more, since a deploy, or another function
        that shares it, has another limit; and then who waits would wake itself for ever."""
        if line.gate.waiting > 0:
            free = min(line.gate.slots, most) - len(line.gate.inside)
            wake(self._world, line.ahead(max(min(free, AT_ONCE), 0)))
            self.watch(name, line, by, came)
        elif line.gate.slots and not line.gate.expires:
            last = max(line.gate.inside.values(), default=0)
            self._world.store.let_expire(name, max(last, to_millis(self._world.clock.now())))

    def watch(self, name: str, line: Line, by: str, came: int | None = None) -> None:
        """Have somebody look after a line when the first lease ends."""
        now = to_millis(self._world.clock.now())
        first = min(line.gate.inside.values(), default=0)
        at = min(max(first, now + SKEW), now + 1000 * LONGEST_DELAY)
        wake_later(self._world, line, name, at, by, came=came, any_time=True)

    def line(self, name: str) -> Line:
        """A gate and its line, without those inside who are surely gone."""
        store, now = self._world.store, to_millis(self._world.clock.now())
        line = store.line(name, AT_ONCE)
        if gone := gates.expired(line.gate, now):
            for each in gone:
                store.leave(name, each)
            line = store.line(name, AT_ONCE)
        return line

    def _give_back(self, lease: Lease) -> set[str]:
        """Give slots up. The gates at which somebody waits."""
        leave = self._world.store.leave
        return {limit.gate for limit in lease.limits if leave(limit.gate, lease.name).waiting > 0}

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
        ahead: set[str] = set()
        lease = Lease(name, until, self.limits, ahead)
        for _ in range(MOST_TRIES):
            place = self._place_in_hand()
            refused = store.lease(lease, place)
            if refused is None or any(name in gate.inside for gate in refused.values()):
                visit.lease = lease
                if place is not None:
                    self.slots.serve(place.gate, self.slots.line(place.gate), self._tag, message.wake)
                return
            closed = self._first_closed(refused, place, ahead)
            if closed is not None and self._wait(closed, refused[closed.gate], place):
                visit.keeps_place = True
                raise Suspend
        raise RuntimeError(
            f"run {self.chain.header.run_id}: the limits of its steps changed {MOST_TRIES} times while it tried to "
            "have a slot"
        )

    @property
    def _tag(self) -> str:
        return tag(self.chain.visit.delivery.message_id)

    def _place_in_hand(self) -> Place | None:
        """The place in a line that the message in hand goes on with, if it has one, and it is its turn. Raises Suspend
        if it is not, or another message goes on with it."""
        message, store = self.chain.message, self.world.store
        limit = next((each for each in self.limits if each.gate == message.gate), None)
        if message.gate is None or message.order is None:
            return None
        if limit is None:  # a deploy has changed what limits the step: others are not to wait behind it
            store.quit(place_of(message, message.gate, message.order))
            return None
        mine = place_of(message, limit.gate, message.order)
        while True:
            line = self.slots.line(limit.gate)
            if self._is_first(mine, limit, line):
                return mine
            found = store.place(mine)
            if (
                found is None or found.generation < mine.generation
            ):  # or one that an older message came to since
                if self._another_has(line.gate):
                    raise Suspend
                return None
            if found.generation > mine.generation:
                raise Suspend
            if not store.forget_wake(mine):
                break
        self.chain.visit.keeps_place = True
        self.chain.visit.most_slots = limit.slots
        raise Suspend

    def _is_first(self, mine: Place, limit: Limit, line: Line) -> bool:
        """Whether a gate is open for so many that it is for who has this place."""
        ahead = line.ahead(min(gates.free(limit, line.gate, 0), AT_ONCE))
        return mine in [each.place for each in ahead if each.place.generation == mine.generation]

    def _another_has(self, gate: Gate) -> bool:
        """Whether another message goes on from the place in hand: it is not acknowledged before what follows is
        durable."""
        message = self.chain.message
        mine = f"{_part(message)}.{message.generation}."
        return not message.forced and any(
            name.startswith(mine) and not name.startswith(f"{mine}{self._tag}.") for name in gate.inside
        )

    def _first_closed(
        self, refused: Mapping[str, Gate], place: Place | None, ahead: set[str]
    ) -> Limit | None:
        """The first limit that lets nobody through. None: one has changed meanwhile, or who comes from a line is ahead
        of those who wait at another gate that is open. Else two who wait at one for the other would do so for ever."""
        now = to_millis(self.world.clock.now())
        for limit in self.limits:
            gate = refused.get(limit.gate)
            if gate is not None and gates.expired(gate, now):
                self.slots.line(limit.gate)
                return None
            if gate is None:
                continue
            free = gates.free(limit, gate, now)
            if free == 0 or (gate.waiting > 0 and not self._is_ahead(limit, free, place)):
                return limit
            if gate.waiting > 0:
                ahead.add(limit.gate)
        return None

    def _is_ahead(self, limit: Limit, free: int, place: Place | None) -> bool:
        """Whether it would be the turn of who has a place at one gate, if it waited at another."""
        if place is None or place.gate == limit.gate:
            return False
        others = [each.place for each in self.slots.line(limit.gate).heads]
        mine = replace(place, gate=limit.gate)
        return len([other for other in others if other < mine]) < free

    def _wait(self, limit: Limit, gate: Gate, place: Place | None) -> bool:
        """Get a place in the line of a gate that is closed; but first see to it that somebody looks after the line."""
        chain = self.chain
        if place is not None and place.gate == limit.gate:
            return False
        message = chain.once_more(gate=limit.gate, order=self.order, idle=chain.message.idle)
        join = Join(place_of(message, limit.gate, self.order), limit, gate, message.body())
        came = chain.message.wake if chain.message.gate == limit.gate else None
        began = self.world.clock.monotonic()
        self.slots.watch(limit.gate, Line(gate, [Waiting(join.place, join.body)]), self._tag, came)
        if not self.world.store.wait_in_line(join, leaving=place):
            return False
        if (
            self.world.clock.monotonic() > began + SLOW / 1000
        ):  # what is to look after the line may have done so before
            self.slots.serve(limit.gate, self.slots.line(limit.gate), self._tag)
        if chain.message.check:
            look_seldom(chain)
        return True


def place_of(message: Continuation, gate: str, order: int) -> Place:
    """Where what a message goes on with waits in a line."""
    return Place(gate, order, message.run, _part(message), message.generation)


def _part(message: Continuation) -> str:
    return tag(f"{message.run}|{message.scope}|{message.leaf or ''}")
