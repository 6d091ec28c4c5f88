"""Futures: steps that a sync handler has started and goes on beside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, Literal, TypeVar, cast

from .engine.operations import Operation
from .engine.sync import SyncReplay
from .errors import ConfigurationError

R = TypeVar("R")

ReturnWhen = Literal["ALL_COMPLETED", "FIRST_COMPLETED", "FIRST_EXCEPTION"]


def block(op: Operation) -> Any:
    replay = op.scope.replay
    if not isinstance(replay, SyncReplay):
        raise ConfigurationError("a sync step was called in an async handler; its context is an AsyncContext")
    return replay.call(op)


class StepFuture(Generic[R]):
    """A step that `submit` started."""

    def __init__(self, op: Operation) -> None:
        self._op = op

    @property
    def step_id(self) -> str:
        """Its path, as in `run.steps`."""
        return self._op.path

    def result(self) -> R:
        """Its result; waits for it. Raises StepError if it failed for good."""
        if not self._op.delivered:
            return cast(R, block(self._op))
        return cast(R, self._op.value())

    def done(self) -> bool:
        """Whether it has ended. The answer is remembered, so that a replay gets the same."""
        op = self._op
        if not op.delivered and op.scope.asks(op):
            op.scope.replay.deliver(op)
        return op.delivered

    def __repr__(self) -> str:
        return f"StepFuture({self._op.path!r})"


def settled(
    given: Sequence[StepFuture[Any]], return_when: ReturnWhen
) -> tuple[tuple[StepFuture[Any], ...], tuple[StepFuture[Any], ...]]:
    """Those that have ended, and those that have not, once what is waited for has come."""
    ops = [future._op for future in given]
    conditions: dict[str, Callable[[], bool]] = {
        "ALL_COMPLETED": lambda: all(op.delivered for op in ops),
        "FIRST_COMPLETED": lambda: not ops or any(op.delivered for op in ops),
        "FIRST_EXCEPTION": lambda: (
            all(op.delivered for op in ops)
            or any(op.delivered and op.record and op.record.error for op in ops)
        ),
    }
    if return_when not in conditions:
        raise ConfigurationError(
            f"return_when= is one of {', '.join(conditions)}, and this is {return_when!r}"
        )
    if ops:
        replay = ops[0].scope.replay
        assert isinstance(replay, SyncReplay)
        if return_when == "ALL_COMPLETED":
            replay.join(ops)
        else:
            replay.wait(ops[0].scope, ops, conditions[return_when])
    done = tuple(future for future in given if future._op.delivered)
    return done, tuple(future for future in given if not future._op.delivered)
