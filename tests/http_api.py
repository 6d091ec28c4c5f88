"""Requests of the HTTP API, as a function URL hands them on, and its answers."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from lambda_durable.api import Api, create
from lambda_durable.api.serving import Scope
from lambda_durable.doctor.examination import Patient

NOTHING: Any = object()


@dataclass
class Answer:
    status: int
    body: Any
    headers: dict[str, str]
    text: str = ""


class Caller:
    """Calls an API. Paths are given as they are sent: percent-encoded."""

    def __init__(self, api: Api) -> None:
        self.api = api

    def __call__(self, method: str, path: str, body: Any = NOTHING, **query: Any) -> Answer:
        headers = query.pop("headers", {})
        text = None if body is NOTHING else json.dumps(body)
        return self.raw(method, path, text, urlencode(query), headers=headers)

    def raw(
        self,
        method: str,
        path: str,
        body: str | bytes | None = None,
        query: str = "",
        *,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        sent = {"content-type": "application/json"} if body is not None else {}
        encoded = isinstance(body, bytes)
        event = {
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": path,
            "rawQueryString": query,
            "queryStringParameters": _joined(query) or None,
            "headers": {**sent, **(headers or {})},
            "requestContext": {"http": {"method": method, "path": path}, "stage": "$default"},
            "body": base64.b64encode(body).decode() if isinstance(body, bytes) else body,
            "isBase64Encoded": encoded,
        }
        answer = self.api({name: value for name, value in event.items() if value is not None})
        assert json.loads(json.dumps(answer)) == answer  # as Lambda sends it
        text = answer["body"]
        kind = answer["headers"].get("Content-Type", "")
        content = json.loads(text) if kind.startswith("application/json") else text
        return Answer(answer["statusCode"], content, answer["headers"], text)

    def get(self, path: str, **query: Any) -> Any:
        """What is answered to a GET, which succeeds."""
        answer = self("GET", path, **query)
        assert answer.status == 200, answer
        return answer.body

    def post(self, path: str, body: Any = NOTHING) -> Any:
        """What is answered to a POST, which succeeds."""
        answer = self("POST", path, body)
        assert answer.status in (200, 202), answer
        return answer.body


def _joined(query: str) -> dict[str, str]:
    """As Lambda has them: values of one name with commas between them."""
    found: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        found[name] = f"{found[name]},{value}" if name in found else value
    return found


def api_of(rt: Any, *, scope: Scope = "all", **more: Any) -> Caller:
    """The API of a runtime's app."""
    return Caller(create(Patient(world=rt.client._world, **more), rt.app, scope=scope))


def encoded(id: str) -> str:
    """An id as it stands in a path."""
    return quote(id, safe="")
