"""Calls of DynamoDB, as the store makes them.

A failed condition answers with the item that is there (ReturnValuesOnConditionCheckFailure), so a conflict
costs no read.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, cast

from botocore.exceptions import ClientError

from ..durations import from_millis
from ..engine.journal_ids import run_of
from ..ports import Clock
from .attributes import text

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.literals import ReturnValueType
    from mypy_boto3_dynamodb.type_defs import PutItemInputTypeDef, QueryInputTypeDef, UpdateItemInputTypeDef

    from .attributes import Item

GRACE = timedelta(days=7)
"""What items live beyond the retention: the longest that a run may take without stamping them again."""

LIST_PAGE = 100

NOTHING_IS_THERE = "attribute_not_exists(pk)"
SOONER_GONE = "x < :x"


class TableCalls:
    """One table, and what is written there: until when it lives. Shards of a list are read so many `at_once`, each in a
    thread of its own."""

    def __init__(
        self, client: DynamoDBClient, table: str, *, retention: timedelta, clock: Clock, at_once: int = 1
    ) -> None:
        self._client = client
        self._table = table
        self._life = retention + GRACE
        self._clock = clock
        self._at_once = at_once
        self._kept: dict[str, int] = {}  # runs that live longer than what is written now would: until when

    def _expiry(self, start: int | None = None) -> int:
        """When what is written now expires, or what a run needs that starts later."""
        begin = self._clock.now() if start is None else max(self._clock.now(), from_millis(start))
        return int((begin + self._life).timestamp())

    def _expiry_in(self, run_id: str) -> int:
        """When what is written of a run now expires: not before the rest of it."""
        return max(self._expiry(), self._kept.get(run_of(run_id), 0)) if self._kept else self._expiry()

    def _keep(self, run_id: str, until: int) -> None:
        if until > self._expiry():
            self._kept[run_id] = until

    def _get(self, pk: str, sk: str) -> Item | None:
        answer = self._client.get_item(
            TableName=self._table, Key={"pk": text(pk), "sk": text(sk)}, ConsistentRead=True
        )
        return answer.get("Item")

    def _partition(self, pk: str) -> Iterator[Item]:
        return self._query(
            {
                "TableName": self._table,
                "KeyConditionExpression": "pk = :pk",
                "ExpressionAttributeValues": {":pk": text(pk)},
                "ConsistentRead": True,
            }
        )

    def _query(self, request: QueryInputTypeDef, *, grows: bool = False) -> Iterator[Item]:
        """The items, page by page as they are asked for. If it `grows`, pages after the first are the largest."""
        while True:
            page = self._client.query(**request)
            yield from page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]
            if grows:
                request.pop("Limit", None)

    def _put(self, item: Item, condition: str = "", values: Item | None = None) -> Item | None:
        """None: it is written. Otherwise what is there instead, empty for nothing."""
        request: PutItemInputTypeDef = {"TableName": self._table, "Item": item}
        if condition:
            request["ConditionExpression"] = condition
            request["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        if values:
            request["ExpressionAttributeValues"] = values
        try:
            self._client.put_item(**request)
        except ClientError as error:
            return there_instead(error)
        return None

    def _update(
        self,
        pk: str,
        sk: str,
        change: str,
        values: Item,
        *,
        condition: str = "",
        returning: ReturnValueType = "NONE",
        names: dict[str, str] | None = None,
    ) -> tuple[bool, Item]:
        """Whether it was done, and the item: as `returning` says, or what is there instead."""
        request: UpdateItemInputTypeDef = {
            "TableName": self._table,
            "Key": {"pk": text(pk), "sk": text(sk)},
            "UpdateExpression": change,
            "ReturnValues": returning,
        }
        if values:
            request["ExpressionAttributeValues"] = values
        if names:
            request["ExpressionAttributeNames"] = names
        if condition:
            request["ConditionExpression"] = condition
            request["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        try:
            return True, self._client.update_item(**request).get("Attributes", {})
        except ClientError as error:
            return False, there_instead(error)


def there_instead(error: ClientError) -> Item:
    """The item on which a condition failed, empty for none. Any other error is raised again."""
    if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
        raise error
    return cast("Item", error.response.get("Item", {}))
