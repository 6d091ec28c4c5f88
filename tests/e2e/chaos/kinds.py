"""What must come of a run of each function of the app, whatever happens to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Kind:
    """`steps` are those whose function must have been called, `undone` those whose undo must have been, in order.
    `attempts` is how many a step may have. `output` is what the run's must be among, by its number."""

    steps: Sequence[str] = ()
    undone: Sequence[str] = ()
    status: str = "completed"
    attempts: int = 5
    output: Callable[[int], Sequence[Any]] = lambda n: (None,)
    error: str | None = None


def _sequential(n: int) -> Sequence[Any]:
    return (400_006,) if n % 3 == 0 else (6,)


KINDS = {
    "sequential": Kind(steps=("s0", "s1", "s2", "s3"), output=_sequential),
    "retrying": Kind(steps=("flaky",), attempts=8, output=lambda n: ("done",)),
    "hopeless": Kind(steps=("flaky",), attempts=3, status="failed", error="ConnectionError"),
    "fanning": Kind(
        steps=(*(f"each[{n}]" for n in range(6)), *(f"both[{n}]/{step}" for n in (0, 1) for step in "ab")),
        output=lambda n: (75,),
    ),
    "gathering": Kind(steps=("g0", "g1", "g2", "last"), output=lambda n: (13,)),
    "waiting": Kind(steps=("before", "after"), output=lambda n: (["chaos/answered", None],)),
    "asking": Kind(steps=("ask/submit", "after"), output=lambda n: (["answered", n, n],)),
    "sleeping": Kind(steps=("before", "between", "after"), output=lambda n: ("awake",)),
    "calling": Kind(output=lambda n: ([n, "lambda_durable.errors.NonRetriableError"],)),
    "undoing": Kind(
        steps=("hotel", "flight", "car", "pay"),
        undone=("car", "flight", "hotel"),
        status="failed",
        error="lambda_durable.errors.NonRetriableError",
    ),
    "stopped": Kind(undone=("room",), status="cancelled"),
    "careful": Kind(
        output=lambda n: [[once, most] for once in ("done", "unknown") for most in ("done", "unknown")]
    ),
    "paying": Kind(steps=("after",), output=lambda n: ("paid",)),
}

QUICK = ("sequential", "retrying", "fanning", "gathering", "waiting", "calling", "undoing", "paying")
"""Those that end within seconds, by themselves or as soon as they are answered."""

CHILDREN = "callee"
"""The function that a run of `calling` calls twice: the second time to be refused."""

CROWD = ("steps", "runs")
"""The functions of scripts/crowd, by what has a slot there."""

AT_MOST_ONCE = {("careful", "once"), ("careful", "at-most")}
