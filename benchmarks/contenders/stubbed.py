"""The stub, as a contender asks it for what is no call of AWS's. That is no work of who is measured, so it takes few
instructions."""

from __future__ import annotations

import json
import os
import socket
from threading import local
from typing import Any
from urllib.parse import urlsplit

_mine = local()


def control(do: str, **more: Any) -> Any:
    if not hasattr(_mine, "connection"):
        address = urlsplit(os.environ["AWS_ENDPOINT_URL"])
        _mine.connection = socket.create_connection((address.hostname, address.port))
        _mine.answers = _mine.connection.makefile("rb")
    body = json.dumps({"do": do, **more}).encode()
    head = b"POST /control HTTP/1.1\r\nHost: stub\r\nContent-Length: %d\r\n\r\n" % len(body)
    _mine.connection.sendall(head + body)
    length = 0
    while line := _mine.answers.readline().strip():
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return json.loads(_mine.answers.read(length))
