"""Dollars for a million runs: calls and units counted in a real run, times prices; beside what others publish.

All is in it: the event, the ingress, headers and indexes, and Lambda's time. The event of EventBridge is added to what
AWS's durable functions and Step Functions cost, which need one to be started by it as well.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

from lambda_durable import Context, Durable, Event, on_event
from lambda_durable.cli.estimate import Assumed, Counted, Start, count, peers
from lambda_durable.cli.samples import sample
from lambda_durable.costs.pricing import PRICES, total
from lambda_durable.testing import LocalRuntime

MODES: dict[str, Any] = {"stepwise": 1, "auto": "auto", "all": "all"}
ASSUMED = Assumed(step=50, invocation=20, megabytes=256)
"""Milliseconds of a step, and of an invocation beside its steps; the Lambda's memory."""

SIZES = (1, 5, 20, 100)
MILLION = 1_000_000


def dollars(sizes: Sequence[int] = SIZES) -> list[dict[str, Any]]:
    """For each kind of work and number of steps, what a million runs cost."""
    return [_row(work, steps, *made) for work, steps, made in _works(sizes)]


def _works(sizes: Sequence[int]) -> Iterator[tuple[str, int, tuple[Durable, Start]]]:
    for steps in sizes:
        yield "steps", steps, _work(steps, 1_000, "")
        yield "steps and a sleep of 15 minutes", steps, _work(steps, 1_000, "15m")
        yield "steps with 10 KB each", steps, _work(steps, 10_000, "")


def _work(steps: int, output: int, sleep: str) -> tuple[Durable, Start]:
    app = Durable("bench")

    @app.function("work", on_event("bench/begin"))
    def work(ctx: Context[Any]) -> None:
        for number in range(steps):
            ctx.step.run(f"step-{number + 1}", sample, output, number + 1)
            if sleep and number == (steps - 1) // 2:
                ctx.step.sleep("rest", sleep)

    def start(runtime: LocalRuntime) -> int:
        return len(runtime.send(Event("bench/begin", sample(1_000))))

    return app, start


def _content(size: int) -> list[dict[str, Any]]:
    """Lines of an order, of about so many bytes of JSON: no two are alike, so they pack as real ones do."""
    draw, lines = Random(size), []
    while len(json.dumps(lines, separators=(",", ":"))) < size - 110:
        lines.append(
            {
                "id": f"{draw.getrandbits(64):016x}",
                "product": f"SKU-{draw.randrange(10**6):06}",
                "quantity": draw.randrange(1, 10),
                "price": draw.randrange(100, 100_000) / 100,
                "reserved_until": f"2026-11-{draw.randrange(1, 31):02}T12:{draw.randrange(60):02}:00Z",
            }
        )
    return lines


def _row(work: str, steps: int, app: Durable, start: Start) -> dict[str, Any]:
    found: dict[str, Counted] = {name: count(app, start, mode) for name, mode in MODES.items()}
    first = found["stepwise"]
    event = PRICES["eventbridge_custom_event"]
    aws, step_functions = (peer.dollars + event for peer in peers(first, ASSUMED))
    return {
        "work": work,
        "steps": steps,
        "ours": {name: round(total(each.charges(ASSUMED)) * MILLION, 2) for name, each in found.items()},
        "aws_durable": round(aws * MILLION, 2),
        "step_functions": round(step_functions * MILLION, 2),
    }
