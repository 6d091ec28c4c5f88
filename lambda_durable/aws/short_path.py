"""The calls that every step makes, on a shorter path to their service than botocore's.

Between a request and its answer botocore hands each call through some sixty handlers, a state machine of retries, a
connection pool for all purposes and a walk along the answer: more than half of the CPU that a step takes. On an
everyday call nothing comes of them but a signature, one HTTP request, and JSON. So botocore builds the request and
signs it, as ever, and whatever stands in for HTTP there (moto, a test's own answers) does so here; only what lies
between is left out.

All else is botocore's. An answer that is none of success is handed to it as that to its first attempt, so what it
retries, how often, and which error it raises is as it was. Where no answer came, it makes the call itself.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from threading import local
from typing import Any, Final, Protocol
from urllib.parse import urlsplit
from zlib import crc32

from botocore.awsrequest import AWSPreparedRequest, AWSRequest, AWSResponse
from botocore.exceptions import BotoCoreError
from botocore.utils import get_environ_proxies

SHORT: Final = {
    "dynamodb": frozenset(
        {
            "BatchGetItem",
            "BatchWriteItem",
            "DeleteItem",
            "GetItem",
            "PutItem",
            "Query",
            "TransactWriteItems",
            "UpdateItem",
        }
    ),
    "sqs": frozenset({"SendMessage", "SendMessageBatch"}),
}
"""By service, the operations whose answers are plain JSON, and which steps need."""


@dataclass(frozen=True, kw_only=True)
class Http:
    """What senders have in common. Times are in seconds."""

    connect_timeout: float
    read_timeout: float
    """For an answer."""
    connections: int
    """As many are kept alive."""
    authorities: str
    """The file of those who may vouch for a host."""


class Sender(Protocol):
    """Brings requests to their service, from any number of threads."""

    signs: bool
    """Whether it signs what it sends."""

    def takes(self, headers: Mapping[str, str]) -> bool:
        """Whether it can send what has these headers."""

    def send(self, request: AWSPreparedRequest) -> AWSResponse | None:
        """The answer; None: there was none."""


class Raw(BytesIO):
    """The body of an answer, as AWSResponse wants it."""

    def stream(self) -> Iterator[bytes]:
        yield self.getvalue()


def shorten(client: Any, *senders: Sender) -> None:
    """Have a client make its everyday calls by the first of these that takes them; the last one takes them all. It
    does not where a proxy lies between, which botocore knows to use, nor where its endpoint is none of HTTP, which
    botocore refuses."""
    url = client.meta.endpoint_url
    scheme = urlsplit(url).scheme
    if scheme not in ("http", "https") or scheme in get_environ_proxies(url):
        return
    calls = _Calls(client, senders)
    # After all who have a word in it: botocore notes in a header what invoked this process.
    client.meta.events.register_last("before-call", calls.make)
    client.meta.events.register("before-send", calls.hand_over)


class _Calls:
    """Those of one client."""

    def __init__(self, client: Any, senders: Sequence[Sender]) -> None:
        self._events = client.meta.events
        self._service = client.meta.service_model.service_name
        self._operations = SHORT[self._service]
        self._senders = senders
        self._of_thread = local()

    def make(
        self, model: Any, params: dict[str, Any], request_signer: Any, context: dict[str, Any], **_: Any
    ) -> tuple[AWSResponse, dict[str, Any]] | None:
        """An answer and what it says; None: botocore is to make the call."""
        if model.name not in self._operations:
            return None
        method, url, headers, body = (params[name] for name in ("method", "url", "headers", "body"))
        sender = next(each for each in self._senders if each.takes(headers))
        try:
            if not sender.signs:
                request = AWSRequest(method=method, url=url, headers=headers, data=body)
                request.context = context
                request_signer.sign(model.name, request)
                headers = request.headers
            prepared = AWSPreparedRequest(method, url, headers, body, False)
            instead = self._instead(model, prepared)
            answer = instead or sender.send(prepared)
        except BotoCoreError:  # there are no credentials, say
            return None
        if answer is None:
            return None
        if answer.status_code == 200 and _is_whole(answer) and (said := plain(answer.content)) is not None:
            said["ResponseMetadata"] = {"HTTPStatusCode": 200, "HTTPHeaders": {}, "RetryAttempts": 0}
            return answer, said
        if instead is None:
            self._of_thread.answered = body, answer
        return None

    def _instead(self, model: Any, request: AWSPreparedRequest) -> AWSResponse | None:
        """What somebody answers in the place of HTTP."""
        event = f"before-send.{self._service}.{model.name}"
        _, answer = self._events.emit_until_response(event, request=request)
        found: AWSResponse | None = answer
        return found

    def hand_over(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse | None:
        """What botocore is about to ask for, if it was answered just now."""
        answered, self._of_thread.answered = getattr(self._of_thread, "answered", None), None
        if answered is None or answered[0] is not request.body:
            return None
        answer: AWSResponse = answered[1]
        return answer


def _is_whole(answer: AWSResponse) -> bool:
    """DynamoDB: x-amz-crc32 is that of the body."""
    told = answer.headers.get("x-amz-crc32")
    return told is None or told == str(crc32(answer.content))


def plain(body: bytes) -> dict[str, Any] | None:
    """What a body says, if that is a JSON object: what botocore makes of it, in a fraction of the time. Binary values
    come as base64; a name without a value is left out."""
    binary = b'"B"' in body or b'"BS"' in body
    try:
        answer = json.loads(body.decode(), object_hook=_with_bytes if binary else None)
    except ValueError:
        return None
    if not isinstance(answer, dict):
        return None
    return {name: value for name, value in answer.items() if value is not None}


def _with_bytes(found: dict[str, Any]) -> dict[str, Any]:
    """A value of an attribute; or anything else, as it is."""
    match found:
        case {"B": str(text)}:
            return {"B": b64decode(text)}
        case {"BS": [*texts]}:
            return {"BS": [b64decode(text) for text in texts]}
    return found
