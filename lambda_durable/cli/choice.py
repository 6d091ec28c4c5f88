"""Which runs of a deployed app a command is about, from its options."""

from __future__ import annotations

from collections.abc import Sequence

from ..durations import to_millis
from ..engine.journal import RunStatus
from ..verify.deployed import LIVE, Choice
from .runs import moment
from .usage_error import UsageError


def choice_of(
    functions: Sequence[str], statuses: Sequence[str], since: str | None, until: str | None, limit: int
) -> Choice:
    """Raises UsageError."""
    for status in statuses:
        if status not in list(RunStatus):
            raise UsageError(f"--status is one of {', '.join(RunStatus)}, and this is {status!r}")
    first, last = moment(since, "--since"), moment(until, "--until")
    wanted = [RunStatus(status) for status in statuses] or list(LIVE)
    if not functions and any(status.ended for status in wanted):
        raise UsageError("runs that have ended are listed by function: say --function ID")
    return Choice(
        functions=functions,
        statuses=wanted,
        since=None if first is None else to_millis(first),
        until=None if last is None else to_millis(last),
        limit=limit,
    )
