"""scripts/soak: a steady load on a deployed stack, and whether anything grows. Exit status: 0, 1 when something grows
or was lost, 3 when what it runs on failed."""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from chaos.audit import audit
from chaos.kinds import QUICK
from chaos.load import Load
from chaos.settling import TICK, let_pass, open_runs, report
from chaos.stage import Stage, stage, under_the_clock
from chaos.telling import play_and_tell

CONCURRENCY = 3
SAMPLES = 120
"""How often everything is looked at."""

PATIENCE = 120.0
"""Seconds for the last runs to end."""

FEW = 20
"""Invocations, below which a process tells nothing about growth."""

SHORT = 240.0
"""Seconds, below which all is still warming up: growth is told then, and not judged."""

MEGABYTES, FILES, MESSAGES = 4.0, 3, 15
"""By how much a median of the last quarter may be above that of the second; the first quarter is for warming up."""


@dataclass
class Samples:
    unit: str
    most: float
    values: list[float] = field(default_factory=list)
    invocations: list[int] = field(default_factory=list)

    def quarter(self, which: int) -> float:
        size = len(self.values)
        return median(self.values[size * which // 4 : max(size * (which + 1) // 4, size * which // 4 + 1)])

    @property
    def growth(self) -> float:
        return self.quarter(3) - self.quarter(1)

    @property
    def grows(self) -> bool:
        return self.growth > self.most


class Soak:
    def __init__(self, stack: Stage, seconds: float, rate: float, seed: int) -> None:
        self._stack = stack
        self._seconds = seconds
        self._rate = rate
        self._seed = seed
        self.queue = Samples("messages", MESSAGES)
        self.cloud = Samples("MB", float("inf"))
        self.memory: dict[int, Samples] = {}
        self.files: dict[int, Samples] = {}

    def play(self) -> dict[str, Any]:
        load = Load(self._stack.client, self._stack.log, QUICK, seed=self._seed)
        began = time.monotonic()
        try:
            while (passed := time.monotonic() - began) < self._seconds:
                self._stack.look()
                while load.busy < 50 and len(load.started) < passed * self._rate:
                    load.start()
                if passed >= (len(self.queue.values) + 1) * self._seconds / SAMPLES:
                    self._sample()
                    if len(self.queue.values) % (SAMPLES // 10) == 0:
                        report(
                            f"{passed:.0f} s: {len(load.started)} runs, {self.queue.values[-1]:.0f} messages"
                        )
                time.sleep(TICK)
            workers = set(self._stack.workers())
            slowest = self._finish(load)
        finally:
            load.stop()
        return self._account(load, workers, slowest)

    def _finish(self, load: Load) -> float:
        """Seconds that the last runs took."""
        began = time.monotonic()
        while load.busy or not self._stack.idle() or open_runs(self._stack):
            if time.monotonic() - began > PATIENCE:
                break
            self._stack.look()
            time.sleep(TICK)
        took = time.monotonic() - began
        let_pass(self._stack)
        return took

    def _sample(self) -> None:
        done = Counter(invocation.pid for invocation in self._stack.log.invocations)
        self._keep(self.queue, sum(map(sum, self._stack.depths().values())), sum(done.values()))
        self._keep(self.cloud, _megabytes(self._stack.cloud.pid), 0)
        for pid in self._stack.workers():
            try:
                memory, files = _megabytes(pid), len(list(Path(f"/proc/{pid}/fd").iterdir()))
            except OSError:
                continue  # it has ended
            self._keep(self.memory.setdefault(pid, Samples("MB", MEGABYTES)), memory, done[pid])
            self._keep(self.files.setdefault(pid, Samples("files", FILES)), files, done[pid])

    def _keep(self, samples: Samples, value: float, invocations: int) -> None:
        samples.values.append(value)
        samples.invocations.append(invocations)

    def _account(self, load: Load, workers: set[int], slowest: float) -> dict[str, Any]:
        ledger, log = audit(self._stack, load.started), self._stack.log
        rows: list[tuple[str, Samples]] = [("messages in all queues", self.queue)]
        for pid in self.memory:
            if self.memory[pid].invocations[-1] >= FEW:
                rows += [(f"memory of worker {pid}", self.memory[pid])]
                rows += [(f"open files of worker {pid}", self.files[pid])]
        rows += [("memory of the cloud (keeps all state)", self.cloud)]
        judged = self._seconds >= SHORT
        wrong = [f"{what}: {row.growth:.1f} {row.unit} more" for what, row in rows if judged and row.grows]
        gone = set(self.memory) - workers
        wrong += [f"worker {pid} ended, and nobody killed it" for pid in gone]
        if judged and len(rows) < 4:
            wrong.append("no worker had enough to do for its growth to be judged")
        return {
            "seconds": round(self._seconds),
            "growth is judged": judged,
            "rate": self._rate,
            "runs": len(load.started),
            "invocations": dict(Counter(invocation.fate for invocation in log.invocations)),
            "seconds until the last run had ended": round(slowest, 1),
            "rows": [_row(what, samples) for what, samples in rows],
            "violations": wrong + ledger.violations(),
        }


def _row(what: str, samples: Samples) -> dict[str, Any]:
    return {
        "what": what,
        "quarters": [round(samples.quarter(which), 1) for which in range(4)],
        "most": round(max(samples.values), 1),
        "invocations": samples.invocations[-1],
    }


def _megabytes(pid: int) -> float:
    (line,) = (x for x in Path(f"/proc/{pid}/status").read_text().splitlines() if x.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def _table(account: dict[str, Any]) -> str:
    lines = [
        f"{account['runs']} runs in {account['seconds']} s, {account['rate']} a second; invocations: "
        + ", ".join(f"{count} {fate}" for fate, count in account["invocations"].items()),
        f"{'medians of each quarter':40} {'1st':>8} {'2nd':>8} {'3rd':>8} {'4th':>8} {'most':>8} invocations",
    ]
    for row in account["rows"]:
        quarters = " ".join(f"{value:8.1f}" for value in row["quarters"])
        lines.append(f"{row['what']:40} {quarters} {row['most']:8.1f} {row['invocations'] or '':>11}")
    violations: Sequence[str] = account["violations"]
    lines += [f"WRONG: {text}" for text in violations[:50]]
    right = (
        "nothing grows"
        if account["growth is judged"]
        else f"growth is judged from {SHORT / 60:.0f} minutes on"
    )
    lines.append(f"{len(violations)} things are wrong" if violations else f"{right}, nothing was lost")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rate", type=float, default=0.7, help="runs a second")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="the account as JSON")
    options = parser.parse_args()
    under_the_clock()
    seconds = options.minutes * 60
    play_and_tell(
        stage(seed=options.seed, concurrency=CONCURRENCY, patience=2 * seconds + 600),
        lambda stack: Soak(stack, seconds, options.rate, options.seed).play(),
        _table,
        as_json=options.json,
    )


if __name__ == "__main__":
    main()
