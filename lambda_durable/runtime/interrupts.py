"""What leaves a handler before it has ended, and says what the worker does next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..engine.interrupts import Interrupt

if TYPE_CHECKING:
    from .messages import Continuation


class ComesAgain(Exception):
    """The message in hand is a copy, and is not acknowledged: the delivery that came before may still be at work, and
    would lose what brings it back if it dies."""


class GoOn(Interrupt):
    """The work of this message is done, and another chain's goes on from it in the same invocation."""

    def __init__(self, message: Continuation) -> None:
        super().__init__()
        self.message = message


class Strayed(Interrupt):
    """The code around a branch or step that was handed out raised before it came to it."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error
