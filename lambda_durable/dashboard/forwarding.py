"""Requests as function URL events, so that the dashboard has the routes that the deployed HTTP API has."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

Api = Callable[[dict[str, Any], Any], Mapping[str, Any]]
"""Takes the event of a function URL (payload 2.0) and a Lambda context, and gives the response; in any thread."""

_OURS = {"authorization", "cookie", "host"}
"""Headers that are between the browser and this server."""


@dataclass(frozen=True, slots=True)
class Request:
    """`target` is the path and query as they were sent, percent-encoded."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def path(self) -> str:
        return urlsplit(self.target).path


@dataclass(frozen=True, slots=True)
class Response:
    """With `parts` in the place of a body, it goes on until they end, or its reader is gone; then it is `done`."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    parts: Iterable[bytes] | None = None
    done: Callable[[], None] = lambda: None


@dataclass(frozen=True, slots=True)
class _Context:
    """What an API may ask about its invocation."""

    aws_request_id: str
    function_name: str = "dashboard"
    memory_limit_in_mb: int = 128
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:000000000000:function:dashboard"

    def get_remaining_time_in_millis(self) -> int:
        return 30_000


class Forwarding:
    """Hands requests, of several threads at once, to an API that is made when it is first asked for."""

    def __init__(self, make: Callable[[], Api]) -> None:
        self._make = make
        self._making = threading.Lock()
        self._api: Api | None = None

    def __call__(self, request: Request) -> Response:
        with self._making:
            if self._api is None:
                self._api = self._make()
        id = str(uuid4())
        return _response(self._api(event_of(request, id), _Context(id)))


def event_of(request: Request, id: str) -> dict[str, Any]:
    """The event that a function URL makes of a request.
    https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html"""
    parts = urlsplit(request.target)
    query = parse_qs(parts.query, keep_blank_values=True)
    headers = {name.lower(): value for name, value in request.headers.items()}
    now = time.time()
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": parts.path,
        "rawQueryString": parts.query,
        "headers": {name: value for name, value in headers.items() if name not in _OURS},
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "dashboard",
            "domainName": "127.0.0.1",
            "domainPrefix": "dashboard",
            "http": {
                "method": request.method,
                "path": parts.path,
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": headers.get("user-agent", ""),
            },
            "requestId": id,
            "routeKey": "$default",
            "stage": "$default",
            "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
            "timeEpoch": int(now * 1000),
        },
        "isBase64Encoded": False,
    }
    if query:
        event["queryStringParameters"] = {name: ",".join(values) for name, values in query.items()}
    if request.body:
        try:
            event["body"] = request.body.decode()
        except UnicodeDecodeError:
            event.update(body=base64.b64encode(request.body).decode(), isBase64Encoded=True)
    return event


def _response(answer: Mapping[str, Any]) -> Response:
    body = answer.get("body") or ""
    encoded = base64.b64decode(body) if answer.get("isBase64Encoded") else body.encode()
    headers = {
        **{name: ", ".join(values) for name, values in (answer.get("multiValueHeaders") or {}).items()},
        **(answer.get("headers") or {}),
    }
    return Response(int(answer["statusCode"]), encoded, {name: str(value) for name, value in headers.items()})
