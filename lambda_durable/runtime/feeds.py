"""Feeds: the messages that a run publishes, in one order for all who follow it.

A message is written at the first position that is free, on the condition that it is; so who has read up to one has
missed nothing before it, and who writes at one knows all that lie before it. A message that was published before is
found among them by its id.

Those of a handler are held back until what follows them begins for the first time, as its lines are: a replay which
comes to a step that the journal knows has published what lies before it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from ..durations import to_millis
from ..engine import paths
from ..engine.journal import Header, Payload
from ..engine.scope import current_task
from ..ports import World
from ..publishing import Published, message_text

WINDOW: Final = 10_000
"""How many of the newest messages an invocation looks among for what it publishes again."""

MOST_TRIES: Final = 1_000


class Feed:
    """What one invocation publishes of a run. Steps' threads may do so at once: they meet at the positions.

    A run that continues as new for months outlives its messages, and a feed that is empty says no more where it was.
    It goes on at the milliseconds that the run had taken when its journal began: so many messages there never were.
    """

    def __init__(self, world: World, header: Header) -> None:
        self._world = world
        self._run_id = header.run_id
        self._anew = header.begun - header.created
        self._known: set[str] = set()
        self._next = 0
        self._looked = False

    def publish(self, origin: str, topic: str, text: str, *, step_id: str = "", attempt: int = 0) -> None:
        """Write a message unless it is there. `origin` tells it apart from others that say the same."""
        id = self._world.blobs.digest("\0".join((origin, topic, text)))[:32]
        if not self._looked:
            self._looked = True
            newest = self._world.store.messages(self._run_id, newest_first=True)
            self._note(*islice(newest, WINDOW))
            if not self._known:
                self._next = self._anew
        for _ in range(MOST_TRIES):
            if id in self._known:
                return
            message = Published(
                position=self._next,
                id=id,
                topic=topic,
                data=Payload(text=text),
                time=to_millis(self._world.clock.now()),
                step_id=step_id,
                attempt=attempt,
            )
            found = self._world.store.add_message(self._run_id, message)
            self._note(found or message)
            if found is not None:
                self._note(*self._world.store.messages(self._run_id, after=found.position))
        raise RuntimeError(
            f"run {self._run_id}: {MOST_TRIES:,} times somebody else published while it tried to; who publishes from "
            "so many branches at once does better from the code that joins them"
        )

    def _note(self, *messages: Published) -> None:
        for message in messages:
            self._known.add(message.id)
            self._next = max(self._next, message.position + 1)


@dataclass(frozen=True, slots=True)
class _Held:
    task: object
    scope: str
    origin: str
    topic: str
    text: str


class Outbox:
    """The messages of one replay that may have to be written yet."""

    def __init__(self, feed: Feed | None, journal_id: str) -> None:
        self._feed = feed
        self._journal_id = journal_id
        self._counts: Counter[tuple[str, str, str]] = Counter()
        self._held: list[_Held] = []

    def add(self, scope: str, topic: str, text: str) -> None:
        if self._feed is None:
            return
        # By what it says, not by its place: tasks of one scope may come to theirs in another order.
        number = self._counts[scope, topic, text]
        self._counts[scope, topic, text] += 1
        origin = f"{self._journal_id}\0{scope}\0{number}"
        self._held.append(_Held(current_task(), scope, origin, topic, text))

    def known(self, scope: str) -> None:
        """The running task has come, in a scope, to a step that has a record: that began after these were written."""
        if self._held:
            task = current_task()
            self._held = [each for each in self._held if each.task is not task or each.scope != scope]

    def pending(self, focus: str) -> bool:
        return any(not focus or paths.within(each.scope, focus) for each in self._held)

    def flush(self, focus: str) -> None:
        """Write them, but for those around what the invocation is about: who handed that out has."""
        held, self._held = self._held, []
        for each in held:
            if self._feed is not None and (not focus or paths.within(each.scope, focus)):
                self._feed.publish(each.origin, each.topic, each.text)


class StepFeed:
    """What one attempt of a step publishes, from inside its function."""

    def __init__(self, feed: Feed, step: str, step_id: str, attempt: int) -> None:
        self._feed = feed
        self._origin = f"{step}\0{attempt}"
        self._step_id = step_id
        self._attempt = attempt
        self._counts: Counter[tuple[str, str]] = Counter()

    def __call__(self, topic: str, data: Any) -> None:
        text = message_text(topic, data)
        number = self._counts[topic, text]
        self._counts[topic, text] += 1
        origin = f"{self._origin}\0{number}"
        self._feed.publish(origin, topic, text, step_id=self._step_id, attempt=self._attempt)
