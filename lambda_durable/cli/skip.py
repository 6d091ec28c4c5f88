"""`lambda-durable skip`: the time until something is due, on the cloud of `lambda-durable dev`."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from ..durations import spell
from ..local.ahead import VARIABLE, Ahead
from ..local.skipping import BusyError, Skipper
from .plain import write_json
from .usage_error import FailedError, UsageError

PATIENCE = 30.0
"""Seconds that what is at work has to end."""


def skip_time(*, as_json: bool) -> None:
    """Raises UsageError and FailedError."""
    path, endpoint = os.environ.get(VARIABLE), os.environ.get("AWS_ENDPOINT_URL")
    if not path or not endpoint:
        raise UsageError(
            "no time can be skipped but dev's own: paste what `lambda-durable dev` printed into this terminal"
        )
    try:
        skipped = Skipper(endpoint, Ahead(Path(path))).skip(patience=PATIENCE)
    except BusyError as error:
        raise FailedError(f"{error}: see what `lambda-durable dev` says") from None
    if skipped is None:
        raise FailedError("nothing waits for a time")
    now = datetime.now(UTC)
    if as_json:
        write_json({"skipped_seconds": skipped.total_seconds(), "now": now.isoformat()}, sys.stdout)
    else:
        sys.stdout.write(f"skipped {spell(skipped)}: it is {now:%Y-%m-%d %H:%M:%S} UTC\n")
