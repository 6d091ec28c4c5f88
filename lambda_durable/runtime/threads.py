"""Daemon threads, used again and again: a thread costs more than most of what is run here."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

_Job = Callable[[], None]

_idle: list[SimpleQueue[_Job]] = []


def run_in_thread(job: _Job, then: _Job | None = None) -> None:
    """Run `job`, which must not raise, in a thread of the pool. The last thing it does there is `then`, when
    the thread is free again: so who is told by `then` and starts another job gets the same thread."""
    try:
        jobs = _idle.pop()
    except IndexError:
        jobs = _new_thread()

    def work() -> None:
        job()
        _idle.append(jobs)
        if then is not None:
            then()

    jobs.put(work)


def _new_thread() -> SimpleQueue[_Job]:
    jobs: SimpleQueue[_Job] = SimpleQueue()
    threading.Thread(target=_serve, args=(jobs,), name="lambda-durable", daemon=True).start()
    return jobs


def _serve(jobs: SimpleQueue[_Job]) -> None:
    while True:
        jobs.get()()
