"""Signals: a name that one run waits for, and what is sent to it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from .errors import ConfigurationError
from .events import LONGEST_NAME
from .serialization import codec


@dataclass(frozen=True)
class Signal:
    """A signal that came. `data` is what was sent, equal to it."""

    name: str
    data: Any = None


def check_signal(signal: object, what: str) -> None:
    """Raises ConfigurationError for what is no name of a signal."""
    if not isinstance(signal, str) or not 1 <= len(signal) <= LONGEST_NAME:
        raise ConfigurationError(
            f"{what}: a signal's name has 1 to {LONGEST_NAME} characters, and this is {signal!r}"
        )


def signal_text(name: str, data: Any) -> str:
    """A signal as JSON. Raises SerializationError for data that can't be kept."""
    return f'{{"name":{json.dumps(name)},"data":{codec().encode(data)}}}'


def read_signal(text: str) -> Signal | None:
    """A signal from its JSON; None where none came."""
    kept = json.loads(text)
    if kept is None:
        return None
    return Signal(kept["name"], codec().decode(json.dumps(kept["data"])))
