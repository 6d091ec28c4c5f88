"""Dead letters: why each was given up, and what it would do now.

What is sent again is as another delivery of it, or is a check; so it starts nothing twice. It is sent before the
letter is removed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Protocol

from ..aws.dead_letters import Letter
from ..durations import in_millis, to_millis
from ..engine.journal_ids import run_of
from ..events import MalformedEventError, from_eventbridge
from ..findings import Finding, Level
from ..ports import Outgoing, World
from ..runtime import payloads
from ..runtime.eager import runs_of
from ..runtime.ingress import DEDUPE
from ..runtime.messages import (
    Arrival,
    Continuation,
    Gather,
    Message,
    Paused,
    PoisonError,
    Postponed,
    Resume,
    Scheduled,
    Start,
    parse,
    tag,
)
from ..runtime.reconciler import check
from ..runtime.run_ids import run_of_event
from ..runtime.starting import start_of
from ..store import StoredEvent
from .diagnosis import UNREADABLE, is_there

MARGIN = 60 * 60 * 1000
"""Milliseconds before an event's id is forgotten, in which it is no longer sent again as it is."""


DELETE = "delete the letter (dead-letter queue in SQS's console: Poll for messages)"


class DeadLetters(Protocol):
    def taken(self) -> AbstractContextManager[list[Letter]]: ...
    def remove(self, letter: Letter) -> None: ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a letter is about (the `run`, if it is of one), and what is to be sent in its place; None: it is to stay."""

    subject: str
    why: str
    messages: tuple[str, ...] | None = None
    will: str = ""
    way_out: str = ""
    level: Level = Level.STUCK
    run: str = ""


def dead_letters(world: World, letters: DeadLetters, retention: timedelta, *, fix: bool) -> Iterator[Finding]:
    """What was given up. The repair sends it again, or removes what has nothing to do any more."""
    with letters.taken() as found:
        for letter in found:
            verdict = judge(world, letter, retention)
            done = act(world, letters, letter, verdict) if fix else ""
            finding = Finding(
                level=verdict.level,
                kind="dead-letter",
                subject=verdict.subject,
                why=f"{verdict.why}; {reason_of(letter)}",
                way_out=verdict.way_out or f"--fix {in_future(verdict.will)}",
                done=done,
            )
            yield replace(finding, way_out="") if done else finding


def act(world: World, letters: DeadLetters, letter: Letter, verdict: Verdict) -> str:
    """Do what a letter is to do, and remove it; what was done. Nothing, if it is to stay."""
    if verdict.messages is None:
        return ""
    if verdict.messages:
        world.queue.send([Outgoing(body) for body in verdict.messages])
    letters.remove(letter)
    return verdict.will


def judge(world: World, letter: Letter, retention: timedelta) -> Verdict:
    """What a letter would do now."""
    try:
        message = parse(letter.body)
        if isinstance(message, Continuation):
            return replace(_of_a_run(world, letter, message), run=run_of(message.run))
        age = to_millis(world.clock.now()) - letter.sent
        if letter.sent and age > in_millis(retention):
            subject = _subject(message)
            return Verdict(
                subject,
                f"it is older ({age // 86_400_000} days) than what the state remembers, so it may have done its work",
                way_out=f"look whether that is so; if not, send it again yourself; then {DELETE}",
            )
        if isinstance(message, dict):
            return _of_an_event(world, letter, message)
        found = _of_a_start(world, letter, message)
        return replace(found, run=message.run) if isinstance(message, Start) else found
    except (PoisonError, MalformedEventError) as error:
        return Verdict(
            f"message {letter.message_id}",
            "nobody can make sense of it" + ("" if "reason" in letter.attributes else f": {error}"),
            way_out=f"find out who sends it; then {DELETE}",
        )
    except UNREADABLE as error:
        return Verdict(
            f"message {letter.message_id}",
            f"what it is about can't be read: {error}",
            way_out="make it readable again (a backup, a key, --app), then doctor --fix",
        )


def _of_a_run(world: World, letter: Letter, message: Continuation) -> Verdict:
    run = run_of(message.run)
    header = world.store.get_header(run)
    subject = f"a message of run {run}"
    if header is None:
        return Verdict(subject, "there is no such run (any more)", (), "removed it", level=Level.LEFT)
    subject = f"{subject} of {header.function_id!r}"
    original = letter.attributes.get("message_id", letter.message_id)
    mine = message.stands_for or tag(original)
    follows = replace(message, stands_for=mine).body()
    if header.status.ended:
        why = f"the run has {header.status}; if this message ended it, what follows may have been left undone"
        return Verdict(
            subject, why, (follows,), "had it do what follows the end of its run", level=Level.LEFT
        )
    failed = header.error.type if header.error is not None else ""
    why = (
        f"the run is {header.status}{': ' + failed if failed else ''}, and this message was to go on with it"
    )
    again = message.as_check(revived=0, idle=0)
    messages = [again.body()]
    if message.chain or message.leaf is not None:
        messages.append(check(header.journal_id))
    if header.renewal is not None and header.renewal.by.tag == mine:  # what follows may have been left undone
        messages.append(follows)
    return Verdict(subject, why, tuple(messages), "sent a check that brings it on")


def _of_an_event(world: World, letter: Letter, content: dict[str, Any]) -> Verdict:
    event = from_eventbridge(content)
    subject = _subject(content)
    stored = world.store.get_event(event.id)
    now = to_millis(world.clock.now())
    if stored is None:
        return Verdict(subject, "it has started nothing yet", (letter.body,), "sent it again")
    if stored.seen > now - DEDUPE + MARGIN:
        why = "it was stored, and may have been left half done; sent again it starts nothing twice"
        return Verdict(subject, why, (letter.body, *_checks(world, content)), "sent it again")
    why = "it was stored more than a day ago, and may have been left half done"
    if stored.time > now:
        way_out = (
            f"doctor --fix has the runs begin that are not there after {event.time:%Y-%m-%d %H:%M:%S} UTC"
        )
        return Verdict(subject, f"{why}; its time is yet to come", way_out=way_out)
    if not is_there(world, stored.payload):
        gone = f"its data lay in S3 as {stored.payload.key}, and is gone"
        return Verdict(subject, gone, way_out=f"send the event anew; then {DELETE}")
    return Verdict(subject, why, _rest(world, stored), "had the runs begin that had not, under their own ids")


def _rest(world: World, stored: StoredEvent) -> tuple[str, ...]:
    """What finishes an event whose id is forgotten by now: sent again it would start its functions once more. The ids
    of its runs follow from what was stored, as in ingress.py."""
    text = payloads.read(world.blobs, stored.payload)
    starts = []
    for id in stored.functions:
        if id in stored.collected:  # it joins the others, unless it has
            starts.append(Postponed(function=id, event=stored.id, at=stored.seen).body())
            continue
        run = run_of_event(stored, id)
        header = world.store.get_header(run)
        if header is None:
            starts.append(start_of(world, id, run, text).body())
        elif not header.status.ended:
            starts.append(check(run))
    return (*starts, Arrival(event=stored.id).body())


def _checks(world: World, message: Message) -> list[str]:
    """What brings on the runs that a message has begun: it may have been what drove them."""
    headers = map(world.store.get_header, runs_of(world, message))
    return [check(header.run_id) for header in headers if header is not None and not header.status.ended]


def _of_a_start(
    world: World, letter: Letter, message: Start | Scheduled | Arrival | Postponed | Gather | Paused | Resume
) -> Verdict:
    subject = _subject(message)
    if isinstance(message, Postponed | Gather | Paused | Resume):
        why = "it may have done its work or not, and does nothing twice"
        return Verdict(subject, why, (letter.body,), "sent it again")
    if isinstance(message, Arrival):
        if world.store.get_event(message.event) is None:
            return Verdict(subject, "its event has expired", (), "removed it", level=Level.LEFT)
        return Verdict(subject, "not all who wait for it were woken", (letter.body,), "sent it again")
    if isinstance(message, Start):
        if world.store.get_header(message.run) is not None:
            why = "the run has begun all the same"
            return Verdict(
                subject, why, (check(message.run),), "removed it, and sent the run a check", level=Level.LEFT
            )
        if message.key is not None:
            try:
                world.blobs.get(message.key)
            except KeyError:
                return Verdict(
                    subject,
                    f"its data lay in S3 as {message.key}, and is gone",
                    way_out=f"start it again; then {DELETE}",
                )
    if checks := _checks(world, message):
        return Verdict(subject, "its run has begun", (letter.body, *checks), "sent it again")
    return Verdict(subject, "it has not started its run", (letter.body,), "sent it again")


def _subject(
    message: dict[str, Any] | Start | Scheduled | Arrival | Postponed | Gather | Paused | Resume,
) -> str:
    match message:
        case Start():
            return f"the start of run {message.run} of {message.function!r}"
        case Scheduled():
            return f"the schedule {message.schedule!r} of {message.function!r}, due at {message.time:%Y-%m-%d %H:%M}"
        case Arrival():
            return f"event {message.event}"
        case Postponed():
            return f"event {message.event}, which function {message.function!r} collects"
        case Gather():
            return f"what function {message.function!r} has collected in {message.collector}"
        case Paused():
            return f"the pause of {message.function!r}, which was to cancel its runs"
        case Resume():
            return (
                f"the end of the pause of {f'run {message.run}' if message.run else repr(message.function)}"
            )
    event = from_eventbridge(message)
    return f"event {event.name!r} ({event.id})"


def reason_of(letter: Letter) -> str:
    """Who gave it up, and why."""
    told = letter.attributes
    if "reason" in told:
        return f"the worker put it aside: {told['reason']}"
    if "ERROR_CODE" in told:
        who = "Scheduler" if "SCHEDULE_ARN" in told else "EventBridge"
        return f"{who} could not deliver it: {told['ERROR_CODE']}: {told.get('ERROR_MESSAGE', '')}"
    queue = letter.source.rpartition(":")[2]
    where = f" from {queue}" if queue else ""
    return f"it was received too often{where}: each invocation failed or died, and the worker's log says why"


def in_future(will: str) -> str:
    """'sent it again' is 'sends it again' before it is done."""
    first, _, rest = will.partition(" ")
    return f"{ {'sent': 'sends', 'had': 'has', 'removed': 'removes'}.get(first, first) } {rest}".strip()
