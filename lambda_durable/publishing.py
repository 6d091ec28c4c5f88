"""Publishing: what a run tells those who follow it, while it is at work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from .engine.journal import Payload
from .engine.scope import scope_here
from .errors import ConfigurationError, PayloadTooLargeError
from .serialization import byte_length, plain_json
from .step_info import running_step

LONGEST_TOPIC: Final = 256

LARGEST_MESSAGE: Final = 32 * 1024
"""Bytes of a message's JSON: one lies in the table, where a KB is a write unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A message as it is kept. Those of a run have positions that follow one another; `id` follows from what it says
    and where in the run that was published, so that to do it again changes nothing. `step_id` is "" for what the
    handler says."""

    position: int
    id: str
    topic: str
    data: Payload
    time: int
    step_id: str = ""
    attempt: int = 0


def publish(topic: str, data: Any) -> None:
    """Publish from where the code runs: in a step's function at once, in a handler when what follows begins."""
    step = running_step.get()
    if step is not None:
        step.publish(topic, data)
        return
    text = message_text(topic, data)
    scope = scope_here()
    replay = scope.replay
    if replay.log is not None and replay.interrupt is None and not replay.closed:
        replay.log.publish(scope.path, topic, text)


def message_text(topic: object, data: Any) -> str:
    """The JSON of a message's data. Raises ConfigurationError for a topic that is none, SerializationError and
    PayloadTooLargeError for data that can't be published."""
    if not isinstance(topic, str) or not 1 <= len(topic) <= LONGEST_TOPIC or not topic.isprintable():
        raise ConfigurationError(
            f"publish(): a topic has 1 to {LONGEST_TOPIC} printable characters, and this is {topic!r}"
        )
    text = plain_json(data)
    size = byte_length(text)
    if size > LARGEST_MESSAGE:
        raise PayloadTooLargeError(
            f"the message on topic {topic!r} is {size:,} bytes of JSON, and {LARGEST_MESSAGE:,} are allowed; publish "
            "where the data is, and keep it in S3 or in a step's result"
        )
    return text
