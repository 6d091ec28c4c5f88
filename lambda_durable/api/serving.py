"""Requests and answers: a function URL's event comes in, what such a Lambda answers goes out.

Whatever comes, the answer is JSON. Nothing of a request's path, body or headers is logged: paths hold the tokens of
callbacks.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
import re
from collections.abc import Mapping
from functools import cached_property
from http import HTTPStatus
from queue import Empty, LifoQueue
from typing import Any, Final, Literal

from aws_lambda_powertools.event_handler import LambdaFunctionUrlResolver, Response
from aws_lambda_powertools.utilities.data_classes import LambdaFunctionUrlEvent
from pydantic_core import to_json

from ..client import Client
from ..doctor.examination import Patient
from ..function import App
from . import bulk, costs, events, functions, openapi, runs, trouble, waits
from .backend import Backend, Routes
from .problems import JSON, RequestError, answer, answer_problems

Scope = Literal["all", "callbacks"]
"""Which routes there are."""

LARGEST_REQUEST: Final = 6 * 1024 * 1024
"""Bytes of a body. Lambda: a request is at most 6 MB."""

LARGEST_ANSWER: Final = 6 * 1024 * 1024 - 64 * 1024
"""Bytes of an answer as Lambda takes it, which is JSON in JSON. Lambda: at most 6 MB."""

POWERTOOLS: Final = "aws_lambda_powertools.event_handler"
"""A logger that tells, at the level of DEBUG, what each route is given: payloads and tokens."""

HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
"""Of every answer that doesn't say otherwise."""

_WITH_SLASHES: Final = re.compile(
    r"(/v1/(?:runs/[^/]+/steps|events)/)(.+)()|(/v1/functions/)(.+?)(/(?:metrics|pause|resume))", re.DOTALL
)
"""Paths that end, or nearly so, with an id that may have slashes."""

ROUTES: Final[dict[Scope, tuple[Routes, ...]]] = {
    "all": (
        functions.add,
        runs.add,
        costs.add,
        bulk.add,
        events.add,
        waits.add_signals,
        waits.add_callbacks,
        trouble.add,
    ),
    "callbacks": (waits.add_callbacks,),
}


def create(patient: Patient, app: App | None = None, *, scope: Scope = "all") -> Api:
    """The API of an app, wherever it is; with its `app`, runs are begun as its functions' types say."""
    return Api(Backend(Client(app, world=patient.world), patient), scope)


def connect(stack: str | None = None, app: App | None = None, *, scope: Scope = "all") -> Api:
    """The API of a deployed app: that of a stack, or of what the environment names. Raises ConfigurationError."""
    from ..doctor.deployed import patient

    return create(patient(stack, app), app, scope=scope)


class Api:
    """Answers requests, of several threads at once."""

    def __init__(self, backend: Backend, scope: Scope = "all") -> None:
        self._backend = backend
        self._scope = scope
        self._idle: LifoQueue[_OneAtATime] = LifoQueue()
        logging.getLogger(POWERTOOLS).setLevel(logging.INFO)

    def __call__(self, event: Mapping[str, Any], context: Any = None) -> dict[str, Any]:
        """The answer to an event of a function URL (payload version 2.0)."""
        resolver = self._resolver()
        try:
            try:
                request = _read(event)
            except RequestError as error:
                return spelled(answer(error))
            return _sized(resolver.resolve(request, context))
        finally:
            self._idle.put(resolver)

    @cached_property
    def description(self) -> dict[str, Any]:
        """The OpenAPI description."""
        return openapi.describe(self._make())

    def _methods(self, path: str) -> list[str]:
        """What a path takes."""
        return openapi.methods(self.description, path)

    def _resolver(self) -> _OneAtATime:
        try:
            return self._idle.get_nowait()
        except Empty:
            return self._make()

    def _make(self) -> _OneAtATime:
        resolver = _OneAtATime(enable_validation=True, serializer=_to_json, json_body_deserializer=_parse)
        answer_problems(resolver, self._methods)
        for add in ROUTES[self._scope]:
            add(resolver, self._backend)

        @resolver.get("/openapi.json", include_in_schema=False, enable_validation=False)
        def description() -> dict[str, Any]:
            return self.description

        return resolver


class _OneAtATime(LambdaFunctionUrlResolver):
    """A resolver whose request is its own: Powertools keeps it in a class, for all threads of a process."""

    def resolve(self, event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        self.current_event = LambdaFunctionUrlEvent(dict(event), _parse)
        return super().resolve(event, context)


def _read(event: Mapping[str, Any]) -> dict[str, Any]:
    """A request as the routes take it: its body is text, its path has an id between any two slashes. Raises
    RequestError."""
    body = event.get("body") or ""
    if len(body) > LARGEST_REQUEST * 4 / 3 + 4:
        raise _too_large()
    try:
        raw = base64.b64decode(body, validate=True) if event.get("isBase64Encoded") else body.encode()
        text = raw.decode()
    except (binascii.Error, UnicodeError):
        raise RequestError(HTTPStatus.BAD_REQUEST, "the body is no UTF-8") from None
    if len(raw) > LARGEST_REQUEST:
        raise _too_large()
    headers = {str(name).lower(): str(value) for name, value in (event.get("headers") or {}).items()}
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if text and kind != JSON:
        raise RequestError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"a body is JSON: send it with Content-Type: {JSON}"
        )
    path = str(event.get("rawPath") or "/")
    if found := _WITH_SLASHES.fullmatch(path):
        before, id, after = (part for part in found.groups() if part is not None)
        path = f"{before}{id.replace('/', '%2F')}{after}"
    if text:
        headers["content-type"] = JSON
    return {**event, "headers": headers, "rawPath": path, "body": text, "isBase64Encoded": False}


def _too_large() -> RequestError:
    return RequestError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"a body has at most {LARGEST_REQUEST:,} bytes: keep large data in S3, and pass its key",
    )


def _parse(text: str) -> Any:
    """The value of a JSON text. Raises JSONDecodeError for what Python takes, and JSON doesn't have."""
    try:
        value = json.loads(text, parse_constant=_refuse)
        if "\\u" in text:
            to_json(value)  # a lone surrogate is no character
    except (ValueError, RecursionError) as error:
        if isinstance(error, json.JSONDecodeError):
            raise
        raise json.JSONDecodeError(f"no JSON ({type(error).__name__})", "", 0) from None
    return value


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _to_json(value: Any) -> str:
    return to_json(value, inf_nan_mode="null").decode()


def _sized(given: dict[str, Any]) -> dict[str, Any]:
    """An answer that Lambda takes."""
    body = given.get("body") or ""
    if len(body) * 2 > LARGEST_ANSWER and len(json.dumps(given)) > LARGEST_ANSWER:
        told = f"the answer would be more than {LARGEST_ANSWER:,} bytes, which Lambda refuses: ask for less at once"
        return spelled(answer(RequestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, told)))
    return {**given, "statusCode": int(given["statusCode"]), "headers": {**HEADERS, **given["headers"]}}


def spelled(response: Response[Any]) -> dict[str, Any]:
    """An answer that no route has given."""
    return {
        "statusCode": int(response.status_code),
        "headers": {**HEADERS, **response.headers},
        "body": json.dumps(response.body),
        "isBase64Encoded": False,
    }
