"""What leaves a handler before it has ended. None of it is an Exception, so `except Exception` lets it by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import ConfigurationError

if TYPE_CHECKING:
    from .operations import Operation


class Interrupt(BaseException):
    """The handler is left where it stands; a later replay brings it back there."""


class Suspend(Interrupt):
    """Nothing more can be done in this invocation, and whatever brings the run back is durable."""


class Stale(Interrupt):
    """Another message has taken this one's place: acknowledge it and do nothing."""


class Reload(Interrupt):
    """The journal has changed since it was loaded: load it and replay again."""


class Blocked(Interrupt):
    """A branch of a sync fan-out can't go on without one of these operations; other branches may."""

    def __init__(self, ops: Sequence[Operation]) -> None:
        super().__init__()
        self.ops = ops


class Broken(Interrupt):
    """Something outside failed (its error is the cause). No business of the handler: the invocation fails."""


class Renewed(Interrupt):
    """The run continues as new: on another event (as JSON), and with nothing remembered."""

    def __init__(self, event: str) -> None:
        super().__init__()
        self.event = event


class Swallowed(Interrupt):
    """The handler caught what was to leave it."""

    def error(self) -> ConfigurationError:
        return ConfigurationError(
            "the handler caught the exception that suspends it, or makes it continue as new (a bare `except:` or "
            "`except BaseException`), so it went on where it was to be left; catch Exception, which lets that by"
        )
