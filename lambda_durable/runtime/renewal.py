"""A run that continues as new: the same run, with another event and a journal of its own.

One conditional write of the header switches over. From then on the messages of the old journal are told by its
id, and do nothing; what the switch itself leaves to do is done again by each delivery of the message that made it.
The first message of the new journal comes last: once that is on its way, all the rest is done. The old journal
expires by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NoReturn

from ..engine.code import Code
from ..engine.journal import Header, Partition, Renewal, RunStatus
from ..engine.journal_ids import journal_id
from ..engine.replay import Replay
from ..engine.scope import scope_here
from ..event_json import dump_event, load_event
from ..function import App, Function
from ..ports import Outgoing, World
from ..serialization import plain_data
from ..store import Waiter
from . import payloads, waits
from .arrivals import cancelling
from .chain import Chain
from .checks import INTERVAL
from .endings import Endings
from .hooks import Hooks
from .letting_go import let_go
from .messages import Continuation
from .versions import code_of


def renew(function: Function[Any, Any], replay: Replay, limit: int, data: Any) -> NoReturn:
    """What a handler calls to continue as new. `limit`: the bytes that the event may have."""
    scope_here().check_renewal()
    text = dump_event(replace(replay.event, data=plain_data(function.no_data if data is None else data)))
    payloads.check_size(text, limit, f"the data with which run {replay.run_id} is to continue as new")
    function.validate(load_event(text))
    replay.renew(text)


@dataclass(frozen=True, slots=True)
class Renewals:
    """Lets the runs of an app continue as new."""

    _app: App
    _world: World
    _ends: Endings

    def renew(self, chain: Chain, event: str) -> None:
        """Give a run a new journal, and an event (JSON). Whoever comes first decides; it may have ended."""
        chain.leave_a_stand_in()
        header, now = chain.header, chain.now()
        number = header.renewal.number + 1 if header.renewal is not None else 1
        renewed = replace(
            header,
            event=payloads.store(self._world.blobs, header.run_id, event, inline=payloads.INLINE_EVENT),
            renewal=Renewal(number, chain.author, now, waits.taken(chain)),
            check_at=min(header.check_at or now + INTERVAL, now + INTERVAL),
            undoes=False,
            code=self._code(header),
        )
        before, after = self._cancelling(header), self._cancelling(renewed)
        for waiter in after - before:
            self._world.store.add_waiter(waiter)
        found = self._world.store.renew_run(header, renewed) or renewed
        if found.status.ended:  # and who ended it knew the others alone
            for waiter in after - before:
                self._world.store.remove_waiter(waiter)
        if found.status is RunStatus.CANCELLING:
            self._ends.end(chain, RunStatus.CANCELLED)
            return
        if self.follow_up(found, chain.message, chain.tag, chain.journal.partitions[""]):
            for waiter in before - after:
                self._world.store.remove_waiter(waiter)

    def follow_up(
        self, header: Header, message: Continuation, tag: str, top: Partition | None = None
    ) -> bool:
        """What follows the switch to a journal, if it was this message that made it. Whether it was. `top` is the
        top level of the journal before."""
        renewal, store = header.renewal, self._world.store
        if renewal is None or renewal.by.tag != tag:
            return False
        old = journal_id(header.run_id, renewal.number - 1)
        if top is None:
            top = store.load_scope(old, "")
        Hooks.of(self._app).steps_ended(header, old, top.records.values(), renewal.at)
        let_go(self._world, old, top, tag)
        first = Continuation(run=header.journal_id, generation=1, idle=0 if top.records else message.idle + 1)
        self._world.queue.send([Outgoing(first.body())])
        return True

    def _code(self, header: Header) -> Code:
        """What the new journal begins on. A run that is pinned is so to the live version from then on."""
        code, live = (
            code_of(self._world, self._app.functions.get(header.function_id)),
            self._world.versions.live,
        )
        return Code("", live) if header.pinned and live != code.release else code

    def _cancelling(self, header: Header) -> set[Waiter]:
        """Who waits for the events that cancel a run, as long as it has this event."""
        function = self._app.functions.get(header.function_id)
        if function is None or not function.cancel_on:
            return set()
        return set(cancelling(function, header, load_event(payloads.read(self._world.blobs, header.event))))
