"""Events as they are kept: one JSON text, with the data as it came."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

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


def load_event(text: str) -> Event[Any]:
    fields = json.loads(text)
    return Event(**{**fields, "time": datetime.fromisoformat(fields["time"])})
