"""scripts/crowd: many events at once for few slots, on a deployed stack. No key may ever have more inside than its
limit, and all have to be served. Exit status: 0, 1 if that is not so, 3 when what it runs on failed."""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter
from datetime import timedelta
from typing import Any

from chaos.audit import left_behind
from chaos.kinds import CROWD
from chaos.queues import Guest, fairness, most_by_key, served, violations, waits
from chaos.settling import ENDED, TICK, let_pass, report
from chaos.stage import VISIBILITY, Stage, stage, under_the_clock
from chaos.telling import play_and_tell
from lambda_durable import Event

INGRESS = 2
"""Invocations at once that take events; the workers are those that go on with runs."""

AT_ONCE = 10
"""Events that a key sends. EventBridge: PutEvents takes 10."""

BETWEEN_KILLS = 60
"""Invocations."""


class Crowd:
    def __init__(self, stack: Stage, options: argparse.Namespace) -> None:
        self._stack = stack
        self._options = options
        self._random = random.Random(options.seed)
        self._guests: list[Guest] = []
        self._moved = timedelta()

    def play(self) -> dict[str, Any]:
        self._stack.set_workers(self._options.workers)
        report("deployed")
        self._send()
        self._serve()
        self._moved += let_pass(self._stack)
        return self._account()

    def _send(self) -> None:
        """Each key sends some at a time, in an order that is drawn; one has the hot share, and the others the rest."""
        options = self._options
        hot = round(options.events * options.hot)
        cold = max(options.keys - bool(hot), 1)
        each = Counter([f"key-{n % cold}" for n in range(options.events - hot)] + ["hot"] * hot)
        bursts = [
            [who] * min(AT_ONCE, count - sent)
            for who, count in each.items()
            for sent in range(0, count, AT_ONCE)
        ]
        self._random.shuffle(bursts)
        keys = [who for burst in bursts for who in burst]
        client = self._stack.deployment.client
        for begin in range(0, len(keys), AT_ONCE):
            some = dict(list(enumerate(keys))[begin : begin + AT_ONCE])
            sent = time.monotonic()
            client.send(*(Event(f"crowd/{options.counts}", {"n": n, "who": who}) for n, who in some.items()))
            self._guests += [Guest(n, who, sent) for n, who in some.items()]

    def _serve(self) -> None:
        """Until all runs have ended. What is hidden or delayed is not waited for."""
        told, next_kill = time.monotonic(), BETWEEN_KILLS
        while True:
            self._stack.look()
            log = self._stack.log
            if self._options.kill and len(log.invocations) >= next_kill and log.busy:
                next_kill += BETWEEN_KILLS
                self._stack.kill(self._random.choice(log.busy))
            if time.monotonic() > told + 10:
                told = time.monotonic()
                done = len(served(log.stays.values()))
                report(f"{done} of {len(self._guests)} were served, {len(log.invocations)} invocations")
            if self._stack.idle():
                ended = self._statuses()
                open_ = len(self._guests) - sum(ended[status] for status in ENDED)
                if open_ <= 0:
                    return
                report(f"{open_} runs have not ended, {self._moved} later")
                self._moved += timedelta(seconds=VISIBILITY + 5)
                self._stack.jump(timedelta(seconds=VISIBILITY + 5))
            time.sleep(TICK)

    def _statuses(self) -> Counter[str]:
        return Counter(run.status for run in self._stack.deployment.client.runs(self._options.counts))

    def _account(self) -> dict[str, Any]:
        log, options = self._stack.log, self._options
        stays, runs = log.stays, len(self._guests)
        waited = waits(self._guests, stays.values())
        ends = [stay.end for stay in stays.values() if stay.end is not None]
        seconds = max(ends) - self._guests[0].sent if ends else 0.0
        messages = {id for invocation in log.invocations for id, _, _ in invocation.messages}
        most = most_by_key(stays.values())
        wrong = violations(self._guests, stays, options.limit, self._statuses())
        return {
            "counts": options.counts,
            "events": runs,
            "keys": len(waited),
            "limit": options.limit,
            "workers": options.workers,
            "served": len(served(stays.values())),
            "most inside at once": max(most.values(), default=0),
            "keys that reached the limit": sum(count == options.limit for count in most.values()),
            "seconds": round(seconds, 1),
            "runs a second": round(runs / seconds, 1) if seconds else 0.0,
            "fairness": fairness(waited) if waited else {},
            "hot key": _of_one(waited.get("hot", ())),
            "messages a run": round(len(messages) / runs, 2),
            "invocations a run": round(len(log.invocations) / runs, 2),
            "invocations": dict(Counter(invocation.fate for invocation in log.invocations)),
            "kills": log.killed,
            "clock moved": str(self._moved),
            "seed": options.seed,
            "violations": wrong + left_behind(self._stack),
        }


def _of_one(seconds: Any) -> dict[str, float]:
    """The waits of one key."""
    ordered = sorted(seconds)
    if not ordered:
        return {}
    return {
        "events": len(ordered),
        "median wait": round(ordered[len(ordered) // 2], 2),
        "longest wait": round(ordered[-1], 2),
    }


def _table(account: dict[str, Any]) -> str:
    lines = []
    for name, value in account.items():
        if isinstance(value, dict):
            lines += [f"{name}: " + ", ".join(f"{what} {count}" for what, count in value.items())] * bool(
                value
            )
        elif name != "violations":
            lines.append(f"{name}: {value}")
    wrong = account["violations"]
    lines += [f"WRONG: {text}" for text in wrong[:50]]
    lines.append(f"{len(wrong)} things are wrong" if wrong else "every limit held, and all were served")
    return "\n".join(lines)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/crowd", description=__doc__)
    parser.add_argument("--events", type=int, default=2000)
    parser.add_argument("--keys", type=int, default=50)
    parser.add_argument("--limit", type=int, default=3, help="of each key")
    parser.add_argument("--workers", type=int, default=8, help="invocations at once")
    parser.add_argument("--counts", choices=CROWD, default=CROWD[0], help="what has a slot")
    parser.add_argument("--hot", type=float, default=0.0, help="the share of the events that have one key")
    parser.add_argument("--kill", action="store_true", help="kill a worker now and then")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--json", action="store_true", help="the account as JSON")
    return parser.parse_args()


def main() -> None:
    options = _options()
    under_the_clock()
    play_and_tell(
        stage(
            seed=options.seed,
            concurrency=INGRESS,
            patience=300 + 3 * options.events,
            faults=False,
            environment={"CROWD_LIMIT": str(options.limit)},
        ),
        lambda stack: Crowd(stack, options).play(),
        _table,
        as_json=options.json,
    )


if __name__ == "__main__":
    main()
