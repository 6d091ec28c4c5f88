"""What cancels a function's runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from .durations import Duration, parse_duration
from .errors import ConfigurationError
from .events import LONGEST_NAME
from .matching import check_condition, check_match


@dataclass(frozen=True, init=False)
class CancelOn:
    """An event that cancels a run which has not ended, between two steps.

    `match` is a path whose value must be equal in the run's own event and in this one, `if_exp` CEL over
    `event` (the run's own) and `async` (this one). With `timeout`, only one that comes so soon after the run
    was begun. Raises ConfigurationError.
    """

    event: str
    match: str | None
    if_exp: str | None
    timeout: timedelta | None

    def __init__(
        self,
        event: str,
        match: str | None = None,
        if_exp: str | None = None,
        timeout: Duration | None = None,
    ) -> None:
        what = f"CancelOn({event!r})"
        if not isinstance(event, str) or not 1 <= len(event) <= LONGEST_NAME:
            raise ConfigurationError(
                f"{what}: an event's name has 1 to {LONGEST_NAME} characters, and this is {event!r}"
            )
        check_match(match, f"{what}, match=")
        check_condition(if_exp, f"{what}, if_exp=")
        window = parse_duration(timeout, f"{what}, timeout=") if timeout is not None else None
        vars(self).update(event=event, match=match, if_exp=if_exp, timeout=window)
