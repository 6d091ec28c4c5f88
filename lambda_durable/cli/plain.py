"""Runs as JSON values, for `--json`."""

from __future__ import annotations

import json
from typing import IO, Any

from ..runs import Run, RunSummary
from ..serialization import codec, to_plain


def as_plain(run: Run[Any]) -> dict[str, Any]:
    """A run as JSON values, its output and event as they are kept."""
    shown: dict[str, Any] = run.model_dump(mode="json", exclude={"output", "event"})
    event = run.event
    shown["event"] = event and {
        "name": event.name,
        "data": plain_value(event.data),
        "id": event.id,
        "time": event.time.isoformat(),
        "source": event.source,
    }
    shown["output"] = plain_value(run.output)
    order = list(Run.model_fields)
    return {key: shown[key] for key in order}


def summary_as_plain(run: RunSummary) -> dict[str, Any]:
    return run.model_dump(mode="json")


def plain_value(value: Any) -> Any:
    return to_plain(codec().encode(value))


def write_json(value: Any, stream: IO[str]) -> None:
    json.dump(value, stream, indent=2, ensure_ascii=True)
    stream.write("\n")
