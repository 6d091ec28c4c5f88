"""What a run publishes, as server-sent events: for a page that stays open.

A feed looks into the API for what is new, so it has what `GET /v1/runs/{run_id}/messages` has. It ends when the run has
ended and all was told, or its reader is gone, which the next look finds out by writing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from threading import BoundedSemaphore, Event
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

from .forwarding import Request, Response
from .guard import RefusedError

AT_ONCE: Final = 3
"""Feeds. A browser has six connections to a server, for all its tabs, and answers need some."""

EVERY: Final = 1.0
"""Seconds between two looks of a feed that had nothing new."""

PAGE: Final = 50
"""Messages of a look. A message has at most 32 KiB, and an answer, whose JSON is JSON once more, 6 MB."""

_PATH: Final = re.compile(r"(/v1/runs/[^/]+)/follow")
_TYPE: Final = "text/event-stream; charset=utf-8"
_LOOK: Final = b":\n\n"
"""A comment: nothing came."""


class Feeds:
    """The feeds of a server, of which each has a thread, until `close`."""

    def __init__(self, forward: Callable[[Request], Response], every: float = EVERY) -> None:
        self._forward = forward
        self._every = every
        self._places = BoundedSemaphore(AT_ONCE)
        self._closing = Event()

    def open(self, request: Request) -> Response | None:
        """The answer to a request for a feed: what the API says at the first look, if that is no page of messages; no
        content, where none will come. None for other requests. Raises RefusedError when there is no place."""
        found = _PATH.fullmatch(request.path) if request.method == "GET" else None
        if found is None:
            return None
        target, cursor = f"{found[1]}/messages", _cursor(request)
        first = self._look(request, target, cursor)
        if first.status != 200:
            return first
        page = json.loads(first.body)
        if page["ended"] and not page["messages"]:
            return Response(204, b"")
        if not self._places.acquire(blocking=False):
            told = (
                f"{AT_ONCE} runs are followed already: ask for {target} every second, or close another page"
            )
            raise RefusedError(429, "TooManyFeeds", told)
        events = self._events(request, target, page)
        return Response(200, b"", {"Content-Type": _TYPE}, events, self._places.release)

    def close(self) -> None:
        """Have all feeds end at their next look."""
        self._closing.set()

    def _events(self, request: Request, target: str, page: Mapping[str, Any]) -> Iterator[bytes]:
        while True:
            yield b"".join(map(_event, page["messages"])) or _LOOK
            if page["ended"]:
                yield b"event: ended\ndata: {}\n\n"
                return
            if len(page["messages"]) < PAGE and self._closing.wait(self._every):
                return
            answer = self._look(request, target, page["cursor"])
            if answer.status != 200:
                return  # its reader comes again, and is told
            page = json.loads(answer.body)

    def _look(self, request: Request, target: str, cursor: str) -> Response:
        query = urlencode({"after": cursor, "limit": PAGE})
        return self._forward(Request("GET", f"{target}?{query}", request.headers))


def _cursor(request: Request) -> str:
    """Where to go on: what the address says, or, when a browser comes again by itself, its header."""
    again = request.headers.get("Last-Event-ID")
    return again or "".join(parse_qs(urlsplit(request.target).query).get("after", [])[:1])


def _event(message: Mapping[str, Any]) -> bytes:
    return f"id: {message['cursor']}\nevent: message\ndata: {json.dumps(message)}\n\n".encode()
