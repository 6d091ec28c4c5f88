"""From an event file to events that an app wants."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

from ..app import Durable
from ..errors import ConfigurationError
from ..events import SCHEDULED, Event, MalformedEventError, from_eventbridge
from ..schedules import ScheduleTrigger
from ..testing.recurrence import recurrence
from .loading import similar
from .usage_error import UsageError

_PLAIN = {"name", "data", "id", "time", "source"}


def read_events(path: Path, *, start: datetime, seed: int) -> list[Event[Any]]:
    """The events in a file ("-" is stdin). Those without an id get one from the seed; those without a time
    happen at `start`. Raises UsageError."""
    content = _parse(path, _text(path))
    records = content if isinstance(content, list) else [content]
    if not records:
        raise UsageError(f"{path} holds an empty list; there is no event to send")
    random = Random(f"{seed}/event ids")
    events = []
    for index, record in enumerate(records):
        place = f"{path}: event {index + 1} of {len(records)}" if len(records) > 1 else str(path)
        try:
            events.append(_event(record, start, random))
        except (MalformedEventError, ConfigurationError) as error:
            raise UsageError(f"{place}: {error}") from None
    return events


def scheduled_events(app: Durable, *, start: datetime, seed: int) -> list[Event[Any]]:
    """For each schedule of the app the event of its first time after `start`. Raises UsageError if there is none."""
    schedules = _schedules(app)
    if not schedules:
        raise UsageError(
            f"name an event with -e EVENT.json: no function of app {app.id!r} has a schedule that could be due"
        )
    random = Random(f"{seed}/event ids")
    events: list[Event[Any]] = []
    for trigger in schedules:
        times = (recurrence(each, trigger.timezone).after(start) for each in trigger.expressions)
        data = {"schedule": trigger.schedule, "timezone": trigger.timezone}
        due = min(time for time in times if time is not None)
        events.append(Event(SCHEDULED, data, id=_id(random), time=due))
    return sorted(events, key=lambda event: event.time)


def check_wanted(app: Durable, events: Sequence[Event[Any]]) -> None:
    """Raises UsageError for an event that starts nothing, saying why and what is known."""
    triggers = [trigger for function in app.functions.values() for trigger in function.triggers]
    names = sorted({trigger.name for trigger in triggers})
    for event in events:
        if any(function.wants(event) for function in app.functions.values()):
            continue
        if event.name == SCHEDULED and (schedules := _schedules(app)):
            known = ", ".join(repr(trigger.schedule) for trigger in schedules)
            raise UsageError(
                f"event {event.name!r} starts nothing: its data names no schedule and timezone of app {app.id!r}, "
                f"whose schedules are {known}"
            )
        if any(trigger.matches_name(event.name) for trigger in triggers):
            raise UsageError(f"event {event.name!r} starts nothing: the if_exp of its trigger refuses it")
        if not names:
            raise UsageError(
                f"no function wants the event {event.name!r}: no function of app {app.id!r} has a trigger; "
                f"give one on_event({event.name!r})"
            )
        close = get_close_matches(event.name, names, n=1)
        meant = f" (did you mean {close[0]!r}?)" if close else ""
        raise UsageError(
            f"no function wants the event {event.name!r}{meant}; the names known to app {app.id!r}: "
            f"{', '.join(map(repr, names))}"
        )


def _schedules(app: Durable) -> list[ScheduleTrigger]:
    triggers = (trigger for function in app.functions.values() for trigger in function.triggers)
    named = {(each.schedule, each.timezone): each for each in triggers if isinstance(each, ScheduleTrigger)}
    return list(named.values())


def _text(path: Path) -> str:
    if str(path) == "-":
        return sys.stdin.read()
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UsageError(f"there is no event file {path}{similar(path)}") from None
    except IsADirectoryError:
        raise UsageError(f"{path} is a folder; name the event file in it") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is no text in UTF-8") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None


def _parse(path: Path, text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        if not text.strip():
            raise UsageError(f"{path} is empty; an event is expected in it") from None
        raise UsageError(
            f"{path} is no JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        ) from None
    except RecursionError:
        raise UsageError(f"{path} is no JSON that can be read: it is nested too deeply") from None


def _event(record: Any, start: datetime, random: Random) -> Event[Any]:
    if isinstance(record, dict) and "detail-type" in record:
        # What a rule delivers has all of them; what is written by hand need not.
        usual = {"id": _id(random), "time": start.isoformat(), "source": "lambda_durable", "detail": {}}
        return from_eventbridge({**usual, **record})
    if not isinstance(record, dict) or "name" not in record:
        raise MalformedEventError(
            'is no event: an EventBridge event has "detail-type" and "detail", and a plain one is '
            '{"name": ..., "data": {...}}'
        )
    if unknown := sorted(record.keys() - _PLAIN):
        raise MalformedEventError(f"a plain event has no {unknown[0]!r}; it has {', '.join(sorted(_PLAIN))}")
    fields = {"detail-type": record["name"], "detail": {"lambda_durable": {"data": record.get("data", {})}}}
    rest = {key: record[key] for key in ("id", "time", "source") if key in record}
    return from_eventbridge(
        {"id": _id(random), "time": start.isoformat(), "source": "lambda_durable", **rest, **fields}
    )


def _id(random: Random) -> str:
    return str(UUID(int=random.getrandbits(128), version=4))
