"""What a step's function may know of the attempt that it is."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from .errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class StepInfo:
    """The step that runs, from inside its function.

    `idempotency_key` is the same for every attempt of this step of this run: hand it to a payment provider
    and the like, which then do a request that comes twice once.
    """

    run_id: str
    step_id: str
    attempt: int
    idempotency_key: str
    _publish: Callable[[str, Any], None] | None = field(repr=False, default=None)
    _deadline: float = field(repr=False, default=0.0)
    _monotonic: Callable[[], float] = field(repr=False, default=lambda: 0.0)

    @property
    def remaining_time(self) -> float:
        """Seconds until this Lambda is killed, and the attempt with it."""
        return max(self._deadline - self._monotonic(), 0.0)

    def publish(self, topic: str, data: Any = None) -> None:
        """Tell those who follow the run, at once: how far a long step is, say. As `ctx.publish`; each attempt
        publishes anew, and one that is made again after a crash doesn't repeat what it said before."""
        if self._publish is not None:
            self._publish(topic, data)


running_step: ContextVar[StepInfo | None] = ContextVar("lambda_durable.step", default=None)


def current_step() -> StepInfo:
    """The step whose function runs. Raises ConfigurationError outside a step."""
    info = running_step.get()
    if info is None:
        raise ConfigurationError("current_step() was called outside a step's function")
    return info
