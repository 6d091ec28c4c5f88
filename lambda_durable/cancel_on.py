"""What cancels a function's runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from .durations import Duration, parse_duration
from .errors import ConfigurationError
from .events import LONGEST_NAME, Event
from .expressions import MISSING, canonical, compile_condition, compile_expression


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
        if match is not None and (
            not isinstance(match, str) or compile_expression(match, f"{what}, match=").path is None
        ):
            raise ConfigurationError(
                f"{what}, match=: a path whose value must be equal in both events, and this is {match!r}"
            )
        if if_exp is not None:
            if not isinstance(if_exp, str):
                raise ConfigurationError(
                    f"{what}, if_exp=: is CEL over `event` and `async`, and this is {if_exp!r}"
                )
            compile_condition(if_exp, f"{what}, if_exp=", incoming=True)
        window = parse_duration(timeout, f"{what}, timeout=") if timeout is not None else None
        vars(self).update(event=event, match=match, if_exp=if_exp, timeout=window)

    def value(self, event: Event[Any]) -> str | None:
        """The JSON that an event which cancels must have at `match`; None where the run's own has nothing
        there, so that none can."""
        if self.match is None:
            return ""
        value = compile_expression(self.match, "match=").evaluate(event)
        return None if value is MISSING else canonical(value)
