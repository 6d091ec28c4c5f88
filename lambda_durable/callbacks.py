"""Callbacks: what a run gives to the outside world, to be handed back with an answer."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, NamedTuple

from .errors import CallbackError, CallbackTokenError, ConfigurationError, ErrorInfo, type_name

VERSION: Final = "cb1-"
"""What a token begins with: a later release may make others, and still reads these."""

LONGEST_TOKEN: Final = 16 * 1024
"""Characters."""

LONGEST_RUN: Final = 512
"""Characters of a journal's id."""

LONGEST_PATH: Final = 8 * 1024
"""Characters, as JSON, of the path of a step that can wait for a callback: its token holds it."""


@dataclass(frozen=True)
class Callback:
    """What `submit` is to tell the outside world, which hands `token` back to `client.complete_callback` and the
    like. Whoever has it can answer, so treat it as a password. `deadline` is when the run gives up."""

    token: str
    deadline: datetime


class Address(NamedTuple):
    """What a token says: which wait in which of a run's journals, and what only its token knows."""

    journal_id: str
    path: str
    nonce: str


def token_of(address: Address) -> str:
    text = json.dumps(address, separators=(",", ":"))
    return VERSION + base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def read_token(token: object) -> Address:
    """Where a token leads; it comes from outside, so that it may lead nowhere. Raises CallbackTokenError."""
    if not isinstance(token, str) or len(token) > LONGEST_TOKEN or not token.startswith(VERSION):
        raise no_token(f"it does not begin with {VERSION!r}, or is too long")
    encoded = token.removeprefix(VERSION)
    try:
        text = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
        address = Address(*json.loads(text))
        whole = all(isinstance(part, str) and part for part in address) and token_of(address) == token
        "".join(address).encode()  # a lone surrogate is no character
        known = len(address.journal_id) <= LONGEST_RUN and not address.path.endswith(
            "]"
        )  # a branch is no wait
    except (ValueError, TypeError, RecursionError):
        whole = known = False
    if not (whole and known):
        raise no_token("it is damaged")
    return address


def callback_failure(error: object) -> ErrorInfo:
    """What is kept of a failure that the outside world reports. It has no `step_id`: it happened in none."""
    if isinstance(error, str):
        return ErrorInfo(type=type_name(CallbackError), message=error)
    if not isinstance(error, BaseException):
        raise ConfigurationError(f"fail_callback() takes a text or an exception, and this is {error!r}")
    return replace(ErrorInfo.of(error), step_id=None, attempts=None)


def no_token(why: str) -> CallbackTokenError:
    return CallbackTokenError(f"this is no callback token of this app: {why}")
