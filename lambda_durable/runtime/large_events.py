"""Events too large for a bus: their data waits in the bucket, and the event on the bus says where."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from ..events import ENVELOPE
from ..ports import Blobs
from .messages import PoisonError

LARGEST = 900 * 1024
"""Bytes of JSON up to which an event travels whole. EventBridge: at most 1 MB in all; SQS: 1 MiB."""

_KEY = re.compile(r"inbox/[0-9a-f]{64}")


def shrink(blobs: Blobs, entry: dict[str, str]) -> dict[str, str]:
    """An entry of PutEvents that the bus takes."""
    if len(entry["Detail"].encode()) <= LARGEST:
        return entry
    detail = json.loads(entry["Detail"])
    envelope = detail.pop(ENVELOPE)
    text = json.dumps(envelope.pop("data", detail), ensure_ascii=False, separators=(",", ":"))
    key = f"inbox/{hashlib.sha256(text.encode()).hexdigest()}"
    blobs.put(key, text)
    return {**entry, "Detail": json.dumps({ENVELOPE: {**envelope, "key": key}})}


def restore(blobs: Blobs, record: dict[str, Any]) -> dict[str, Any]:
    """An event as it was sent. Raises PoisonError where its data is gone."""
    detail = record.get("detail")
    envelope = detail.get(ENVELOPE) if isinstance(detail, dict) else None
    if not isinstance(envelope, dict) or "key" not in envelope:
        return record
    key = envelope["key"]
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise PoisonError(f"the message is no EventBridge event: detail.{ENVELOPE}.key: is no key of ours")
    try:
        data = json.loads(blobs.get(key))
    except KeyError:
        raise PoisonError(f"the data of the event lay in {key}, and is gone") from None
    rest = {name: value for name, value in envelope.items() if name != "key"}
    return {**record, "detail": {ENVELOPE: {**rest, "data": data}}}
