"""scripts/chaos: runs of every kind on a deployed stack, while workers are killed and AWS fails. Exit status: 0, 1
when something was lost, 3 when what it runs on failed."""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter
from datetime import timedelta
from typing import Any

from chaos.audit import audit
from chaos.kinds import CHILDREN, KINDS
from chaos.load import Load
from chaos.settling import TICK, let_pass, open_runs, report
from chaos.stage import VISIBILITY, Stage, stage, under_the_clock
from chaos.telling import play_and_tell
from chaos.trouble import Trouble

CONCURRENCY = 4
"""Invocations at once; a core or two has to run them all."""

BACKLOG = 8
"""Messages that wait, at which no more runs are started."""

AT_ONCE = 3
"""Runs that are started each time that the backlog was looked at."""

LONGEST_SLEEP = timedelta(minutes=25)
STUCK = timedelta(hours=3)
"""By how much the clock is moved, after the last run was started, for runs to end."""


def main() -> None:
    options = _options()
    under_the_clock()
    play_and_tell(
        stage(seed=options.seed, concurrency=CONCURRENCY, patience=300 + 4 * options.runs),
        lambda stack: Chaos(stack, options.runs, options.seed).play(),
        _table,
        as_json=options.json,
    )


class Chaos:
    def __init__(self, stack: Stage, runs: int, seed: int) -> None:
        self._stack = stack
        self._wanted = runs
        self._seed = seed
        self._moved = timedelta()

    def play(self) -> dict[str, Any]:
        began = time.monotonic()
        report("deployed")
        load = Load(self._stack.client, self._stack.log, list(KINDS), seed=self._seed)
        trouble = Trouble(self._stack, seed=self._seed)
        try:
            self._start(load, trouble)
            self._drain(load, trouble)
        finally:
            load.stop()
        faults = self._stack.proxy.faults()
        self._stack.proxy.clear()
        self._moved += let_pass(self._stack)
        return self._account(load, trouble, faults, time.monotonic() - began)

    def _start(self, load: Load, trouble: Trouble) -> None:
        told = looked = time.monotonic()
        while len(load.started) < self._wanted:
            self._stack.look()
            trouble.stir()
            now = time.monotonic()
            if now > looked + 0.25 and load.busy < 50:
                looked = now
                room = self._wanted - len(load.started) if self._stack.backlog() < BACKLOG else 0
                for _ in range(min(AT_ONCE, room)):
                    load.start()
            if now > told + 10:
                told = now
                report(f"{len(load.started)} runs started, {len(self._stack.log.invocations)} invocations")
            time.sleep(TICK)

    def _drain(self, load: Load, trouble: Trouble) -> None:
        """Until all have ended. What is hidden, asleep or waiting is not waited for: when nothing is at work, the
        clock is moved: by four times as much where that brought nothing."""
        step, seen = timedelta(seconds=VISIBILITY + 5), 0
        while True:
            self._stack.look()
            if self._moved < LONGEST_SLEEP:
                trouble.stir()
            else:
                self._stack.proxy.rain()
            if load.stalled and self._stack.idle():
                open_ = open_runs(self._stack)
                report(f"{open_} runs have not ended, {self._moved} later")
                if not (open_ or load.busy) or self._moved > STUCK:
                    return
                quiet, seen = seen == len(self._stack.log.invocations), len(self._stack.log.invocations)
                step = 4 * step if quiet else timedelta(seconds=VISIBILITY + 5)
                self._moved += step
                self._stack.jump(step)
            time.sleep(TICK)

    def _account(self, load: Load, trouble: Trouble, faults: Counter[str], seconds: float) -> dict[str, Any]:
        ledger, log = audit(self._stack, load.started), self._stack.log
        violations = ledger.violations()
        return {
            "seed": self._seed,
            "seconds": round(seconds),
            "started": dict(sorted(Counter(run.kind for run in load.started).items())),
            "ended": ledger.endings,
            "invocations": dict(Counter(invocation.fate for invocation in log.invocations)),
            "steps called": len(log.effects),
            "called again": dict(ledger.again),
            "faults": {"kills": log.killed, "storms": trouble.storms, **faults},
            "clients tried again": load.tried_again,
            "clock moved": str(self._moved),
            "violations": violations,
        }


def _table(account: dict[str, Any]) -> str:
    lines = [f"{'function':12} {'started':>8}  ended"]
    started = account["started"]
    for kind, endings in account["ended"].items():
        ends = ", ".join(f"{count} {status}" for status, count in sorted(endings.items()))
        lines.append(f"{kind:12} {started.get(kind, '(called)'):>8}  {ends}")
    calls = sum(
        count for kind, ends in account["ended"].items() if kind == CHILDREN for count in ends.values()
    )
    lines.append(f"{'all':12} {sum(started.values()):>8}  and {calls} that they called")
    for name in ("invocations", "called again", "faults"):
        counts = ", ".join(f"{count} {what}" for what, count in account[name].items())
        lines.append(f"{name}: {counts or 'none'}")
    for name in ("steps called", "clients tried again", "clock moved", "seconds", "seed"):
        lines.append(f"{name}: {account[name]}")
    violations = account["violations"]
    lines += [f"WRONG: {text}" for text in violations[:50]]
    lines.append(f"{len(violations)} things are wrong" if violations else "nothing was lost, nothing is left")
    return "\n".join(lines)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/chaos", description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--json", action="store_true", help="the account as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
