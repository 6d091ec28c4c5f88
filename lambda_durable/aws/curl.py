"""Calls signed and sent by libcurl, where LAMBDA_DURABLE_TRANSPORT says so.

Of the CPU that a call takes on the short path, a signature and HTTP are half where Python does them. libcurl does both
in C (signature version 4 since its 7.75), and while it does, other threads have the interpreter.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.credentials import Credentials

from .short_path import Http, Raw

if TYPE_CHECKING:
    import pycurl

_TRACE: Final = "X-Amzn-Trace-Id"
"""It must not be signed, and libcurl signs all that it is given. SQS hands it on to who receives a message, and so
needs it; DynamoDB hands nothing on."""


class Curl:
    """It signs for a service of a region. The rest is as `Connections` has it, but for the second timeout: it is that
    of a whole call. What takes longer, botocore makes again, and waits between bytes."""

    signs = True

    def __init__(self, credentials: Credentials, http: Http, *, service: str, region: str) -> None:
        self._credentials = credentials
        self._scope = f"aws:amz:{region}:{service}"
        self._drops_trace = service == "dynamodb"
        self._http = http
        self._idle: deque[pycurl.Curl] = deque()

    def takes(self, headers: Mapping[str, str]) -> bool:
        return self._drops_trace or _TRACE not in headers

    def send(self, request: AWSPreparedRequest) -> AWSResponse | None:
        import pycurl

        keys = self._credentials.get_frozen_credentials()
        headers = {**request.headers, "Expect": ""}
        headers.pop(_TRACE, None)
        agent: str = headers.pop("User-Agent", "")  # which is not signed, so
        if keys.token:
            headers["X-Amz-Security-Token"] = keys.token
        lines = [f"{name}: {value}" for name, value in headers.items()]
        if not "".join([*lines, agent, str(keys.access_key)]).isprintable():
            return None  # libcurl sends what stands behind the end of a line as one of its own
        try:
            curl = self._idle.pop()
        except IndexError:
            curl = self._connection()
        try:
            curl.setopt(pycurl.USERAGENT, agent)
            curl.setopt(pycurl.HTTPHEADER, lines)
            curl.setopt(pycurl.USERNAME, keys.access_key)
            curl.setopt(pycurl.PASSWORD, keys.secret_key)
            curl.setopt(pycurl.URL, request.url)
            curl.setopt(pycurl.POSTFIELDS, request.body)
            body = curl.perform_rb()
        except UnicodeEncodeError:
            return None
        except pycurl.error:
            self._idle.clear()  # what made this one go silent did so to the others: a process that was frozen, say
            return None
        status = curl.getinfo(pycurl.RESPONSE_CODE)
        if len(self._idle) < self._http.connections:
            self._idle.append(curl)
        # To be told the headers of an answer costs the interpreter for each line. Without them no checksum is checked,
        # and an error of SQS has its newer name: KmsAccessDenied for KMS.AccessDeniedException.
        return AWSResponse(request.url, status, HTTPHeaders(), Raw(body))

    def _connection(self) -> pycurl.Curl:
        import pycurl

        curl, http = pycurl.Curl(), self._http
        for option, value in {
            pycurl.AWS_SIGV4: self._scope,
            pycurl.CAINFO: http.authorities,
            pycurl.CONNECTTIMEOUT_MS: round(http.connect_timeout * 1000),
            pycurl.HTTP_VERSION: pycurl.CURL_HTTP_VERSION_1_1,
            pycurl.NOSIGNAL: True,  # for threads
            pycurl.PROXY: "",  # not all_proxy, which botocore does not know either
            pycurl.TCP_KEEPALIVE: True,
            # Of the whole call: LOW_SPEED_TIME sees up to 7 s later that nothing comes. A longer one is botocore's.
            pycurl.TIMEOUT_MS: round((http.connect_timeout + http.read_timeout) * 1000),
        }.items():
            curl.setopt(option, value)
        return curl
