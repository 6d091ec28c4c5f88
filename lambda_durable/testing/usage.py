"""What DynamoDB would charge: units from the sizes of items, by its published rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Attributes = Mapping[str, Mapping[str, Any]]
"""An item as the low-level client has it: `{"pk": {"S": "a"}}`."""

Peek = Callable[[str, Attributes], Attributes | None]
"""The item of a table with a key (found among the attributes given); None if there is none."""

_WRITES = {"Put", "Update", "Delete", "ConditionCheck"}


@dataclass(slots=True)
class Usage:
    """Units of capacity, indexes not included; and what was read, to see what grows with what."""

    read_units: float = 0.0
    write_units: float = 0.0
    items_read: int = 0
    bytes_read: int = 0


class Meter:
    """Adds what calls to DynamoDB use to a `Usage`."""

    def __init__(self, usage: Usage, peek: Peek) -> None:
        self._usage = usage
        self._peek = peek

    def call(self, operation: str, params: dict[str, Any], apply: Callable[[], Any]) -> Any:
        writes = list(written(operation, params))
        if not writes:
            response = apply()
            self._read(operation, params, response)
            return response
        before = [self._size(*write) for write in writes]
        try:
            return apply()
        finally:
            # Also when it failed: a condition that does not hold costs as much as the write.
            price = 2 if operation == "TransactWriteItems" else 1
            for write, size in zip(writes, before, strict=True):
                self._usage.write_units += price * _units(max(size, self._size(*write)), 1024)

    def _size(self, table: str, attributes: Attributes) -> int:
        item = self._peek(table, attributes)
        return item_size(item) if item is not None else 0

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


def item_size(item: Attributes) -> int:
    """DynamoDB: the names' and the values' lengths in UTF-8."""
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def _value_size(value: Mapping[str, Any]) -> int:
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return len(content.encode())
        case "N":
            digits = str(content).lstrip("-").replace(".", "").strip("0")
            return (len(digits) + 1) // 2 + 1 + str(content).startswith("-")
        case "B":
            return len(content)
        case "M":
            return 3 + len(content) + item_size(content)
        case "L":
            return 3 + sum(map(_value_size, content)) + len(content)
        case "SS" | "NS" | "BS":
            return sum(_value_size({kind[0]: element}) for element in content)
        case _:
            return 1


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
