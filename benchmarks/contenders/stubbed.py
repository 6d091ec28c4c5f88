"""The stub, as a contender asks it for what is no call of AWS's."""

from __future__ import annotations

import json
import os
from http.client import HTTPConnection
from threading import local
from typing import Any
from urllib.parse import urlsplit

_mine = local()


def control(do: str, **more: Any) -> Any:
    if not hasattr(_mine, "connection"):
        address = urlsplit(os.environ["AWS_ENDPOINT_URL"])
        _mine.connection = HTTPConnection(address.hostname or "", address.port)
    _mine.connection.request("POST", "/control", json.dumps({"do": do, **more}))
    return json.loads(_mine.connection.getresponse().read())
