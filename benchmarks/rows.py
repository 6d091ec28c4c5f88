"""What is measured: for each row, the questions that are asked in turn, round after round."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from .conducting import Question

SIZES = (1, 10, 100, 1_000, 5_000)
MODES = ("all", "auto", "stepwise")
LATENCIES = (0, 5)


@dataclass(frozen=True)
class Row:
    """`quick`: what of it is asked where there are a few minutes only."""

    name: str
    title: str
    questions: Callable[[bool], Iterator[Question]]


def _steps(quick: bool) -> Iterator[Question]:
    """A run of n steps, one after the other; that of one step tells the costs that are not a step's."""
    for latency in LATENCIES:
        for size in SIZES:
            if size > (1_000 if latency == 0 else 100) and (quick or latency):
                continue
            yield from _of_size(size, latency, MODES if not quick or size <= 100 else ("all",))


def _of_size(size: int, latency: int, modes: Sequence[str]) -> Iterator[Question]:
    times = 5 if size <= 10 else 1
    for mode in modes:
        if mode == "stepwise" and size > 1_000:
            continue  # each invocation reads what there is: that is what the others are for
        arguments = {"steps": size, "mode": mode}
        yield Question("ours", f"{mode} {size}", "sequence", arguments, latency, times)
        if mode != "auto" and size <= 1_000:
            label = f"{mode} {size}"
            yield Question("floor", label, "sequence", {"steps": size}, latency, times, like=arguments)
        if mode == "all" and latency == 0:
            yield Question("ours_curl", f"{mode} {size}", "sequence", arguments, latency, times)
    yield Question("aws_durable", f"{size}", "sequence", {"steps": size}, latency, times)
    if latency == 0:
        yield Question("dbos_sqlite", f"{size}", "sequence", {"steps": size}, times=times)
    if latency == 0 and size <= 100:  # in its request/response mode a run is quadratic
        yield Question("restate_rr", f"{size}", "sequence", {"steps": size}, times=times)


def _replay(quick: bool) -> Iterator[Question]:
    for size in (100, 1_000) if quick else (100, 1_000, 10_000):
        yield Question("ours", f"{size}", "replay", {"steps": size})
        yield Question("ours", f"in memory {size}", "replay_in_memory", {"steps": size}, times=3)
        yield Question("aws_durable", f"{size}", "replay", {"steps": size})


def _branches(quick: bool) -> Iterator[Question]:
    for size in (10, 100) if quick else (10, 100, 1_000):
        times = 3 if size <= 100 else 1
        yield Question("ours", f"{size}", "branches", {"steps": size, "mode": "all"}, times=times)
        yield Question("aws_durable", f"{size}", "branches", {"steps": size}, times=times)


def _throughput(quick: bool) -> Iterator[Question]:
    for clients in (1, 8, 32):
        for contender in ("ours", "ours_curl", "aws_durable", "dbos_sqlite", "restate_rr"):
            runs = 40 if quick or (contender == "aws_durable" and clients == 1) else 200
            arguments = {"clients": clients, "runs": runs}
            yield Question(contender, f"{clients}", "throughput", arguments)


def _latency(quick: bool) -> Iterator[Question]:
    runs = 20 if quick else 100
    yield Question("ministack", "bare", "bare", {"runs": runs})
    for mode in ("all", "stepwise"):
        yield Question("ministack", mode, "latency", {"runs": runs, "mode": mode})


def _cold(quick: bool) -> Iterator[Question]:  # noqa: ARG001
    for script in ("ours", "aws_durable", "floor"):
        yield Question("cold", script, "", {"script": script}, times=3)
        yield Question("cold", f"{script} emulated", "", {"script": script, "emulated": True}, times=3)


ROWS = {
    row.name: row
    for row in (
        Row("steps", "a run of n steps, one after the other", _steps),
        Row("replay", "an invocation that replays n finished steps and does one more", _replay),
        Row("branches", "a run of n branches side by side", _branches),
        Row("throughput", "runs of 5 steps a second, by clients", _throughput),
        Row("latency", "on ministack: from an event to the first step, and from step to step", _latency),
        Row("cold", "import, clients and a first invocation, in a fresh process", _cold),
    )
}
