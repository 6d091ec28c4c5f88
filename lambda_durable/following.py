"""The client's way of following a run: what it publishes, and what becomes of it and of its steps."""

from __future__ import annotations

import json
import time
from abc import abstractmethod
from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from typing import Any, Final

from .connected import Connected, check_count
from .durations import Duration, from_millis, parse_duration
from .engine.journal import RunStatus
from .errors import ConfigurationError
from .publishing import Published
from .runs import Message, MessagePage, Run, Status, StepRecord, Update
from .runtime import payloads

PAGE: Final = 100

MOST: Final = 1_000
"""Messages in one page."""


class Following(Connected):
    """Follows runs."""

    @abstractmethod
    def overview(self, run_id: str) -> Run[Any]: ...

    def messages(self, run_id: str, *, after: str = "", limit: int = PAGE) -> MessagePage:
        """What a run has published, `after` a cursor of an earlier page or message: one Query, and a look at whether
        the run has ended. Raises RunNotFoundError."""
        check_count(limit, "limit=")
        position, limit = _position(after), min(limit, MOST)
        ended = self._header(run_id, "follow").status.ended  # before: what it says last is not missed
        found = self._world.store.messages(run_id, after=position, expected=limit)
        page = tuple(map(self._message, islice(found, limit)))
        return MessagePage(
            messages=page, cursor=page[-1].cursor if page else after, ended=ended and len(page) < limit
        )

    def follow(self, run_id: str, *, after: str = "", every: Duration = "1s") -> Iterator[Update]:
        """What a run publishes, and what becomes of it and its steps, until it ends; looked for `every` so often.

        Each message comes once, in the order in which the run published them; `after` a cursor, those that follow it.
        Of a step and of the run, what has changed since the last look: how they are comes first, and once more
        `after` a cursor. The last update has the status with which the run ended. Raises RunNotFoundError.
        """
        _position(after)
        pause = parse_duration(every, "follow(every=)")
        return self._follow(run_id, after, pause)

    def _follow(self, run_id: str, cursor: str, pause: timedelta) -> Iterator[Update]:
        seen: dict[str, StepRecord] = {}
        status: Status | None = None
        quiet = 0
        while True:
            run = self.overview(run_id)
            steps = [step for step in run.steps.values() if seen.get(step.id) != step]
            seen |= {step.id: step for step in steps}
            messages = list(self._rest(run_id, cursor))
            quiet = 0 if steps or messages or run.status != status else quiet + 1
            ended = RunStatus(run.status).ended
            if run.status != status and not ended:
                yield Update(kind="run", cursor=cursor, status=run.status)
            status = run.status
            for what in _in_time(messages, sorted(steps, key=_changed)):
                if isinstance(what, Message):
                    cursor = what.cursor
                    yield Update(kind="message", cursor=cursor, status=run.status, message=what)
                else:
                    yield Update(kind="step", cursor=cursor, status=run.status, step=what)
            if ended:
                yield Update(kind="run", cursor=cursor, status=run.status)
                return
            self._wait(pause, quiet)

    def _rest(self, run_id: str, cursor: str) -> Iterator[Message]:
        return map(self._message, self._world.store.messages(run_id, after=_position(cursor)))

    def _wait(self, pause: timedelta, quiet: int) -> None:  # noqa: ARG002
        """Between two looks; nothing came at so many of the last ones."""
        time.sleep(pause.total_seconds())

    def _message(self, published: Published) -> Message:
        return Message(
            topic=published.topic,
            data=json.loads(payloads.read(self._world.blobs, published.data)),
            published_at=from_millis(published.time),
            step_id=published.step_id or None,
            attempt=published.attempt or None,
            cursor=str(published.position),
        )


def _position(cursor: object) -> int | None:
    if cursor == "":
        return None
    if isinstance(cursor, str) and cursor.isascii() and cursor.isdecimal() and len(cursor) <= 13:
        return int(cursor)
    raise ConfigurationError(
        f"after= takes the cursor of a message, a page or an update, and this is {cursor!r}"
    )


def _changed(step: StepRecord) -> float:
    when = step.ended_at or step.started_at
    return when.timestamp() if when is not None else float("inf")


def _in_time(messages: list[Message], steps: list[StepRecord]) -> Iterator[Message | StepRecord]:
    """Both, by time as far as it is known; each in its own order."""
    for message in messages:
        while steps and _changed(steps[0]) < message.published_at.timestamp():
            yield steps.pop(0)
        yield message
    yield from steps
