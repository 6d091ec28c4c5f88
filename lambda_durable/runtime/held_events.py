"""Events that came while a function was paused: they are held, or skipped, and start it when it goes on."""

from __future__ import annotations

from ..durations import to_millis
from ..engine.journal import Author
from ..event_json import dump_event, load_event
from ..function import App
from ..pauses import Hold
from ..ports import Delivery, World
from . import payloads
from .beginnings import Begun, NewRun, begin, set_off, skip, was_begun
from .collecting import Newcomer
from .gathering import collect, collects
from .holding import EVENT, keep, paused
from .messages import Held, tag
from .starting import given, start_of


def is_held_back(world: World, app: App, new: NewRun, seen: int) -> bool:
    """Whether a function is paused that an event, `seen` first then (milliseconds), was to start: then it is held, or
    skipped. What is to be collected later is held then, if its function is still paused. A run that an earlier
    delivery of the message in hand has begun goes on, and is held as any."""
    while (pause := paused(world, new.function_id)) is not None:
        if was_begun(world.store.get_header(new.run_id), new.author.tag):
            return False
        if pause.events == "skip":
            return skip(world, app, new, "paused")
        if new.starts is not None and collects(app, new.function_id):
            return False
        start = start_of(
            world, new.function_id, new.run_id, dump_event(new.event), inline=payloads.INLINE_OUTPUT
        )
        if start.key is not None:
            world.blobs.extend(start.key)
        held = Held(**vars(start), starts=new.starts, seen=seen)
        hold = Hold(number=pause.number, function=new.function_id)
        if keep(world, hold, f"{EVENT}#{seen:014d}#{new.run_id}", held.body()):
            return True
    return False


def let_go(world: World, app: App, held: Held, newest: int, delivery: Delivery) -> int:
    """Start what an event starts that was held, after those that came before it, of which the `newest` began then.
    When it began (milliseconds). Its first message is sent whoever began it: an earlier delivery of the event may have
    died before it did."""
    text = given(world, held)
    event = load_event(text)
    to_come = held.starts is not None and held.starts > to_millis(world.clock.now())
    new = NewRun(
        run_id=held.run,
        function_id=held.function,
        event=event,
        author=Author(0, tag(f"held/{held.run}")),
        starts=held.starts if to_come else None,
    )
    if collects(app, held.function):
        payload = payloads.store(world.blobs, f"events/{tag(event.id)}", text, inline=payloads.INLINE_OUTPUT)
        size, now = len(text.encode()), to_millis(world.clock.now())
        newcomer = Newcomer(event, payload, size, held.seen, again=True, joined=now)
        set_off(world, [collect(world, app, newcomer, delivery, alone=new)])
        return newest
    begun = begin(world, app, new, after=newest)
    if begun is None and (header := world.store.get_header(held.run)) is not None:
        begun = Begun(header)
    if begun is None:
        return newest
    if not begun.header.status.ended:
        set_off(world, [begun])
    return max(newest, begun.header.created)
