"""What is answered where something is wrong: `{"error": {"type", "message"}}`, with a status that says whose fault."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.openapi.exceptions import (
    RequestUnsupportedContentType,
    RequestValidationError,
    ResponseValidationError,
)
from pydantic import BaseModel

from ..aws.errors import is_throttling
from ..errors import (
    CallbackTokenError,
    ConfigurationError,
    DamagedItemError,
    DurableError,
    EventDataError,
    MiddlewareError,
    PayloadTooLargeError,
    RunNotFoundError,
    SerializationError,
    SetupError,
)
from .backend import Resolver

logger = logging.getLogger(__name__)

JSON = "application/json"
SHOWN = 3
"""Mistakes of one request that are told of."""


class Error(BaseModel):
    type: str
    message: str


class Problem(BaseModel):
    """What went wrong, and what to do about it."""

    error: Error


class RequestError(Exception):
    """A request that is refused, with a status of its own."""

    def __init__(self, status: HTTPStatus, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers


class NotModified(Exception):
    """Who asks has what would be answered."""

    def __init__(self, headers: dict[str, str]) -> None:
        super().__init__()
        self.headers = headers


STATUSES: list[tuple[type[Exception], HTTPStatus]] = [
    (RunNotFoundError, HTTPStatus.NOT_FOUND),
    (CallbackTokenError, HTTPStatus.FORBIDDEN),
    (PayloadTooLargeError, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (SerializationError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (EventDataError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (SetupError, HTTPStatus.INTERNAL_SERVER_ERROR),
    (ConfigurationError, HTTPStatus.BAD_REQUEST),
    (DamagedItemError, HTTPStatus.INTERNAL_SERVER_ERROR),
    (MiddlewareError, HTTPStatus.INTERNAL_SERVER_ERROR),
]
"""The first that an error is an instance of counts."""


def problem(
    status: HTTPStatus, type_: str, message: str, headers: dict[str, str] | None = None
) -> Response[Any]:
    body = Problem(error=Error(type=type_, message=message)).model_dump()
    return Response(status, JSON, body, headers=headers)


def answer_problems(resolver: Resolver, methods: Callable[[str], list[str]]) -> None:
    """Have each error be an answer. `methods` are those that a path takes."""

    def no_route(_: NotFoundError) -> Response[Any]:
        method, others = resolver.current_event.http_method, methods(resolver.current_event.path)
        if others:
            return problem(
                HTTPStatus.METHOD_NOT_ALLOWED,
                "MethodNotAllowed",
                f"this path takes {' and '.join(others)}, and no {method}",
                {"Allow": ", ".join(others)},
            )
        return problem(
            HTTPStatus.NOT_FOUND,
            "NoSuchRoute",
            "there is no such path: GET /openapi.json says which there are",
        )

    def invalid(error: RequestValidationError) -> Response[Any]:
        return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "InvalidRequest", "; ".join(_mistakes(error)))

    def not_json(_: RequestUnsupportedContentType) -> Response[Any]:
        return problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "NotJson", f"a body is JSON: send it with Content-Type: {JSON}"
        )

    resolver.exception_handler(Exception)(answer)
    resolver.exception_handler(NotFoundError)(no_route)
    resolver.exception_handler([RequestValidationError, ResponseValidationError])(invalid)
    resolver.exception_handler(RequestUnsupportedContentType)(not_json)


def answer(error: Exception) -> Response[Any]:
    """What is said of an error. Of one that nobody expects no more than its type: what it says may be a payload."""
    if isinstance(error, NotModified):
        return Response(HTTPStatus.NOT_MODIFIED, None, "", headers=error.headers)
    if isinstance(error, RequestError):
        return problem(error.status, "RequestError", str(error), error.headers)
    if is_throttling(error):
        wait = {"Retry-After": "1"}
        return problem(
            HTTPStatus.TOO_MANY_REQUESTS, "Throttled", "AWS asks for patience: try again in a second", wait
        )
    for kind, status in STATUSES:
        if isinstance(error, kind):
            return problem(status, kind.__name__, str(error))
    if isinstance(error, DurableError):
        return problem(HTTPStatus.CONFLICT, type(error).__name__, str(error))
    where = "".join(traceback.format_tb(error.__traceback__))
    logger.error("a request failed: %s\n%s", type(error).__name__, where)
    return problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "InternalError",
        f"{type(error).__name__}: the log of the API says where it was raised",
    )


def _mistakes(error: RequestValidationError) -> Iterator[str]:
    """What is wrong, and where; never the value."""
    found = list(error.errors())
    for each in found[:SHOWN]:
        where = ".".join(map(str, each.get("loc", ())))
        yield f"{where}: {each.get('msg', each['type'])}"
    if len(found) > SHOWN:
        yield f"and {len(found) - SHOWN} more"
