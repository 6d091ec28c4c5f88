"""`lambda-durable send`: events onto the bus of a deployed app."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..errors import ConfigurationError
from ..events import Event
from .deployed import deployed
from .event_files import read_events
from .json_data import read_data
from .plain import write_json
from .usage_error import UsageError


def send_events(
    path: Path | None, *, name: str | None, data: str | None, id: str | None, stack: str | None, as_json: bool
) -> None:
    """Send the events of a file, or the one that the options describe. Raises UsageError and FailedError."""
    events = _events(path, name, data, id)
    with deployed(stack) as client:
        ids = client.send(*events)
    if as_json:
        sent = [{"id": id, "name": event.name} for id, event in zip(ids, events, strict=True)]
        write_json(sent, sys.stdout)
        return
    for id, event in zip(ids, events, strict=True):
        sys.stdout.write(f"{id}  {event.name}\n")


def _events(path: Path | None, name: str | None, data: str | None, id: str | None) -> Sequence[Event[Any]]:
    if (path is None) == (name is None):
        raise UsageError("give either EVENT.json or --name NAME, with --data JSON if it has data")
    if path is not None:
        if data is not None or id is not None:
            raise UsageError("--data and --id go with --name; an event file has its own")
        return read_events(path, start=datetime.now(UTC), seed=secrets.randbits(64))
    content = read_data(data, otherwise={})
    try:
        return [Event(name or "", content) if id is None else Event(name or "", content, id=id)]
    except ConfigurationError as error:
        raise UsageError(str(error)) from None
