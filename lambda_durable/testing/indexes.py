"""Indexes that lag: a read of one shows the table as it was some seconds ago."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import Table

from ..aws.sizes import Attributes

LONGEST = timedelta(seconds=20)
"""How far an index is behind at most."""

Peek = Callable[[str, Attributes], Attributes | None]


class Changes:
    """What items were before they changed, for as long as an index may not know it. `watch` is told of each
    change: the table, the item's key, and the item before and after."""

    def __init__(self, now: Callable[[], datetime], lag: Callable[[], timedelta], peek: Peek) -> None:
        self.watch: Callable[[str, Attributes, Attributes | None, Attributes | None], None] | None = None
        self._now = now
        self._lag = lag
        self._peek = peek
        self._log: deque[tuple[datetime, str, Attributes, Attributes | None]] = deque()

    def write(self, writes: list[tuple[str, Attributes]], apply: Callable[[], Any]) -> Any:
        """Make a call that writes these items."""
        before = [self._peek(*each) for each in writes]
        try:
            return apply()
        finally:
            for (table, attributes), old in zip(writes, before, strict=True):
                new = self._peek(table, attributes)
                if old != new:
                    self._log.append((self._now(), table, attributes, old))
                    if self.watch is not None:
                        self.watch(table, attributes, old, new)

    @contextmanager
    def behind(self, table: Table) -> Iterator[None]:
        """Let a table be as an index shows it now."""
        while self._log and self._log[0][0] < self._now() - LONGEST:
            self._log.popleft()
        lag = self._lag()
        if not lag:
            yield
            return
        items: Any = table.items
        table.items = self._as_of(self._now() - lag, table, items)  # type: ignore[assignment]
        try:
            yield
        finally:
            table.items = items

    def _as_of(self, when: datetime, table: Table, items: Mapping[Any, Any]) -> dict[Any, Any]:
        seen = {key: dict(partition) for key, partition in items.items()}
        for time, name, attributes, old in reversed(self._log):
            if time <= when:
                break
            if name != table.name:
                continue
            hash_key = DynamoType(dict(attributes[table.hash_key_attr]))
            range_key = DynamoType(dict(attributes[table.range_key_attr])) if table.range_key_attr else None
            if old is None:
                seen[hash_key].pop(range_key, None)
            else:
                seen.setdefault(hash_key, {})[range_key] = Item(hash_key, range_key, dict(old))
        return seen
