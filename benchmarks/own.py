"""What parts of the library cost by themselves: replaying in the engine alone, an invocation with nothing to do, and
imports."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from . import replays, workers

IMPORTS = {
    "python alone": "pass",
    "boto3 with its dynamodb and sqs clients": (
        "import boto3; s = boto3.Session(region_name='us-east-1'); s.client('dynamodb'); s.client('sqs')"
    ),
    "pydantic": "import pydantic",
    "lambda_durable": "import lambda_durable",
}


def measure(runs: int) -> None:
    """Print all of it."""
    print(f"{'':<58} {'least':>12} {'median':>12}   goal")
    for steps, goal in ((100, None), (1_000, 20), (10_000, 200)):
        for name, replay in replays.REPLAYS.items():
            what = f"replay {steps:,} finished steps, {name}"
            row(what, *best_of(runs, lambda r=replay, n=steps: r(n)), goal)
    for name, invoke in workers.INVOCATIONS.items():
        least, median = best_of(max(runs, 50), invoke)
        row(f"invocation with nothing to do: {name}", least, median, 2)
    for what, code in IMPORTS.items():
        times = []
        for _ in range(runs):
            begun = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True)
            times.append((time.perf_counter() - begun) * 1000)
        row(f"import: {what} (wall, whole process)", min(times), statistics.median(times))


def best_of(runs: int, work: Callable[[], object]) -> tuple[float, float]:
    """The least and the median CPU time, in milliseconds."""
    times = []
    for _ in range(runs):
        begun = time.process_time()
        work()
        times.append((time.process_time() - begun) * 1000)
    return min(times), statistics.median(times)


def row(what: str, least: float, median: float, goal: int | None = None) -> None:
    says = "" if goal is None else f"under {goal} ms{', missed' if median >= goal else ''}"
    print(f"{what:<58} {least:>9.2f} ms {median:>9.2f} ms   {says}")
