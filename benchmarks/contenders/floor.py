"""The floor: the calls that the library makes in a run, made again by bare boto3."""

from __future__ import annotations

import base64
from typing import Any

import boto3
from serving import serve, timed
from stubbed import control

_CLIENTS = {"DynamoDB_20120810": boto3.client("dynamodb"), "AmazonSQS": boto3.client("sqs")}
_calls: list[tuple[Any, dict[str, Any]]] = []


def load(calls: list[tuple[str, Any]]) -> dict[str, int]:
    """Take the calls to be made from now on."""
    _calls[:] = [(_method(target), _decoded(request)) for target, request in calls]
    return {"calls": len(_calls)}


def sequence(steps: int) -> dict[str, Any]:  # noqa: ARG001
    control("reset")

    def make_all() -> None:
        for call, request in _calls:
            call(**request)

    return timed(make_all, calls=len(_calls))


def _method(target: str) -> Any:
    service, _, operation = target.partition(".")
    client = _CLIENTS[service]
    names = {operation: name for name, operation in client.meta.method_to_api_mapping.items()}
    return getattr(client, names[operation])


def _decoded(value: Any) -> Any:
    if isinstance(value, list):
        return [_decoded(each) for each in value]
    if isinstance(value, dict):
        if value.keys() == {"B"} and isinstance(value["B"], str):
            return {"B": base64.b64decode(value["B"])}
        return {name: _decoded(each) for name, each in value.items()}
    return value


if __name__ == "__main__":
    serve({"load": load, "sequence": sequence})
