"""How an event is matched to a run: a path whose value must be equal in both events, and a condition."""

from __future__ import annotations

import hashlib
from typing import Any

from .errors import ConfigurationError
from .events import Event
from .expressions import MISSING, canonical, compile_condition, compile_expression

LONGEST = 512
"""Characters of JSON up to which a value is kept as it is; of a longer one it is a digest, which is no JSON."""


def check_condition(if_exp: object, what: str) -> None:
    """Raises ConfigurationError for what is no CEL over `event` and `async`, or None."""
    if if_exp is None:
        return
    if not isinstance(if_exp, str):
        raise ConfigurationError(
            f"{what}: a condition is CEL over `event` and `async`, since it is kept until then; this is {if_exp!r}"
        )
    compile_condition(if_exp, what, incoming=True)


def check_match(match: object, what: str) -> None:
    """Raises ConfigurationError for what is no path into an event, or None."""
    if match is None:
        return
    if not isinstance(match, str) or compile_expression(match, what).path is None:
        raise ConfigurationError(
            f"{what}: a path whose value must be equal in both events (data.order), and this is {match!r}"
        )


def value_at(match: str | None, event: Event[Any]) -> str | None:
    """The JSON, or its digest, that another event must have at the path; "" without a path, and None where the
    event itself has nothing there, so that no other can match."""
    if match is None:
        return ""
    value = compile_expression(match, "match=").evaluate(event)
    if value is MISSING:
        return None
    text = canonical(value)
    return text if len(text) <= LONGEST else f"#{hashlib.sha256(text.encode()).hexdigest()}"
