"""HTTP connections that are kept alive, each of Python's own client: with the pool that botocore has, a call takes half
as much CPU again."""

from __future__ import annotations

import socket
import weakref
from collections import defaultdict, deque
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from ssl import CERT_REQUIRED, SSLContext
from typing import cast
from urllib.parse import urlsplit

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.httpsession import create_urllib3_context
from urllib3.util.wait import wait_for_read

from .short_path import Http, Raw


class Connections:
    """To whatever hosts are called. They are closed when nobody has it any more."""

    signs = False

    def __init__(self, http: Http) -> None:
        self._http = http
        self._idle: defaultdict[str, deque[HTTPConnection]] = defaultdict(deque)
        weakref.finalize(self, _close_all, self._idle)

    def takes(self, headers: Mapping[str, str]) -> bool:  # noqa: ARG002
        return True

    def send(self, request: AWSPreparedRequest) -> AWSResponse | None:
        to = urlsplit(request.url)
        body, headers = cast("bytes", request.body), dict(request.headers)
        idle = self._idle[to.netloc]
        connection = _alive(idle)
        try:
            if connection is None:
                connection = self._connection(to.scheme, to.netloc)
                self._connect(connection)
            target = f"{to.path or '/'}?{to.query}" if to.query else to.path or "/"
            connection.request(request.method, target, body, headers)
            response = connection.getresponse()
            text = response.read()
        except (OSError, HTTPException, ValueError):  # of a host, a header or a file of authorities, too
            if connection is not None:
                connection.close()
            _close(idle)  # what made this one go silent did so to the others: a process that was frozen, say
            return None
        if connection.sock is not None and len(idle) < self._http.connections:
            idle.append(connection)
        else:
            connection.close()
        return AWSResponse(request.url, response.status, cast("HTTPHeaders", response.headers), Raw(text))

    def _connection(self, scheme: str, host: str) -> HTTPConnection:
        if scheme == "https":
            return HTTPSConnection(host, timeout=self._http.connect_timeout, context=self._tls)
        return HTTPConnection(host, timeout=self._http.connect_timeout)

    def _connect(self, connection: HTTPConnection) -> None:
        connection.connect()
        connection.sock.settimeout(self._http.read_timeout)
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    @cached_property
    def _tls(self) -> SSLContext:
        """botocore's own, so that no host is trusted here that is not there."""
        context: SSLContext = create_urllib3_context()
        context.check_hostname = True  # this and the next one its pool does for each connection
        context.verify_mode = CERT_REQUIRED
        context.load_verify_locations(self._http.authorities)
        return context


def _alive(idle: deque[HTTPConnection]) -> HTTPConnection | None:
    """The connection that was used last and can be used again: nothing is to be read from it, not even its end."""
    while True:
        try:
            connection = idle.pop()
        except IndexError:
            return None
        if not wait_for_read(connection.sock, timeout=0):
            return connection
        connection.close()


def _close(idle: deque[HTTPConnection]) -> None:
    while idle:
        with suppress(IndexError):  # another thread has it
            idle.pop().close()


def _close_all(idle: dict[str, deque[HTTPConnection]]) -> None:
    for connections in idle.values():
        _close(connections)
