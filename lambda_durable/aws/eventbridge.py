"""The app's bus on EventBridge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from .batches import batches, send_all

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

LARGEST_BATCH: Final = 1_000_000
"""Bytes of all entries of a PutEvents together: EventBridge says 1 MB."""


class EventBridgeBus:
    """The `EventBus` port."""

    def __init__(self, client: EventBridgeClient, bus: str) -> None:
        self._client = client
        self._bus = bus

    def put(self, entries: Sequence[dict[str, str]]) -> None:
        for batch in batches(entries, _size, LARGEST_BATCH):
            send_all(batch, self._put_batch)

    def _put_batch(self, batch: list[dict[str, str]]) -> tuple[list[dict[str, str]], str]:
        entries: list[Any] = [{**entry, "EventBusName": self._bus} for entry in batch]
        answer = self._client.put_events(Entries=entries)
        if not answer["FailedEntryCount"]:
            return [], ""
        failed = [
            (entry, result)
            for entry, result in zip(batch, answer["Entries"], strict=True)
            if "ErrorCode" in result
        ]
        why = ", ".join(
            sorted({f"{result['ErrorCode']}: {result.get('ErrorMessage', '')}" for _, result in failed})
        )
        return [entry for entry, _ in failed], why


def _size(entry: dict[str, str]) -> int:
    return sum(len(text.encode()) for text in entry.values())
