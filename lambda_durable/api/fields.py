"""What requests are made of."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import unquote

from annotated_types import MaxLen, MinLen
from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict

LONGEST_ID = 1024
LONGEST_NAME = 256
LONGEST_FUNCTION = 140
"""Characters of a function's id (128), with what that of its on_failure handler has beside it."""
LONGEST_EXPRESSION = 4096
LONGEST_CURSOR = 2048
MOST = 100
"""Of what is listed, in one page."""

InPath = BeforeValidator(unquote)
"""A function URL leaves a path as it was sent: percent-encoded."""


def _no_number(given: Any) -> Any:
    try:
        float(given)
    except (TypeError, ValueError):
        return given
    raise ValueError("a number is no time: say it in ISO 8601, with its offset")


NoNumber = BeforeValidator(_no_number)
"""In a query, pydantic takes `-200` for seconds since 1970, which is not what a time is described as."""

RunId = Annotated[str, MinLen(1), MaxLen(LONGEST_ID), InPath, Path(description="A run's id.")]
FunctionId = Annotated[str, MinLen(1), MaxLen(LONGEST_FUNCTION), InPath, Path(description="A function's id.")]

Name = Annotated[str, MinLen(1), MaxLen(LONGEST_NAME)]
Since = Annotated[
    AwareDatetime | None, NoNumber, Query(description="Not before this time: ISO 8601, with its offset.")
]
Until = Annotated[AwareDatetime | None, NoNumber, Query(description="Not after this time.")]
Cursor = Annotated[
    str | None, MaxLen(LONGEST_CURSOR), Query(description="That of the page before, to go on from there.")
]


class Body(BaseModel):
    """A request's body. A field that nobody knows is a slip, and an error."""

    model_config = ConfigDict(extra="forbid")


class Done(BaseModel):
    """Whether this request did it; no: it was done already, or there was nothing to do."""

    done: bool


Json = Any
"""Any JSON value."""
