"""Events on their way over a bus: encoded, where the app's middleware does so; and those that are too large for it,
whose data waits in the bucket, and the event says where."""

from __future__ import annotations

import json
import re
from typing import Any

from ..events import ENVELOPE
from ..ports import World
from .messages import PoisonError

LARGEST = 900 * 1024
"""Bytes of JSON up to which an event travels whole. EventBridge: at most 1 MB in all; SQS: 1 MiB."""

_KEY = re.compile(r"inbox/[0-9a-f]{64}")


def wrap(world: World, entry: dict[str, str]) -> dict[str, str]:
    """An entry of PutEvents as it goes to the bus."""
    if not world.seal.encodes and _fits(entry):
        return entry
    detail = json.loads(entry["Detail"])
    envelope = detail.pop(ENVELOPE)
    text = json.dumps(envelope.pop("data", detail), ensure_ascii=False, separators=(",", ":"))
    if world.seal.encodes:
        closed = world.seal.close(text, f"events/{envelope['id']}")
        entry = {**entry, "Detail": json.dumps({ENVELOPE: {**envelope, "sealed": closed}})}
        if _fits(entry):
            return entry
    key = f"inbox/{world.blobs.digest(text)}"
    world.blobs.put(key, text)
    return {**entry, "Detail": json.dumps({ENVELOPE: {**envelope, "key": key}})}


def _fits(entry: dict[str, str]) -> bool:
    return len(entry["Detail"].encode()) <= LARGEST


def unwrap(world: World, record: dict[str, Any]) -> dict[str, Any]:
    """An event as it was sent. Raises PoisonError where its data is gone."""
    detail = record.get("detail")
    envelope = detail.get(ENVELOPE) if isinstance(detail, dict) else None
    if not isinstance(envelope, dict):
        return record
    if isinstance(closed := envelope.get("sealed"), str):
        text = world.seal.open(closed, f"events/{envelope.get('id')}")
        return _with_data(record, envelope, json.loads(text))
    if "key" not in envelope:
        return record
    key = envelope["key"]
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise PoisonError(f"the message is no EventBridge event: detail.{ENVELOPE}.key: is no key of ours")
    try:
        data = json.loads(world.blobs.get(key))
    except KeyError:
        raise PoisonError(f"the data of the event lay in {key}, and is gone") from None
    return _with_data(record, envelope, data)


def _with_data(record: dict[str, Any], envelope: dict[str, Any], data: Any) -> dict[str, Any]:
    rest = {name: value for name, value in envelope.items() if name not in ("key", "sealed")}
    return {**record, "detail": {ENVELOPE: {**rest, "data": data}}}
