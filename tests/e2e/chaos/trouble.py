"""What goes wrong, by the seed: workers are killed, and storms of faults come and go."""

from __future__ import annotations

import random
import time

from chaos.proxy import STORMS
from chaos.stage import Stage

BETWEEN_KILLS = 40
BETWEEN_STORMS = 80
"""Invocations, on average."""


class Trouble:
    def __init__(self, stage: Stage, *, seed: int) -> None:
        self.storms = 0
        self._stage = stage
        self._random = random.Random(seed)
        self._next_kill = self._draw(BETWEEN_KILLS)
        self._next_storm = self._draw(BETWEEN_STORMS)
        self._kill_at = self._calm_at = float("inf")
        stage.proxy.rain()

    def stir(self) -> None:
        """Do what is due. Called every few hundredths of a second."""
        now, done = time.monotonic(), len(self._stage.log.invocations)
        if done >= self._next_kill:
            self._next_kill = done + self._draw(BETWEEN_KILLS)
            self._kill_at = now + self._random.uniform(0, 0.2)
        if now >= self._kill_at:
            self._kill_at = float("inf")
            self._kill()
        if done >= self._next_storm:
            self._next_storm = done + self._draw(BETWEEN_STORMS)
            self._calm_at = now + self._random.uniform(0.7, 2)
            self.storms += 1
            self._stage.proxy.rain(*self._random.choice(STORMS))
        if now >= self._calm_at:
            self._calm_at = float("inf")
            self._stage.proxy.rain()

    def _kill(self) -> None:
        """One that works, mostly; sometimes one that waits, or has only begun to start."""
        workers = self._stage.workers()
        if not workers:
            return
        busy = [pid for pid in workers if pid in self._stage.log.busy]
        self._stage.kill(self._random.choice(busy if busy and self._random.random() < 0.9 else workers))

    def _draw(self, mean: int) -> int:
        return 1 + int(self._random.expovariate(1 / mean))
