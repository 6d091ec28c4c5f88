"""What is told of an app's functions, on DynamoDB.

k#functions             .<function>            b what there is to know of it, as JSON; q its place among the others
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from . import keys
from .attributes import number, text
from .check_store import CheckStore

if TYPE_CHECKING:
    from .attributes import Item

FUNCTIONS = keys.kept("functions")


class CatalogueStore(CheckStore):
    """The part of the `Store` port that knows functions by name. Items of it never expire."""

    def publish(self, functions: Mapping[str, str]) -> None:
        wanted = [_item(place, id, told) for place, (id, told) in enumerate(functions.items())]
        there = {item["sk"]["S"]: item for item in self._partition(FUNCTIONS)}
        for item in wanted:
            if there.pop(item["sk"]["S"], None) != item:
                self._put(item)
        for gone in there.values():
            self._client.delete_item(TableName=self._table, Key={"pk": gone["pk"], "sk": gone["sk"]})
        self.looked_after({}, known=functions)

    def published(self) -> Mapping[str, str]:
        found = self._query(
            {
                "TableName": self._table,
                "KeyConditionExpression": "pk = :pk",
                "ExpressionAttributeValues": {":pk": text(FUNCTIONS)},
            }
        )
        ordered = sorted(found, key=lambda item: int(item["q"]["N"]))
        return {item["sk"]["S"].removeprefix(keys.RECORD): item["b"]["S"] for item in ordered}


def _item(place: int, id: str, told: str) -> Item:
    return {
        "pk": text(FUNCTIONS),
        "sk": text(keys.RECORD + id),
        "q": number(place),
        "b": text(told),
    }
