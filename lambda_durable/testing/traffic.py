"""The path that every AWS call takes, and every step: counted, interleaved, crashed, its response lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

from .faults import Dice
from .simulation import Process, Simulation

T = TypeVar("T")


class Traffic:
    """Calls by name, in `calls`: `dynamodb:PutItem`.

    Each call of an invocation has two points at which the invocation can die or be paused, and so has each
    step. Calls from outside (a test's own) are counted, and nothing happens to them.
    """

    def __init__(self, simulation: Simulation, dice: Dice) -> None:
        self.calls: Counter[str] = Counter()
        self.watch: Callable[[Process, str], None] | None = None
        self._simulation = simulation
        self._dice = dice
        self._seen: Counter[str] = Counter()

    def call(self, name: str, apply: Callable[[], T]) -> T:
        process = self._simulation.current()
        if process is None:
            self.calls[name] += 1
            return apply()
        process.check()
        number = self.number(name)
        self.point(process, "before {} #{}", name, number)
        try:
            self.calls[name] += 1
            if self._dice.refuses():
                raise _refusal(name)
            result = apply()
            if self._dice.loses_response():
                result = self._without_response(process, name, apply)
        except Exception:
            # A refused call is a call as well: one can die after it, too.
            self.point(process, "after {} #{}", name, number)
            raise
        self.point(process, "after {} #{}", name, number)
        return result

    def point(self, process: Process, place: str, name: str, number: int) -> None:
        process.check()
        process.points += 1
        if self.watch is not None:
            self.watch(process, place.format(name, number))
        if process.points == process.dies_at:
            process.crash(place.format(name, number))
        if process.points == process.freezes_at:
            process.sleep_until(self._simulation.now + self._dice.freeze())
        if stall := self._dice.stall():
            process.sleep_until(self._simulation.now + stall)
        process.yield_()

    def number(self, name: str) -> int:
        """Counts what invocations do under a name."""
        self._seen[name] += 1
        return self._seen[name]

    def _without_response(self, process: Process, name: str, apply: Callable[[], T]) -> T:
        process.yield_()
        if self._dice.repeats_call():
            self.calls[name] += 1
            return apply()
        from botocore.exceptions import ReadTimeoutError

        raise ReadTimeoutError(endpoint_url=f"simulated: the response of {name} was lost")


def _refusal(name: str) -> Exception:
    """What AWS says when it has done nothing, for a reason that passes."""
    from botocore.exceptions import ClientError

    service, _, operation = name.partition(":")
    code = _REFUSALS.get(name) or _REFUSALS.get(service, "ThrottlingException")
    error: Any = {"Error": {"Code": code, "Message": f"simulated: {name} was refused"}}
    if code == "TransactionCanceledException":
        error["CancellationReasons"] = [{"Code": "TransactionConflict", "Message": "simulated: a conflict"}]
    return ClientError(error, operation)


_REFUSALS = {
    "dynamodb": "ProvisionedThroughputExceededException",
    "dynamodb:TransactWriteItems": "TransactionCanceledException",
    "lambda": "TooManyRequestsException",
    "s3": "SlowDown",
    "sqs": "RequestThrottled",
}
