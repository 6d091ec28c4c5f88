"""Remembering: what one invocation has read from the bucket, or put there, it does not read again.

Keys are digests of what they name, so what was read once is what is there.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..ports import Blobs

MOST = 8 * 1024 * 1024
"""Characters that are remembered at a time."""


@dataclass(slots=True)
class Remembering:
    """The `Blobs` port on another one, for one invocation."""

    _blobs: Blobs
    _texts: dict[str, str] = field(default_factory=dict)

    def digest(self, text: str) -> str:
        return self._blobs.digest(text)

    def put(self, key: str, text: str) -> None:
        self._blobs.put(key, text)
        self._remember(key, text)

    def get(self, key: str) -> str:
        text = self._texts.get(key)
        if text is None:
            text = self._blobs.get(key)
            self._remember(key, text)
        return text

    def extend(self, key: str) -> None:
        self._blobs.extend(key)

    def _remember(self, key: str, text: str) -> None:
        if sum(map(len, self._texts.values())) + len(text) > MOST:
            self._texts = {}
        self._texts[key] = text
