"""How a contender is asked: a line of JSON on stdin, a line on stdout. It has a process of its own.

Nothing here is the library's, so that a contender without it imports nothing more than it needs.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

Measures = dict[str, Callable[..., Any]]


def scratch() -> TemporaryDirectory[str]:
    """A folder, in memory where the system has room for files there: what a disk takes is no contender's."""
    memory = Path("/dev/shm")
    return TemporaryDirectory(dir=memory if memory.is_dir() else None)


class Timer:
    """Milliseconds that passed, and that this process was at work, while it ran; added up."""

    def __init__(self) -> None:
        self.wall = self.cpu = 0.0

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            self.wall += (time.perf_counter() - wall) * 1000
            self.cpu += (time.process_time() - cpu) * 1000

    def result(self, **more: Any) -> dict[str, Any]:
        return {"wall": self.wall, "cpu": self.cpu, **more}


def timed(work: Callable[[], object], **more: Any) -> dict[str, Any]:
    timer = Timer()
    with timer.running():
        work()
    return timer.result(**more)


def serve(measures: Measures) -> None:
    """Answer until stdin ends. What libraries print goes to stderr."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    answers.write("ready\n")
    answers.flush()
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer = measures[asked.pop("measure")](**asked)
        except Exception:
            answer = {"error": traceback.format_exc(limit=-4)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
