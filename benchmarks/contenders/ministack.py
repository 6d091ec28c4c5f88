"""`lambda_durable` on ministack: how long an event takes to its first step, and one step to the next.

Two threads of this process receive and invoke, as Lambda's pollers do. What is on the way besides the library (bus,
rule, queues) is measured alone, too, as the floor.
"""

from __future__ import annotations

import itertools
import logging
import os
import statistics
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.contenders.serving import serve
from lambda_durable import Context, Durable, Event, on_event
from lambda_durable.client import Client
from lambda_durable.local import LocalCloud
from lambda_durable.local.stack import (
    CONTINUATIONS,
    INGRESS,
    NAME,
    Clients,
    create_stack,
    settings_of,
    variables,
)

STEPS = 5
PATIENCE = 30.0
"""Seconds that a run may take."""


class Noted:
    """When what is measured happened, as `perf_counter` has it; who waits for so many of them is told."""

    def __init__(self) -> None:
        self._moments: list[float] = []
        self._wanted = 0
        self._reached = threading.Event()

    def note(self) -> None:
        self._moments.append(time.perf_counter())
        if len(self._moments) == self._wanted:
            self._reached.set()

    def after(self, act: Callable[[], object], wanted: int) -> list[float]:
        """Milliseconds from `act` to the first, and from each to the next."""
        self._moments, self._wanted = [], wanted
        self._reached.clear()
        began = time.perf_counter()
        act()
        if not self._reached.wait(PATIENCE):
            raise TimeoutError(f"{len(self._moments)} of {wanted} in {PATIENCE:g} seconds")
        every = [began, *self._moments]
        return [(later - earlier) * 1000 for earlier, later in itertools.pairwise(every)]


noted = Noted()
app = Durable("bench")


def _register(name: str, mode: Any) -> None:
    @app.function(f"sequence-{name}", on_event(f"bench/{name}"), steps_per_invocation=mode)
    def sequence(ctx: Context[Any]) -> None:
        for number in range(STEPS):
            ctx.step.run(f"s{number}", noted.note)


_register("all", "all")
_register("stepwise", 1)


class LambdaContext:
    aws_request_id = "request"
    invoked_function_arn = "arn:aws:lambda:us-east-1:000000000000:function:worker"

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


class Bench:
    """What is asked for, on a cloud that is there."""

    def __init__(self, endpoint: str) -> None:
        create_stack(endpoint)
        os.environ |= {"AWS_ENDPOINT_URL": endpoint, **variables(settings_of(endpoint))}
        self._handler, self._client = app.handler, Client(app)
        self._clients = Clients(endpoint)
        self._take: Callable[[str, dict[str, Any]], object] = self._invoke
        for queue in (INGRESS, CONTINUATIONS):
            threading.Thread(target=self._poll, args=(queue,), daemon=True).start()

    def latency(self, runs: int, mode: str) -> dict[str, float]:
        """Of so many runs, one after the other."""
        self._take = self._invoke
        event = f"bench/{mode}"
        return _told([noted.after(lambda: self._client.send(Event(event, {})), STEPS) for _ in range(runs)])

    def bare(self, runs: int) -> dict[str, float]:
        """Of events, and of messages: nothing of the library's is on the way."""
        self._take = lambda *_: noted.note()
        events, sqs = self._clients("events"), self._clients("sqs")
        url = sqs.get_queue_url(QueueName=CONTINUATIONS)["QueueUrl"]
        entry = {"EventBusName": NAME, "Source": "bench", "DetailType": "bench/bare", "Detail": "{}"}

        def one() -> list[float]:
            event = noted.after(lambda: events.put_events(Entries=[entry]), 1)
            return event + noted.after(lambda: sqs.send_message(QueueUrl=url, MessageBody="{}"), 1)

        return _told([one() for _ in range(runs)])

    def _poll(self, queue: str) -> None:
        sqs, arn = self._clients("sqs"), f"arn:aws:sqs:us-east-1:000000000000:{queue}"
        url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
        while True:
            got = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20, MessageSystemAttributeNames=["All"])
            for message in got.get("Messages", ()):
                self._take(arn, message)
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    def _invoke(self, arn: str, message: dict[str, Any]) -> None:
        record = {
            "messageId": message["MessageId"],
            "body": message["Body"],
            "attributes": message["Attributes"],
            "eventSourceARN": arn,
        }
        answer = self._handler({"Records": [record]}, LambdaContext())
        assert answer == {"batchItemFailures": []}, answer


def _told(runs: list[list[float]]) -> dict[str, float]:
    """Percentiles of each run's first, and of all the others."""
    found = {"first": [run[0] for run in runs], "between": [each for run in runs for each in run[1:]]}
    cuts = {name: statistics.quantiles(each, n=100, method="inclusive") for name, each in found.items()}
    return {f"{name}_p{cut}": of[cut - 1] for name, of in cuts.items() for cut in (50, 95, 99)}


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    with LocalCloud() as cloud:
        bench = Bench(cloud.endpoint)
        serve({"latency": bench.latency, "bare": bench.bare})
