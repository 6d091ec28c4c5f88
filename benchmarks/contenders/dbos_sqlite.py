"""DBOS on SQLite: workflows of steps in one process, each step's outcome in its database."""

from __future__ import annotations

import logging
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from dbos import DBOS
from serving import scratch, serve, timed

logging.disable(logging.CRITICAL)


@DBOS.step()
def add(total: int, payload: str) -> int:
    return total + len(payload)


@DBOS.workflow()
def run_sequence(steps: int, size: int) -> int:
    total, payload = 0, "x" * size
    for _ in range(steps):
        total = add(total, payload)
    return total


def sequence(steps: int, size: int = 1) -> dict[str, Any]:
    found: list[int] = []
    answer = timed(lambda: found.append(run_sequence(steps, size)))
    assert found == [steps * size]
    return answer


def throughput(clients: int, runs: int) -> dict[str, Any]:
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(lambda _: run_sequence(5, 1), range(clients)))
        began = time.perf_counter()
        assert set(pool.map(lambda _: run_sequence(5, 1), range(runs))) == {5}
        return {"runs_per_second": runs / (time.perf_counter() - began)}


if __name__ == "__main__":
    with scratch() as folder:
        url = f"sqlite:///{folder}/dbos.sqlite"
        DBOS(config={"name": "bench", "system_database_url": url, "log_level": "CRITICAL"})
        DBOS.launch()
        sys.stdin.reconfigure(line_buffering=True)
        serve({"sequence": sequence, "throughput": throughput})
