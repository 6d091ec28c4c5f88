"""What the commands on a deployed app share: the client, and its errors as one line each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..app import Durable
from ..client import Client
from ..errors import ConfigurationError, DurableError
from .usage_error import FailedError, UsageError


@contextmanager
def deployed(stack: str | None, app: Durable | None = None) -> Iterator[Client]:
    """The client of a stack, or of what the environment names; with its errors as `as_one_line` has them."""
    with as_one_line(stack):
        yield Client(app, stack=stack)


@contextmanager
def as_one_line(stack: str | None) -> Iterator[None]:
    """In its block a mistake becomes a UsageError, and what could not be done a FailedError."""
    try:
        yield
    except ConfigurationError as error:
        hint = "" if stack or "not set in the environment" not in str(error) else "; or say --stack NAME"
        raise UsageError(f"{error}{hint}") from None
    except DurableError as error:
        raise FailedError(str(error)) from None
