"""`lambda-durable runs`: the runs of a deployed app, newest first."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import cast

from ..durations import parse_duration
from ..errors import ConfigurationError
from ..runs import RunSummary, Status
from .deployed import deployed
from .display import Display
from .loading import load_app
from .plain import summary_as_plain, write_json
from .timeline import spell, stamp
from .usage_error import UsageError


def list_runs(
    function: str | None,
    *,
    app: str | None,
    status: str | None,
    label: str | None,
    since: str | None,
    until: str | None,
    limit: int,
    stack: str | None,
    as_json: bool,
) -> None:
    """Print them. Raises UsageError and FailedError."""
    if function is None and app is None:
        raise UsageError("name a FUNCTION, or give --app APP for all of its functions")
    first, last = moment(since, "--since"), moment(until, "--until")
    with deployed(stack, load_app(app) if app is not None else None) as client:
        found = client.runs(
            function,
            cast("Status | None", status),
            label,
            since=first,
            until=last,
            limit=limit,
        )
        runs = list(found)
    if as_json:
        write_json([summary_as_plain(run) for run in runs], sys.stdout)
        return
    display = Display(sys.stdout)
    for run in runs:
        whose = [] if function is not None else [(run.function_id, 16, "")]
        display.columns([(stamp(run.created_at), 19, "dim"), *whose, *_columns(run)])
    if not runs:
        sys.stderr.write("lambda-durable runs: there are none such\n")


def _columns(run: RunSummary) -> list[tuple[str, int, str]]:
    took = f" after {spell(run.ended_at - run.created_at)}" if run.ended_at is not None else ""
    style = {"completed": "green", "running": "blue"}.get(run.status, "red")
    return [(run.run_id, 32, "bold"), (run.status + took, 28, style), (", ".join(run.labels), 0, "")]


def moment(text: str | None, option: str) -> datetime | None:
    """A time, or how long ago it was. Without an offset it is the local time of this machine."""
    if text is None:
        return None
    try:
        return datetime.now(UTC) - parse_duration(text, option)
    except ConfigurationError:
        pass
    try:
        return datetime.fromisoformat(text).astimezone()
    except ValueError:
        raise UsageError(
            f'{option} is a time ("2026-11-22T09:00") or how long ago ("2h"), and this is {text!r}'
        ) from None
