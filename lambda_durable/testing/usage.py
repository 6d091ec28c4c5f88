"""What DynamoDB would charge: units from the sizes of items, by its published rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..aws.sizes import Attributes, item_size

Peek = Callable[[str, Attributes], Attributes | None]
"""The item of a table with a key (found among the attributes given); None if there is none."""

_WRITES = {"Put", "Update", "Delete", "ConditionCheck"}


@dataclass(slots=True)
class Usage:
    """Units of capacity; and what was read, to see what grows with what. `write_units` are the table's, `index_units`
    those that its indexes take beside them."""

    read_units: float = 0.0
    write_units: float = 0.0
    index_units: float = 0.0
    items_read: int = 0
    bytes_read: int = 0


class Meter:
    """Adds what calls to DynamoDB use to a `Usage`."""

    def __init__(self, usage: Usage, peek: Peek) -> None:
        self._usage = usage
        self._peek = peek
        self._indexes: dict[str, list[Index]] = {}

    def add_table(self, definition: Mapping[str, Any]) -> None:
        """Take the indexes of a table into account, as CreateTable defines it. They project some attributes."""
        of_table = {key["AttributeName"] for key in definition["KeySchema"]}
        self._indexes[definition["TableName"]] = [
            Index(keys := frozenset(key["AttributeName"] for key in index["KeySchema"]),
                  keys | of_table | {*index["Projection"].get("NonKeyAttributes", ())})
            for index in definition.get("GlobalSecondaryIndexes", ())
        ]  # fmt: skip

    def call(self, operation: str, params: dict[str, Any], apply: Callable[[], Any]) -> Any:
        writes = list(written(operation, params))
        if not writes:
            response = apply()
            self._read(operation, params, response)
            return response
        before = [self._item(*write) for write in writes]
        try:
            return apply()
        finally:
            # Also when it failed: a condition that does not hold costs as much as the write.
            price = 2 if operation == "TransactWriteItems" else 1
            for write, item in zip(writes, before, strict=True):
                self._wrote(write[0], item, self._item(*write), price)

    def _item(self, table: str, attributes: Attributes) -> Attributes:
        """As it is now; a copy, since moto changes its own in place."""
        return dict(self._peek(table, attributes) or {})

    def _wrote(self, table: str, before: Attributes, after: Attributes, price: int) -> None:
        self._usage.write_units += price * _units(max(item_size(before), item_size(after)), 1024)
        for index in self._indexes.get(table, ()):
            self._usage.index_units += index.units(before, after)

    def _read(self, operation: str, params: dict[str, Any], response: dict[str, Any]) -> None:
        if operation in ("Query", "Scan"):
            self._add([sum(map(item_size, response["Items"]))], len(response["Items"]), _strength(params))
        elif operation == "GetItem":
            item = response.get("Item")
            self._add([item_size(item or {})], int(item is not None), _strength(params))
        elif operation == "BatchGetItem":
            for table, items in response["Responses"].items():
                self._add(map(item_size, items), len(items), _strength(params["RequestItems"][table]))
        elif operation == "TransactGetItems":
            items = [entry.get("Item", {}) for entry in response["Responses"]]
            self._add(map(item_size, items), sum(map(bool, items)), 2)

    def _add(self, sizes: Any, items: int, price: float) -> None:
        """`sizes`: of what is rounded up together."""
        for size in sizes:
            self._usage.read_units += price * _units(size, 4096)
            self._usage.bytes_read += size
        self._usage.items_read += items


@dataclass(frozen=True, slots=True)
class Index:
    """A global secondary index: the attributes of its key, and all that it holds."""

    keys: frozenset[str]
    holds: frozenset[str]

    def units(self, before: Attributes, after: Attributes) -> int:
        """What a write of an item costs it. DynamoDB: nothing where nothing of it changes; one write, or two where its
        key does: the old entry is deleted, and the new one put."""
        old, new = self._entry(before), self._entry(after)
        if old == new:
            return 0
        if old and new and all(old[key] == new[key] for key in self.keys):
            return _units(max(item_size(old), item_size(new)), 1024)
        return sum(_units(item_size(entry), 1024) for entry in (old, new) if entry)

    def _entry(self, item: Attributes) -> Attributes:
        """Empty for an item that the index leaves out."""
        if not self.keys <= item.keys():
            return {}
        return {name: value for name, value in item.items() if name in self.holds}


def _units(size: int, unit: int) -> int:
    return max(1, -(-size // unit))


def _strength(params: Mapping[str, Any]) -> float:
    return 1 if params.get("ConsistentRead") else 0.5


def written(operation: str, params: dict[str, Any]) -> Iterator[tuple[str, Attributes]]:
    """The items that a call writes: their tables, and attributes among which is their key."""
    if operation in ("PutItem", "UpdateItem", "DeleteItem"):
        yield params["TableName"], params.get("Item") or params["Key"]
    elif operation == "TransactWriteItems":
        for entry in params["TransactItems"]:
            for kind in entry.keys() & _WRITES:
                yield entry[kind]["TableName"], entry[kind].get("Item") or entry[kind]["Key"]
    elif operation == "BatchWriteItem":
        for table, requests in params["RequestItems"].items():
            for request in requests:
                for write in request.values():
                    yield table, write.get("Item") or write["Key"]
