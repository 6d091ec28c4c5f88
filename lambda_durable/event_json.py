"""Events as they are kept: one JSON text, with the data as it came. That of a batch is an array of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic_core import to_jsonable_python

from .classes import is_model
from .errors import DamagedItemError
from .events import Event


def dump_event(event: Event[Any]) -> str:
    data = event.data.model_dump(mode="json", by_alias=True) if is_model(event.data) else event.data
    fields = {
        "name": event.name,
        "data": to_jsonable_python(data),
        "id": event.id,
        "time": event.time.isoformat(),
        "source": event.source,
    }
    if event.carried:
        fields["carried"] = dict(event.carried)
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def join_events(texts: Sequence[str]) -> str:
    """Events as one JSON text: a batch is an array."""
    return texts[0] if len(texts) == 1 else f"[{','.join(texts)}]"


def load_event(text: str, of: str = "what was kept") -> Event[Any]:
    """The event; of a batch the first. Raises DamagedItemError, which says `of` what it is, for what was not written
    here."""
    return load_events(text, of)[0]


def load_events(text: str, of: str = "what was kept") -> list[Event[Any]]:
    """The events of a batch, or the one event. Raises DamagedItemError."""
    try:
        found = json.loads(text)
        return [_event(each) for each in found] if isinstance(found, list) and found else [_event(found)]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise DamagedItemError(f"{of} is no event ({type(error).__name__}: {error})") from error


def is_plain(text: str) -> bool:
    """Whether it is events, and not what only the app can read."""
    return text[:1] in ("{", "[")


def _event(fields: dict[str, Any]) -> Event[Any]:
    return Event(**{**fields, "time": datetime.fromisoformat(fields["time"])})
