"""`lambda_durable`: its handler, called as Lambda calls it, with the messages that it has sent to itself."""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.contenders.serving import Timer, serve, timed
from benchmarks.contenders.stubbed import control
from benchmarks.replays import REPLAYS
from lambda_durable import Context, Durable
from lambda_durable.client import Client

MODES: dict[str, Any] = {"stepwise": 1, "auto": "auto", "all": "all"}
QUEUE = os.environ["LAMBDA_DURABLE_QUEUE_ARN"]

app = Durable("bench")


def add(total: int, payload: str) -> int:
    return total + len(payload)


def _register(name: str, mode: Any) -> None:
    @app.function(f"sequence-{name}", steps_per_invocation=mode)
    def sequence(ctx: Context[dict[str, int]]) -> int:
        total, payload = 0, "x" * ctx.event.data["size"]
        for number in range(ctx.event.data["steps"]):
            total = ctx.step.run(f"s{number}", add, total, payload)
        return total

    @app.function(f"branches-{name}", steps_per_invocation=mode)
    def branches(ctx: Context[dict[str, int]]) -> int:
        return sum(ctx.step.map("m", abs, range(ctx.event.data["steps"])))


def _register_replay(steps: int) -> None:
    """After so many steps its invocation is over, and the next one replays them."""

    @app.function(f"replay-{steps}", steps_per_invocation=steps)
    def replay(ctx: Context[dict[str, int]]) -> int:
        total = 0
        for number in range(steps + 1):
            total = ctx.step.run(f"s{number}", add, total, "x")
        return total


for name, mode in MODES.items():
    _register(name, mode)
for steps in (100, 1_000, 10_000):
    _register_replay(steps)
handler = app.handler
client = Client(app)


class LambdaContext:
    aws_request_id = "request"
    invoked_function_arn = "arn:aws:lambda:us-east-1:000000000000:function:worker"

    def get_remaining_time_in_millis(self) -> int:
        return 900_000


def invoke(message: dict[str, Any]) -> None:
    record = {**message, "attributes": {"ApproximateReceiveCount": "1"}, "eventSourceARN": QUEUE}
    answer = handler({"Records": [record]}, LambdaContext())
    assert answer == {"batchItemFailures": []}, answer


def drive(function: str, steps: int, size: int = 1) -> tuple[str, Timer, int]:
    """A run, to its end: the time that its invocations took, and how many there were."""
    run_id = client.start(function, {"steps": steps, "size": size}, run_id=uuid4().hex).run_id
    timer, invocations = Timer(), 0
    while messages := control("take"):
        for message in messages:
            invocations += 1
            with timer.running():
                invoke(message)
    return run_id, timer, invocations


def sequence(steps: int, mode: str, size: int = 1) -> dict[str, Any]:
    control("reset")
    calls = control("calls")
    run_id, timer, invocations = drive(f"sequence-{mode}", steps, size)
    made = control("calls") - calls
    run = client.get(run_id)
    assert (run.status, run.output) == ("completed", steps * size), run
    return timer.result(invocations=invocations, calls=made)


def branches(steps: int, mode: str) -> dict[str, Any]:
    control("reset")
    run_id, timer, invocations = drive(f"branches-{mode}", steps)
    assert client.get(run_id).output == sum(range(steps))
    return timer.result(invocations=invocations)


def record(steps: int, mode: str, size: int = 1) -> list[Any]:
    """The calls that the invocations of a run make."""
    control("reset")
    function = f"sequence-{mode}"
    client.start(function, {"steps": steps, "size": size}, run_id=uuid4().hex)
    control("log")
    while messages := control("take"):
        for message in messages:
            invoke(message)
    calls: list[Any] = control("logged")
    return calls


def replay(steps: int) -> dict[str, Any]:
    """An invocation that loads and replays finished steps, and does one more."""
    control("reset")
    run_id = client.start(f"replay-{steps}", {}, run_id=uuid4().hex).run_id
    timer = Timer()
    while messages := control("take"):
        (message,) = messages
        timer = Timer()
        with timer.running():
            invoke(message)
    assert client.get(run_id).output == steps + 1
    return timer.result()


def replay_in_memory(steps: int) -> dict[str, Any]:
    """The engine alone, on a journal that is there."""
    REPLAYS["sync"](1)
    return timed(lambda: REPLAYS["sync"](steps))


def message() -> dict[str, Any]:
    """The message that begins a run of one step."""
    control("reset")
    client.start("sequence-all", {"steps": 1, "size": 1}, run_id=uuid4().hex)
    (sent,) = control("take")
    return dict(sent)


def throughput(clients: int, runs: int) -> dict[str, Any]:
    """Runs of five steps, each driven by one of so many threads. It has one message, that of its start, which is looked
    for once: on AWS Lambda's pollers do that, outside of the process."""
    control("reset")

    def one(_: int) -> None:
        run_id = uuid4().hex
        client.start("sequence-all", {"steps": 5, "size": 1}, run_id=run_id)
        (message,) = control("take", about=run_id)
        invoke(message)

    one(0)  # which connects
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(one, range(clients)))
        began = time.perf_counter()
        list(pool.map(one, range(runs)))
        seconds = time.perf_counter() - began
    assert control("take") == []
    return {"runs_per_second": runs / seconds}


if __name__ == "__main__":
    serve(
        {
            "sequence": sequence,
            "branches": branches,
            "record": record,
            "replay": replay,
            "replay_in_memory": replay_in_memory,
            "message": message,
            "throughput": throughput,
        }
    )
