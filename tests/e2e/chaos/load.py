"""The outside world: who starts runs, answers what they wait for, and cancels."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from chaos.log import Log
from lambda_durable import Client, Event

T = TypeVar("T")

PATIENCE = 180.0
"""Seconds for one call to succeed in the end."""

PEOPLE = 6
"""How many act at once."""


@dataclass(frozen=True)
class Started:
    """`run_id` is ours where it was started directly; else an event did it."""

    n: int
    kind: str
    run_id: str | None


class Load:
    """Starts runs of `kinds` in turn, shuffled by the seed, and does for each what it waits for."""

    def __init__(self, client: Client, log: Log, kinds: Sequence[str], *, seed: int) -> None:
        self.started: list[Started] = []
        self.tried_again = 0
        self._client = client
        self._log = log
        self._kinds = kinds
        self._random = random.Random(seed)
        self._pool = ThreadPoolExecutor(PEOPLE, thread_name_prefix="outside")
        self._at_work: set[Future[None]] = set()
        self._waiting: set[int] = set()
        self._stopped = threading.Event()

    def start(self) -> None:
        n = len(self.started)
        if n % len(self._kinds) == 0:
            self._order = self._random.sample(self._kinds, len(self._kinds))
        kind = self._order[n % len(self._kinds)]
        directly = kind in ("asking", "stopped") or self._random.random() < 0.5
        run = Started(n, kind, f"{kind}-{n}" if directly else None)
        self.started.append(run)
        self._at_work.add(self._pool.submit(self._play, run, random.Random(self._random.random())))

    @property
    def busy(self) -> int:
        """For how many runs somebody still has something to do. Raises what went wrong for good."""
        over = {future for future in self._at_work if future.done()}
        self._at_work -= over
        for future in over:
            future.result()
        return len(self._at_work)

    @property
    def stalled(self) -> bool:
        """Whether nobody does anything before a run has come further."""
        return self.busy <= len(self._waiting)

    def stop(self) -> None:
        self._stopped.set()
        self._pool.shutdown(cancel_futures=True)

    def _play(self, run: Started, chance: random.Random) -> None:
        data = {"n": run.n}
        if run.run_id is None:
            event = Event(f"chaos/{run.kind}", data, id=f"start-{run.n}")
            self._insist(lambda: self._client.send(event))
        else:
            run_id = run.run_id
            self._insist(lambda: self._client.start(run.kind, data, run_id=run_id))
        if run.kind in ("waiting", "asking", "stopped"):
            self._stopped.wait(chance.uniform(0, 2))
        match run:
            case Started(kind="waiting"):
                answer = Event("chaos/answered", data, id=f"answer-{run.n}")
                self._insist(lambda: self._client.send(answer))
            case Started(kind="asking", run_id=str(run_id)):
                self._until(run.n, lambda: run.n in self._log.tokens)
                token = self._log.tokens[run.n]
                self._insist(lambda: self._client.complete_callback(token, "answered"))
                self._until(run.n, lambda: self._signalled(run_id, run.n))
            case Started(kind="stopped", run_id=str(run_id)):
                self._insist(lambda: self._client.cancel(run_id))

    def _signalled(self, run_id: str, n: int) -> bool:
        """Nobody may wait yet; or somebody has heard, and the answer was lost."""
        if self._insist(lambda: self._client.send_signal(f"signal-{n}", n)):
            return True
        listening = self._insist(lambda: self._client.get(run_id)).steps.get("listen")
        return listening is not None and listening.status == "completed"

    def _insist(self, call: Callable[[], T]) -> T:
        """As a caller of AWS must: each of these may be done again."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return call()
            except Exception:
                self.tried_again += 1
                if self._stopped.wait(0.2) or time.monotonic() > deadline:
                    raise

    def _until(self, n: int, condition: Callable[[], bool]) -> None:
        while not condition():
            self._waiting.add(n)
            stopped = self._stopped.wait(0.3)
            self._waiting.discard(n)
            if stopped:
                raise RuntimeError(f"stopped while run {n} was waited for")
