"""The server: the pages' files, and requests to the API."""

from __future__ import annotations

import json
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from . import files
from .feeds import EVERY, Feeds
from .forwarding import Api, Forwarding, Request, Response
from .guard import HEADERS, Guard, RefusedError

ADDRESS = "127.0.0.1"

LARGEST_BODY = 6 * 1024 * 1024
"""Bytes: what a function URL takes."""

PATIENCE = 60.0
"""Seconds that a connection may say nothing."""

_API = ("/v1/", "/openapi.json")


class Dashboard:
    """Serves the pages and an API on loopback, at `port`, or a free one; or on a socket that listens already. `make`
    makes the API when it is first asked for. `token` is of this start, unless it is given. A run that is followed is
    looked at `every` so many seconds."""

    def __init__(
        self,
        make: Callable[[], Api],
        *,
        port: int = 0,
        listening: socket.socket | None = None,
        token: str | None = None,
        every: float = EVERY,
    ) -> None:
        self._server = _Server(Forwarding(make), listening or listen(port), every)
        at = self._server.server_address[1]
        self._server.guard = Guard(at) if token is None else Guard(at, token)
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Dashboard:
        self._thread = threading.Thread(target=self.serve, name="dashboard", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self.close()

    @property
    def port(self) -> int:
        return self._server.guard.port

    @property
    def token(self) -> str:
        return self._server.guard.token

    @property
    def url(self) -> str:
        """What to open: it has the token."""
        return address(self.port, self.token)

    def serve(self) -> None:
        """Answer until the process, or the block, ends."""
        self._server.serve_forever(poll_interval=0.1)

    def close(self) -> None:
        self._server.feeds.close()
        self._server.server_close()


def listen(port: int = 0) -> socket.socket:
    """A socket for a Dashboard. Raises OSError where the port is taken."""
    return socket.create_server((ADDRESS, port), backlog=64)


def address(port: int, token: str) -> str:
    return f"http://{ADDRESS}:{port}/#token={token}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    guard: Guard

    def __init__(self, forward: Forwarding, listening: socket.socket, every: float) -> None:
        super().__init__(listening.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        self.forward = forward
        self.feeds = Feeds(forward, every)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away in the middle is none."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    server_version = "lambda-durable"
    sys_version = ""
    timeout = PATIENCE
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._answer()

    do_POST = do_GET

    def log_message(self, *_: Any) -> None:
        """Paths hold the tokens of callbacks."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        self.close_connection = True
        said = message or explain or self.responses.get(code, ("it cannot be answered",))[0]
        self._send(_refusal(RefusedError(code, "BadRequest", said)))

    def _answer(self) -> None:
        try:
            response = self._response(self.path.startswith(_API))
        except RefusedError as refused:
            self.close_connection = True  # its body was not read
            response = _refusal(refused)
        except Exception:
            traceback.print_exc()
            response = _problem(500, "InternalError", "the dashboard failed: its terminal shows at what")
        self._send(response)

    def _response(self, api: bool) -> Response:
        self.server.guard.check(self.headers, api=api)
        body = self._body()
        if api:
            request = Request(self.command, self.path, dict(self.headers), body)
            return self.server.feeds.open(request) or self.server.forward(request)
        if self.command != "GET":
            raise RefusedError(405, "MethodNotAllowed", "a page is only looked at")
        found = files.find(self.path.partition("?")[0])
        if found is None:
            raise RefusedError(404, "NoSuchFile", "the dashboard has no such file")
        return Response(200, found[1], {"Content-Type": found[0]})

    def _body(self) -> bytes:
        """Of JSON alone, which another site's page can't send without asking first; all of it."""
        if "Transfer-Encoding" in self.headers:
            raise RefusedError(411, "NoLength", "a body needs a Content-Length")
        length = self.headers.get("Content-Length", "0")
        if not (length.isascii() and length.isdigit()):
            raise RefusedError(400, "BadRequest", "Content-Length is a number of bytes")
        if len(length) > 9 or int(length) > LARGEST_BODY:
            raise RefusedError(413, "TooLarge", f"a body has at most {LARGEST_BODY:,} bytes")
        kind = self.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if int(length) and kind != "application/json":
            raise RefusedError(415, "NotJson", "a body is application/json")
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise RefusedError(400, "BadRequest", "the body is shorter than its Content-Length")
        return body

    def _send(self, response: Response) -> None:
        try:
            self._write(response)
        finally:
            response.done()

    def _write(self, response: Response) -> None:
        self.close_connection |= response.parts is not None
        self.send_response(response.status)
        for name, value in _headers(response).items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        for part in response.parts or [response.body]:
            if response.status not in (204, 304):
                self.wfile.write(part)


def _headers(response: Response) -> Mapping[str, str]:
    unsaid = response.status in (204, 304) or response.parts is not None
    length = {} if unsaid else {"Content-Length": str(len(response.body))}
    theirs = {name.title(): value for name, value in response.headers.items()}
    return {**theirs, **HEADERS, **length}


def _refusal(refused: RefusedError) -> Response:
    return _problem(refused.status, refused.type, str(refused))


def _problem(status: int, type: str, message: str) -> Response:
    body = json.dumps({"error": {"type": type, "message": message}}).encode()
    return Response(status, body, {"Content-Type": "application/json"})
