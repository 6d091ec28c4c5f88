"""Runs as JSON values, for `--json`."""

from __future__ import annotations

import json
from typing import IO, Any

from ..events import Event
from ..runs import Run, RunSummary
from ..serialization import codec, to_plain


def as_plain(run: Run[Any]) -> dict[str, Any]:
    """A run as JSON values, its output and event as they are kept; of a batch all events."""
    shown: dict[str, Any] = run.model_dump(mode="json", exclude={"output", "event", "events"})
    shown["event"] = run.event and _plain_event(run.event)
    if len(run.events) > 1:
        shown["events"] = [_plain_event(event) for event in run.events]
    shown["output"] = plain_value(run.output)
    return {key: shown[key] for key in Run.model_fields if key in shown}


def _plain_event(event: Event[Any]) -> dict[str, Any]:
    return {
        "name": event.name,
        "data": plain_value(event.data),
        "id": event.id,
        "time": event.time.isoformat(),
        "source": event.source,
    }


def summary_as_plain(run: RunSummary) -> dict[str, Any]:
    return run.model_dump(mode="json")


def plain_value(value: Any) -> Any:
    return to_plain(codec().encode(value))


def write_json(value: Any, stream: IO[str]) -> None:
    json.dump(value, stream, indent=2, ensure_ascii=True)
    stream.write("\n")
