"""Bedrock's Converse API, and what its errors mean for a step."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, Final, cast
from urllib.parse import urlsplit

from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
)

from ..errors import ConfigurationError, NonRetriableError, RetryAfterError
from .clients import CONNECT_TIMEOUT, Clients

BUSY: Final = frozenset({408, 429, 503})
"""HTTP: the model is throttled, starting, out of time or out of capacity. It says when to come again, or we do."""

PASSING: Final = frozenset({424, 500, 502, 504})
"""HTTP: the model or what is before it failed; a retry by the step's own policy may do."""

_MISFIT = re.compile(r"^(\w[\w ]* parameter(?: in)? [\w.\[\]]+)", re.ASCII | re.MULTILINE)
"""What botocore says of a parameter, up to where it quotes it."""

LONGEST_WAIT: Final = 60.0
"""Seconds to wait for a model that does not say for how long."""


class ModelError(Exception):
    """A model could not be asked, and may be a little later."""


def converse(
    request: Mapping[str, Any], *, attempt: int, timeout: float, endpoint_url: str | None, region: str | None
) -> dict[str, Any]:
    """Bedrock's answer to a request. It is asked once: what comes next is for the step to say.

    Raises RetryAfterError, ModelError, NonRetriableError, ConfigurationError. None of them tells what the model was
    asked.
    """
    try:
        return cast("dict[str, Any]", _client(timeout, endpoint_url, region).converse(**request))
    except ClientError as error:
        raise _meaning(error, str(request.get("modelId")), attempt) from None
    except (NoCredentialsError, NoRegionError) as error:
        raise ConfigurationError(f"Bedrock can't be asked: {error}") from None
    except ParamValidationError as error:
        misfits = "; ".join(_MISFIT.findall(str(error.kwargs["report"])))
        raise NonRetriableError(
            f"model {request.get('modelId')}: the request is not what Converse takes: {misfits}; see what the Model "
            "was given, and the messages"
        ) from None
    except BotoCoreError as error:  # a network's
        raise ModelError(f"Bedrock could not be reached: {type(error).__name__}") from None


@lru_cache(maxsize=8)
def _client(timeout: float, endpoint_url: str | None, region: str | None) -> Any:
    """Made when a model is first asked: it takes tens of milliseconds, and most invocations ask none."""
    options: dict[str, Any] = {
        "connect_timeout": CONNECT_TIMEOUT,
        "read_timeout": timeout,
        "retries": {"total_max_attempts": 1},
        "user_agent_extra": "lambda-durable",
    }
    if endpoint_url is not None and urlsplit(endpoint_url).hostname in ("127.0.0.1", "localhost", "::1"):
        options["signature_version"] = UNSIGNED  # a stand-in on this machine
        region = region or "us-east-1"
    return Clients().of(
        "bedrock-runtime",
        explained=False,
        region_name=region,
        endpoint_url=endpoint_url,
        config=Config(**options),
    )


def _meaning(error: ClientError, model: str, attempt: int) -> Exception:
    told = error.response.get("Error", {})
    answer = error.response.get("ResponseMetadata", {})
    status, code = answer.get("HTTPStatusCode", 0), told.get("Code", "")
    what = f"model {model}: {code}"
    if status in BUSY:
        after = _retry_after(answer.get("HTTPHeaders", {}))
        wait = min(2.0**attempt, LONGEST_WAIT) if after is None else after
        return RetryAfterError(f"{what}; again in {wait:g} seconds", timedelta(seconds=wait))
    if status in PASSING or status >= 500:
        return ModelError(what)
    hint = {
        "AccessDeniedException": "allow bedrock:InvokeModel on the model, and see that the account has access to it",
        "ResourceNotFoundException": "is that its id, or an inference profile's, and is it there in this region?",
    }.get(code)
    # What AWS says of a request may quote it; what it says of a permission names who lacks it.
    said = (
        told.get("Message", "")
        if code != "ValidationException"
        else "the request is not what the model takes"
    )
    return NonRetriableError(f"{what}: {hint or said}")


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that an answer asks to wait: a number, or an HTTP date."""
    text = headers.get("retry-after", "").strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(text) - parsedate_to_datetime(headers["date"])).total_seconds()
        except (ValueError, KeyError, TypeError):
            return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None
