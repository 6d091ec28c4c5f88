"""What steps of our own do to the world."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..durations import from_millis
from ..engine.journal import Kind, Payload, Record, State
from ..engine.operations import Committed
from ..events import Event, to_eventbridge_entry
from ..serialization import plain_json
from . import signals
from .chain import Chain
from .large_events import wrap
from .messages import tag


@dataclass(frozen=True, slots=True)
class Effects:
    """The `Outside` of a step. Ids follow from run and step, so that an attempt done again is a no-op."""

    chain: Chain
    path: str

    def send_events(self, events: Sequence[Event[Any]]) -> list[str]:
        hooks = self.chain.hooks
        sent = [hooks.carrying(self._identified(number, event)) for number, event in enumerate(events)]
        world = self.chain.world
        world.bus.put([wrap(world, to_eventbridge_entry(event, plain_json)) for event in sent])
        return [event.id for event in sent]

    def send_signal(self, name: str, text: str) -> bool:
        return signals.send(self.chain.world, name, text, tag(f"{self.chain.journal_id}/{self.path}"))

    def transact(self, items: Sequence[Mapping[str, Any]]) -> Committed:
        chain = self.chain
        record = chain.journal.find(self.path)
        undo = record.undo if record is not None else None
        now = chain.now()
        wanted = Record(
            path=self.path,
            kind=Kind.TRANSACT,
            state=State.COMPLETED,
            author=chain.author,
            began=record.began if record is not None else now,
            ended=now if undo is None else chain.moment(),
            attempts=record.attempts + 1 if record is not None else 1,
            output=Payload(text="null"),
            undo=undo,
        )
        wanted = chain.stamped(wanted)
        found = chain.world.store.transact(chain.journal_id, wanted, items)
        return Committed(wanted, found)

    def _identified(self, number: int, event: Event[Any]) -> Event[Any]:
        key = f"{self.chain.journal_id}/{self.path}/{number}"
        return replace(
            event,
            id=hashlib.sha256(key.encode()).hexdigest()[:32] if event.id_is_default else event.id,
            time=from_millis(self.chain.now()) if event.time_is_default else event.time,
        )
