"""What the commands on a deployed app share: the client, and its errors as one line each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from ..client import Client
from ..errors import ConfigurationError, DurableError
from .loading import load_given
from .usage_error import FailedError, UsageError

_ARGUMENT: Final = re.compile(r"(?:\w+\()?(\w+)=\)?(?=[: ])")
"""That a message of the client is about: `status=`, `cancel_all(if_exp=)`."""


@contextmanager
def deployed(stack: str | None, app: str | None = None) -> Iterator[Client]:
    """The client of a stack, or of what the environment names, with the app that a reference names; with its errors as
    `as_one_line` has them."""
    loaded = load_given(app)
    with as_one_line(stack):
        yield Client(loaded, stack=stack)


@contextmanager
def as_one_line(stack: str | None) -> Iterator[None]:
    """In its block a mistake becomes a UsageError, and what could not be done a FailedError."""
    try:
        yield
    except ConfigurationError as error:
        raise UsageError(_nowhere(str(error)) if stack is None else _as_options(str(error))) from None
    except DurableError as error:
        raise FailedError(str(error)) from None


def _nowhere(message: str) -> str:
    """What to type where nothing says which app is meant."""
    if not message.startswith("not set in the environment"):
        return _as_options(message)
    missing = message.partition(";")[0]
    return (
        "say which app: --stack NAME (or LAMBDA_DURABLE_STACK), or paste into this terminal what "
        f"`lambda-durable dev` printed ({missing})"
    )


def _as_options(message: str) -> str:
    """`search(where=)` is a word of Python's; here it is an option."""
    name = _ARGUMENT.match(message)
    if name is None:
        return message
    option = {"if_exp": "if"}.get(name[1], name[1].replace("_", "-"))
    return f"--{option}{message[name.end() :]}"
