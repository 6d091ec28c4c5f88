"""Events as they are kept: one JSON text, with the data as it came."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from .errors import DamagedItemError
from .events import Event


def dump_event(event: Event[Any]) -> str:
    data = (
        event.data.model_dump(mode="json", by_alias=True) if isinstance(event.data, BaseModel) else event.data
    )
    return json.dumps(
        {
            "name": event.name,
            "data": to_jsonable_python(data),
            "id": event.id,
            "time": event.time.isoformat(),
            "source": event.source,
        },
        ensure_ascii=False,
        separators=(",", ":"),
    )


def load_event(text: str, of: str = "what was kept") -> Event[Any]:
    """Raises DamagedItemError, which says `of` what it is, for what `dump_event` did not write."""
    try:
        fields = json.loads(text)
        return Event(**{**fields, "time": datetime.fromisoformat(fields["time"])})
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise DamagedItemError(f"{of} is no event ({type(error).__name__}: {error})") from error
