"""One DynamoDB table, in memory."""

from __future__ import annotations

import json
from typing import Any

from .expressions import Item, condition, names_of, plain, update

PAGE = 1 << 20
"""Bytes of a Query's page."""

Request = dict[str, Any]


class Refused(Exception):
    """An error that DynamoDB answers with."""

    def __init__(self, code: str, **more: Any) -> None:
        super().__init__(code)
        self.body = {
            "__type": f"com.amazonaws.dynamodb.v20120810#{code}",
            "message": "The conditional request failed",
            **more,
        }


class Table:
    def __init__(self) -> None:
        self._partitions: dict[str, dict[Any, Item]] = {}
        self._sizes: dict[int, int] = {}

    def answer(self, operation: str, request: Request) -> dict[str, Any]:
        """Raises Refused."""
        method = getattr(self, f"_{operation.lower()}", None)
        if method is None:
            raise NotImplementedError(f"DynamoDB's {operation}")
        found: dict[str, Any] = method(request)
        return found

    # -- reads

    def _getitem(self, request: Request) -> dict[str, Any]:
        item = self._find(request["Key"])
        return {} if item is None else {"Item": item}

    def _batchgetitem(self, request: Request) -> dict[str, Any]:
        found = {
            table: [item for key in asked["Keys"] if (item := self._find(key)) is not None]
            for table, asked in request["RequestItems"].items()
        }
        return {"Responses": found, "UnprocessedKeys": {}}

    def _query(self, request: Request) -> dict[str, Any]:
        names, values = request.get("ExpressionAttributeNames", {}), request["ExpressionAttributeValues"]
        text = names_of(request["KeyConditionExpression"], names)
        wanted = condition(text)
        keep = (
            condition(names_of(request["FilterExpression"], names)) if "FilterExpression" in request else None
        )
        after = request.get("ExclusiveStartKey")
        found: list[Item] = []
        size = 0
        limit = request.get("Limit", 1 << 30)
        for item in self._candidates(request, text, values):
            if after is not None:
                if (item["pk"], item["sk"]) == (after["pk"], after["sk"]):
                    after = None
                continue
            if not wanted(item, values):
                continue
            if keep is None or keep(item, values):
                found.append(item)
            size += self._sizes[id(item)]
            limit -= 1
            if size > PAGE or limit == 0:
                return self._page(found, {"pk": item["pk"], "sk": item["sk"]})
        return self._page(found, None)

    def _candidates(self, request: Request, text: str, values: dict[str, Any]) -> list[Item]:
        if "IndexName" not in request and text.startswith("pk = :"):
            partition = self._partitions.get(plain(values[text.split()[2]]), {})
            order = sorted(partition, reverse=request.get("ScanIndexForward") is False)
            return [partition[key] for key in order]
        return [item for partition in self._partitions.values() for item in partition.values()]

    def _page(self, found: list[Item], last: Item | None) -> dict[str, Any]:
        page = {"Items": found, "Count": len(found), "ScannedCount": len(found)}
        return page if last is None else {**page, "LastEvaluatedKey": last}

    # -- writes

    def _putitem(self, request: Request) -> dict[str, Any]:
        old = self._checked(request, request["Item"])
        self._store(request["Item"])
        return {"Attributes": old} if old and request.get("ReturnValues") == "ALL_OLD" else {}

    def _deleteitem(self, request: Request) -> dict[str, Any]:
        old = self._checked(request, request["Key"])
        self._remove(request["Key"])
        return {"Attributes": old} if old and request.get("ReturnValues") == "ALL_OLD" else {}

    def _updateitem(self, request: Request) -> dict[str, Any]:
        old = self._checked(request, request["Key"])
        new = self._updated(request, old)
        self._store(new)
        returning = request.get("ReturnValues", "NONE")
        if returning == "NONE":
            return {}
        return {"Attributes": new if returning.endswith("NEW") else old or {}}

    def _transactwriteitems(self, request: Request) -> dict[str, Any]:
        entries = [next(iter(entry.items())) for entry in request["TransactItems"]]
        reasons: list[dict[str, Any]] = []
        for kind, entry in entries:
            try:
                self._checked(entry, entry["Item"] if kind == "Put" else entry["Key"])
                reasons.append({"Code": "None"})
            except Refused as refused:
                item = {"Item": refused.body["Item"]} if "Item" in refused.body else {}
                reasons.append({"Code": "ConditionalCheckFailed", **item})
        if any(reason["Code"] != "None" for reason in reasons):
            raise Refused("TransactionCanceledException", CancellationReasons=reasons)
        for kind, entry in entries:
            if kind != "ConditionCheck":
                getattr(self, f"_{kind.lower()}item")({**entry, "ConditionExpression": ""})
        return {}

    def _checked(self, request: Request, key: Item) -> Item | None:
        """The item that is there. Raises Refused where it is not as the condition has it."""
        old = self._find(key)
        text = request.get("ConditionExpression")
        if text:
            test = condition(names_of(text, request.get("ExpressionAttributeNames", {})))
            if not test(old or {}, request.get("ExpressionAttributeValues", {})):
                shown = old is not None and request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
                raise Refused("ConditionalCheckFailedException", **({"Item": old} if shown else {}))
        return old

    def _updated(self, request: Request, old: Item | None) -> Item:
        new = {**(old or request["Key"])}
        if "UpdateExpression" in request:
            change = update(
                names_of(request["UpdateExpression"], request.get("ExpressionAttributeNames", {}))
            )
            change(new, request.get("ExpressionAttributeValues", {}))
        return new

    def _find(self, key: Item) -> Item | None:
        return self._partitions.get(plain(key["pk"]), {}).get(plain(key["sk"]))

    def _store(self, item: Item) -> None:
        self._remove(item)
        self._partitions.setdefault(plain(item["pk"]), {})[plain(item["sk"])] = item
        self._sizes[id(item)] = len(json.dumps(item, separators=(",", ":")))

    def _remove(self, key: Item) -> None:
        old = self._partitions.get(plain(key["pk"]), {}).pop(plain(key["sk"]), None)
        if old is not None:
            del self._sizes[id(old)]
