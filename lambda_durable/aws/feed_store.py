"""What runs publish, on DynamoDB.

<run id>/:feed    0000000000041    p topic, i id, o data, b when it was published, s step and n its attempt

It lies beside the journal, so that no invocation loads it which publishes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..engine.paths import FEED
from ..publishing import Published
from . import keys
from .attributes import integer, names_damage, needed_payload, number, put_payload, read_text, text
from .table_calls import NOTHING_IS_THERE, TableCalls

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import QueryInputTypeDef

    from .attributes import Item


class FeedStore(TableCalls):
    """The part of the `Store` port that publishing needs."""

    def add_message(self, run_id: str, message: Published) -> Published | None:
        item: Item = {
            "pk": text(keys.scope(run_id, FEED)),
            "sk": text(_sort(message.position)),
            "p": text(message.topic),
            "i": text(message.id),
            "b": number(message.time),
            "x": number(self._expiry_in(run_id)),
        }
        put_payload(item, message.data, "o", "O")
        if message.step_id:
            item["s"] = text(message.step_id)
            item["n"] = number(message.attempt)
        found = self._put(item, NOTHING_IS_THERE)
        return None if found is None else _published(found)

    def messages(
        self,
        run_id: str,
        *,
        after: int | None = None,
        newest_first: bool = False,
        expected: int | None = None,
    ) -> Iterator[Published]:
        request: QueryInputTypeDef = {
            "TableName": self._table,
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": text(keys.scope(run_id, FEED))},
            "ScanIndexForward": not newest_first,
            "ConsistentRead": True,
        }
        if after is not None:
            request["KeyConditionExpression"] = "pk = :pk AND sk > :after"
            request["ExpressionAttributeValues"] = {
                ":pk": text(keys.scope(run_id, FEED)),
                ":after": text(_sort(after)),
            }
        if expected is not None:
            request["Limit"] = expected
        return map(_published, self._query(request))


@names_damage
def _published(item: Item) -> Published:
    return Published(
        position=int(item["sk"]["S"]),
        id=item["i"]["S"],
        topic=item["p"]["S"],
        data=needed_payload(item, "o", "O"),
        time=int(item["b"]["N"]),
        step_id=read_text(item, "s"),
        attempt=integer(item, "n") or 0,
    )


def _sort(position: int) -> str:
    return f"{position:013d}"
