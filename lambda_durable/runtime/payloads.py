"""Values too large for the table lie in S3, under their run's id, and are put there before the write that
refers to them. Keys are digests of the content, so that an attempt done again can't change what an earlier
one committed."""

from __future__ import annotations

from ..engine.journal import Payload
from ..errors import DamagedItemError, PayloadTooLargeError
from ..ports import Blobs
from ..seals import PLAIN
from ..serialization import byte_length

INLINE_OUTPUT = 32 * 1024
"""Bytes up to which an output lies in its record: a write unit a KB is dearer than an S3 put from here on."""

INLINE_EVENT = 4 * 1024
"""Bytes up to which an event lies in a header, which is written twice and read in every invocation."""

MAX_OUTPUT = 5 * 1024 * 1024
"""`max_output` unless the app says otherwise: bytes of JSON in one output, event or payload."""


def store(blobs: Blobs, prefix: str, text: str, *, inline: int) -> Payload:
    if len(text) <= inline and len(text.encode()) <= inline:
        return Payload(text=text)
    key = f"{prefix}/{blobs.digest(text)}"
    blobs.put(key, text)
    return Payload(key=key)


def read(blobs: Blobs, payload: Payload) -> str:
    """Raises DamagedItemError for an object that somebody has removed."""
    if payload.text is not None:
        return PLAIN.open(
            payload.text, "a run"
        )  # an error where it is encoded, and the app has lost its middleware
    assert payload.key is not None
    try:
        return blobs.get(payload.key)
    except KeyError:
        raise DamagedItemError(
            f"what lay in S3 as {payload.key} is gone: `lambda-durable doctor RUN_ID` says what it was, and the way out"
        ) from None


class Unread:
    """The `Blobs` of who looks at so many payloads that it does without the large ones: `peek` says None of each."""

    def digest(self, text: str) -> str:
        raise NotImplementedError(f"who reads nothing writes nothing: {len(text)} characters")

    def put(self, key: str, text: str) -> None:
        raise NotImplementedError(f"who reads nothing writes nothing: {key}, {len(text)} characters")

    def extend(self, key: str) -> None:
        raise NotImplementedError(f"who reads nothing writes nothing: {key}")

    def get(self, key: str) -> str:
        raise _UnreadError(key)


class _UnreadError(Exception):
    pass


def peek(blobs: Blobs, payload: Payload | None) -> str | None:
    """As `read`; None for nothing, and for what is left `Unread`."""
    try:
        return None if payload is None else read(blobs, payload)
    except _UnreadError:
        return None


def check_size(text: str, limit: int, what: str) -> None:
    """Raises PayloadTooLargeError when a JSON text has more bytes than it may."""
    size = byte_length(text)
    if size > limit:
        raise PayloadTooLargeError(
            f"{what} is {size:,} bytes of JSON, and {limit:,} are allowed; keep the data in S3 and pass its key, "
            f"or raise max_output"
        )
