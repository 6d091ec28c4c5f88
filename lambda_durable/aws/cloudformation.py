"""The answer to a CloudFormation custom resource."""

from __future__ import annotations

import os
import time
import urllib.error
import urllib.request
from urllib.parse import urlsplit

TIMEOUT = 10
"""Seconds for one try."""

TRIES = 3
PAUSE = 1
"""Seconds after the first failed try, twice that after the second."""


def put_answer(url: str, body: bytes) -> None:
    """PUT a body to a presigned URL. Raises ValueError for one that is not https, and OSError when S3 does
    not take it; neither shows the URL's query, which is a credential.

    http is for an emulator alone: where AWS_ENDPOINT_URL says that AWS itself is reached so.
    """
    parts = urlsplit(url)
    emulated = os.environ.get("AWS_ENDPOINT_URL", "").startswith("http:")
    if parts.scheme != "https" and not (parts.scheme == "http" and emulated):
        raise ValueError(f"the answer to CloudFormation goes to https, and this is {parts.scheme!r}")
    # The signature of the URL covers an empty content type.
    request = urllib.request.Request(url, data=body, method="PUT", headers={"Content-Type": ""})
    for attempt in range(1, TRIES + 1):
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT):
                return
        except urllib.error.HTTPError as error:
            problem = f"HTTP status {error.code}"
            error.close()
        except OSError as error:
            problem = str(getattr(error, "reason", error))
        if attempt < TRIES:
            time.sleep(PAUSE * attempt)
    raise OSError(f"CloudFormation's answer could not be put to {parts.hostname}: {problem}")
