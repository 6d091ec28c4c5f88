"""Resuming: what was held back of a function, or of a run, goes on.

A client sends the message first, and then writes that the pause is over; a worker writes that too, since the client
may have died between the two. Runs that events start which were held begin here, one after the other, so that they are
in the order of their events. Each is brought back before it is kept no longer, so who comes again goes on where an
earlier delivery died; what is brought back twice is overtaken, as any message that comes twice.
"""

from __future__ import annotations

from dataclasses import replace

from ..durations import to_millis
from ..function import App
from ..parsing import read_json
from ..pauses import Hold
from ..ports import Delivery, Invocation, Outgoing, World
from .held_events import let_go
from .holding import EVENT
from .messages import Continuation, Held, Paused, PoisonError, Resume
from .wakes import lifetime, send_at

LISTED = 60
"""Seconds after which all that began before a pause is surely listed: an index follows the table."""


def resume(
    world: World, app: App, message: Resume, delivery: Delivery, invocation: Invocation, until: float
) -> None:
    """Bring back what is kept; what there is no time for (monotonic) goes to a message of its own."""
    hold = Hold(number=message.number, function=message.function, run=message.run)
    end(world, hold)
    newest = message.newest
    for since, key, body in world.store.parked(hold):
        if world.clock.monotonic() >= until:
            world.queue.send([Outgoing(replace(message, newest=newest).body())])
            return
        if key.startswith(EVENT):
            newest = _begin(world, app, delivery, key, body, newest)
        else:
            world.queue.send([Outgoing(body)])
        world.store.unpark(since, key)
    if not message.last:  # by then, no invocation is left that may have kept something after it was listed
        now = to_millis(world.clock.now())
        again = replace(message, last=True, newest=newest)
        name = f"resume/{hold.function}/{hold.run}/{hold.number}"
        send_at(world, again.body(), now + lifetime(invocation), now=now, name=name)


def _begin(world: World, app: App, delivery: Delivery, key: str, body: str, newest: int) -> int:
    try:
        return let_go(world, app, read_json(Held, body), newest, delivery)
    except PoisonError as error:  # those behind it are to begin all the same
        world.queue.dead_letter(Delivery(body, key), str(error))
        return newest


def end(world: World, hold: Hold) -> bool:
    """Write that a pause is over. Whether it was not."""
    if hold.run:
        header = world.store.get_header(hold.run)
        if header is None or header.pauses != hold.number:
            return False
        found = world.store.change_pauses_of_run(hold.run, hold.number, -hold.number)
        return found is not None and found.pauses == -hold.number
    pause = world.store.pauses(latest=True).get(hold.function)
    if pause is None or pause.number != hold.number or pause.over:
        return False
    ended = world.store.change_pause(hold.function, pause, replace(pause, over=True))
    world.pauses.forget()
    return ended


def cancel_all(world: World, message: Paused, until: float) -> None:
    """Cancel the runs that a function had when it was paused."""
    pause = world.store.pauses(latest=True).get(message.function)
    if pause is None or pause.over or pause.number != message.number:
        return
    found = world.store.runs(
        (message.function,), statuses=("queued", "running", "cancelling"), until=message.until
    )
    for header in found:
        if world.clock.monotonic() >= until:
            rest = replace(message, until=header.created)
            world.queue.send([Outgoing(rest.body())])
            return
        run = world.store.begin_cancel(header.run_id)
        if run is not None and not run.status.ended:
            world.queue.send([Outgoing(Continuation(run=header.run_id, forced=True).body())])
    if not message.again:
        again = replace(message, until=pause.at - 1, again=True)
        world.queue.send([Outgoing(again.body(), LISTED)])
