"""The calls of DynamoDB that a runtime makes all the time, handed to moto without botocore and HTTP between."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from botocore.client import BaseClient
from botocore.parsers import ResponseParser, create_parser
from moto.dynamodb.parsing import expressions
from moto.dynamodb.responses import DynamoHandler
from werkzeug.exceptions import HTTPException


class Shortcut:
    """Calls of one account. A call is taken here only if it is sure to be what it would be on the long way:
    the operation, all of its parameters and the types of all values are known. `None`: it has to go there.

    The errors are the client's own, made of moto's answer by botocore's parser.
    """

    def __init__(self, client: BaseClient, account: str, region: str) -> None:
        self._client = client
        self._account = account
        self._region = region

    def call(self, operation: str, params: dict[str, Any]) -> dict[str, Any] | None:
        known = _OPERATIONS.get(operation)
        if known is None:
            return None
        try:
            body = {name: known[name](value) for name, value in params.items()}
        except (_Unusual, KeyError):
            return None
        if not body.keys() >= _REQUIRED[operation]:
            return None
        try:
            result: Any = _METHODS[operation](self._handler(body)).result
        except HTTPException as error:
            raise self._error(operation, error) from None
        response = {name: value for name, value in result.items() if name in _RETURNED}
        if "Attributes" in response:
            response["Attributes"] = with_bytes(response["Attributes"])
        response["ResponseMetadata"] = {
            "RequestId": "local",
            "HTTPStatusCode": 200,
            "HTTPHeaders": {},
            "RetryAttempts": 0,
        }
        return response

    def create_table(self, definition: Mapping[str, Any]) -> None:
        """Make a table of our own, whose definition is known to be one."""
        self._handler(dict(definition)).create_table()

    def _handler(self, body: dict[str, Any]) -> DynamoHandler:
        handler = DynamoHandler()
        handler.current_account, handler.region, handler.body = self._account, self._region, body
        return handler

    def _error(self, operation: str, error: HTTPException) -> Exception:
        client: Any = self._client
        model = client.meta.service_model.operation_model(operation)
        answer = {
            "status_code": error.code,
            "headers": dict(error.get_headers()),
            "body": (error.description or "").encode(),
        }
        parsed: dict[str, Any] = _PARSER.parse(answer, model.output_shape)
        # As botocore's Endpoint does: the first time is for what all errors have, this for what is this one's.
        shape = client.meta.service_model.shape_for_error_code(parsed["Error"]["Code"])
        if shape is not None:
            parsed.update(_PARSER.parse(answer, shape))
        parsed["ResponseMetadata"]["RetryAttempts"] = 0
        made: Exception = client.exceptions.from_code(parsed["Error"]["Code"])(parsed, operation)
        return made


def with_bytes(item: dict[str, Any]) -> dict[str, Any]:
    """An item that moto holds, with its binary values as botocore's parser has them: moto has some of them so, and
    others as they were sent."""
    return {
        name: {"B": b64decode(value["B"])} if type(value.get("B")) is str else value
        for name, value in item.items()
    }


class _Unusual(Exception):
    """A value that is not left as it is on its way, or refused."""


def _exactly(kind: type) -> Callable[[Any], Any]:
    def checked(value: Any) -> Any:
        if type(value) is not kind or value == "":
            raise _Unusual
        return value

    return checked


def _positive(value: Any) -> int:
    if type(value) is not int or value < 1:
        raise _Unusual
    return value


def _one_of(*values: str) -> Callable[[Any], Any]:
    def checked(value: Any) -> Any:
        if value not in values:
            raise _Unusual
        return value

    return checked


def _names(value: Any) -> dict[str, str]:
    if type(value) is not dict or not all(type(text) is str for pair in value.items() for text in pair):
        raise _Unusual
    return dict(value)


def _attributes(value: Any) -> dict[str, Any]:
    """A copy: what moto keeps is its own."""
    if type(value) is not dict:
        raise _Unusual
    copied = {}
    for name, attribute in value.items():
        if type(name) is not str:
            raise _Unusual
        copied[name] = _attribute(attribute)
    return copied


def _attribute(value: Any) -> dict[str, Any]:
    if type(value) is not dict or len(value) != 1:
        raise _Unusual
    ((kind, content),) = value.items()
    if kind in ("S", "N"):
        if type(content) is str:
            return {kind: content}
    elif kind == "B":
        if type(content) is bytes:
            return {kind: b64encode(content).decode()}
    elif kind == "M":
        return {kind: _attributes(content)}
    elif kind in ("BOOL", "NULL"):
        if type(content) is bool:
            return {kind: content}
    elif type(content) is list:
        if kind == "L":
            return {kind: [_attribute(element) for element in content]}
        if kind in ("SS", "NS") and all(type(element) is str for element in content):
            return {kind: list(content)}
    raise _Unusual


_text = _exactly(str)
_yes_or_no = _exactly(bool)

_CONDITION: dict[str, Callable[[Any], Any]] = {
    "TableName": _text,
    "ConditionExpression": _text,
    "ExpressionAttributeNames": _names,
    "ExpressionAttributeValues": _attributes,
    "ReturnValuesOnConditionCheckFailure": _one_of("ALL_OLD", "NONE"),
}

_PUT = {**_CONDITION, "Item": _attributes}
_CHANGE = {**_CONDITION, "Key": _attributes}
_UPDATE = {**_CHANGE, "UpdateExpression": _text}

_ENTRIES: dict[str, dict[str, Callable[[Any], Any]]] = {
    "Put": _PUT,
    "Update": _UPDATE,
    "Delete": _CHANGE,
    "ConditionCheck": _CHANGE,
}

_REQUIRED_OF_ENTRIES = {
    "Put": {"TableName", "Item"},
    "Update": {"TableName", "Key", "UpdateExpression"},
    "Delete": {"TableName", "Key"},
    "ConditionCheck": {"TableName", "Key", "ConditionExpression"},
}


def _entries(value: Any) -> list[dict[str, Any]]:
    if type(value) is not list or not value:
        raise _Unusual
    return [_entry(entry) for entry in value]


def _entry(value: Any) -> dict[str, Any]:
    if type(value) is not dict or len(value) != 1:
        raise _Unusual
    [(kind, params)] = value.items()
    if type(params) is not dict:
        raise _Unusual
    body = {name: _ENTRIES[kind][name](given) for name, given in params.items()}
    if not body.keys() >= _REQUIRED_OF_ENTRIES[kind]:
        raise _Unusual
    return {kind: body}


_OPERATIONS: dict[str, dict[str, Callable[[Any], Any]]] = {
    "PutItem": {**_PUT, "ReturnValues": _one_of("NONE")},
    "UpdateItem": {**_UPDATE, "ReturnValues": _one_of("NONE", "ALL_OLD", "ALL_NEW")},
    "DeleteItem": {**_CHANGE, "ReturnValues": _one_of("NONE")},
    "TransactWriteItems": {"TransactItems": _entries},
    "GetItem": {"TableName": _text, "Key": _attributes, "ConsistentRead": _yes_or_no},
    "Query": {
        "TableName": _text,
        "IndexName": _text,
        "KeyConditionExpression": _text,
        "FilterExpression": _text,
        "ExpressionAttributeNames": _names,
        "ExpressionAttributeValues": _attributes,
        "ExclusiveStartKey": _attributes,
        "ConsistentRead": _yes_or_no,
        "ScanIndexForward": _yes_or_no,
        "Limit": _positive,
    },
}

_REQUIRED = {
    "PutItem": {"TableName", "Item"},
    "UpdateItem": {"TableName", "Key"},
    "DeleteItem": {"TableName", "Key"},
    "TransactWriteItems": {"TransactItems"},
    "GetItem": {"TableName", "Key"},
    "Query": {"TableName"},
}

_METHODS: dict[str, Callable[[DynamoHandler], Any]] = {
    "PutItem": DynamoHandler.put_item,
    "UpdateItem": DynamoHandler.update_item,
    "DeleteItem": DynamoHandler.delete_item,
    "TransactWriteItems": DynamoHandler.transact_write_items,
    "GetItem": DynamoHandler.get_item,
    "Query": DynamoHandler.query,
}

# moto adds more, which its serializer leaves out.
_RETURNED = {
    "Attributes",
    "ConsumedCapacity",
    "Count",
    "Item",
    "ItemCollectionMetrics",
    "Items",
    "LastEvaluatedKey",
    "ScannedCount",
}

_PARSER: ResponseParser = create_parser("json")

# moto parses the expression of an update twice for each call, and copies what comes of it before it changes that.
_updates: Any = expressions.UpdateExpressionParser  # type: ignore[attr-defined]
_updates.make = staticmethod(lru_cache(maxsize=1024)(_updates.make))
