"""The real handler in the Lambda runtime itself: killed in mid-step, too slow, and set up wrongly."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from emulator import Emulator

from lambda_durable import Client
from lambda_durable.aws.table import table_definition

PATIENCE = 60.0
VISIBILITY = 120_000
"""Milliseconds after which a deployed queue delivers a message again: longer than its Lambda may run."""

APP = """
import asyncio, os, time
from pathlib import Path

from lambda_durable import AsyncContext, Context, Durable, Retry

app = Durable("emulated", steps_per_invocation=MODE, retry=Retry.fixed("0s", 3))
folder = Path(__file__).parent


def work(n):
    with (folder / "effects").open("a") as effects:
        print(n, os.getpid(), file=effects)
    stall = folder / f"stall-{n}"
    if stall.exists():
        stall.rename(folder / "stalled")
        time.sleep(600)
    return n


async def work_later(n):
    return await asyncio.to_thread(work, n)


@app.function("sync")
def sync(ctx: Context) -> int:
    return sum(ctx.step.run(f"s{n}", work, n) for n in (1, 2, 3))


@app.function("async")
async def asynchronous(ctx: AsyncContext) -> int:
    return sum(await asyncio.gather(*(ctx.step.run(f"s{n}", work_later, n) for n in (1, 2, 3))))


handler = app.handler
"""


class Worker:
    """The app in the emulator, and the event source mapping of its queue, one message at a time."""

    def __init__(self, folder: Path, cloud: Any, *, mode: str, timeout: int) -> None:
        self.folder = folder
        (folder / "app.py").write_text(APP.replace("MODE", mode))
        name = f"emulated-{uuid4()}"
        session = boto3.Session(
            aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1"
        )
        create: Any = session.client
        self._sqs = create("sqs", endpoint_url=cloud.endpoint)
        create("dynamodb", endpoint_url=cloud.endpoint).create_table(**table_definition(name))
        create("s3", endpoint_url=cloud.endpoint).create_bucket(Bucket=name)
        self.url = self._sqs.create_queue(QueueName=name)["QueueUrl"]
        settings = {"TABLE": name, "BUCKET": name, "BUS": name, "SCHEDULE_GROUP": name}
        settings |= {"QUEUE_URL": self.url, "DEAD_LETTER_URL": self.url}
        for queue in ("QUEUE", "INGRESS_QUEUE", "FAILED_QUEUE", "DEAD_LETTER"):
            settings[f"{queue}_ARN"] = f"arn:aws:sqs:us-east-1:000000000000:{name}-{queue.lower()}"
        settings["SCHEDULER_ROLE_ARN"] = "arn:aws:iam::000000000000:role/scheduler"
        self.environment = {
            **cloud.environ(),
            **{f"LAMBDA_DURABLE_{name}": value for name, value in settings.items()},
        }
        self.emulator = Emulator(folder, self.environment, timeout=timeout)

    def deliver(self) -> tuple[int, Any]:
        """Invoke the Lambda with the next message; delete it if the invocation says so, else it comes back."""
        message = self._next()
        attributes = dict(message["Attributes"])
        if int(attributes["ApproximateReceiveCount"]) > 1:  # it comes back at once, and not after its time
            first = (
                round(time.time() * 1000) - VISIBILITY
            )  # by this clock: earlier tests have moved the cloud's
            attributes["ApproximateFirstReceiveTimestamp"] = str(first)
        event = {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": attributes,
            "eventSource": "aws:sqs",
            "eventSourceARN": self.environment["LAMBDA_DURABLE_QUEUE_ARN"],
        }
        status, answer = self.emulator.invoke({"Records": [event]})
        if status == 200 and answer == {"batchItemFailures": []}:
            self._sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        elif self.in_flight():
            self._sqs.change_message_visibility(
                QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
            )
        return status, answer

    def work(self, client: Client, run_id: str) -> Any:
        """Deliver until the run has ended."""
        while True:
            status, answer = self.deliver()
            assert (status, answer) == (200, {"batchItemFailures": []})
            run = client.get(run_id)
            if run.status not in ("queued", "running"):
                return run

    def in_flight(self) -> int:
        attribute = "ApproximateNumberOfMessagesNotVisible"
        answer = self._sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=[attribute])
        return int(answer["Attributes"][attribute])

    def stall(self, step: int) -> None:
        """Have the next attempt of a step never end."""
        (self.folder / f"stall-{step}").touch()

    def effects(self) -> list[tuple[int, int]]:
        """What the steps did: their numbers, and the processes that did it."""
        lines = (self.folder / "effects").read_text().splitlines()
        return [(int(step), int(pid)) for step, pid in map(str.split, lines)]

    def _next(self) -> Any:
        def receive() -> Any:
            answer = self._sqs.receive_message(
                QueueUrl=self.url, AttributeNames=["All"], MaxNumberOfMessages=1, WaitTimeSeconds=1
            )
            return answer.get("Messages")

        return until(receive)[0]


def until(look: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.02)
    raise AssertionError("what was waited for never came")


@pytest.fixture
def start(cloud, tmp_path, monkeypatch):
    """Starts a worker, and a client of it."""
    workers: list[Worker] = []

    def start(*, mode: str = "1", timeout: int = 60) -> tuple[Worker, Client]:
        worker = Worker(tmp_path, cloud, mode=mode, timeout=timeout)
        workers.append(worker)
        for name, value in worker.environment.items():
            monkeypatch.setenv(name, value)
        return worker, Client()

    yield start
    for worker in workers:
        worker.emulator.stop()


@pytest.mark.parametrize("mode", ["1", "'all'"])
@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("step", [1, 3])
def test_a_worker_that_is_killed_in_mid_step_loses_nothing(start, kind, mode, step):
    worker, client = start(mode=mode)
    run = client.start(kind, {})
    worker.stall(step)

    answers: list[tuple[int, Any]] = []

    def deliver_until_it_dies() -> None:
        while not answers or answers[-1][0] == 200:
            answers.append(worker.deliver())

    deliveries = threading.Thread(target=deliver_until_it_dies)
    deliveries.start()
    until((worker.folder / "stalled").exists)
    os.kill(next(pid for number, pid in worker.effects() if number == step), signal.SIGKILL)
    deliveries.join()
    assert answers[-1][1]["errorType"] == "Runtime.ExitError"

    ended = worker.work(client, run.run_id)
    assert (ended.status, ended.output) == ("completed", 6)
    done = Counter(number for number, _ in worker.effects())
    assert set(done) == {1, 2, 3}
    assert done[step] == 2
    beside_it = kind == "async" and mode != "1"
    assert beside_it or sum(done.values()) == 4
    assert max(done.values()) == 2


def test_a_step_that_outlives_its_lambda_ends_the_process_and_is_tried_again(start):
    worker, client = start(timeout=4)
    worker.emulator.invoke({"Records": []})  # connects, which takes of an invocation's time
    run = client.start("sync", {})
    worker.stall(1)
    status, answer = worker.deliver()
    assert (status, answer["errorType"]) == (502, "Runtime.ExitError")
    assert worker.in_flight() == 0  # its message is done with, and the next one is there

    step = client.get(run.run_id).steps["s1"]
    assert (step.status, step.attempts) == ("retrying", 1)
    assert "Lambda's time was up (4 seconds)" in step.error.message
    assert "these steps outlived their Lambda's time: s1" in worker.emulator.log.read_text()

    ended = worker.work(client, run.run_id)
    assert (ended.status, ended.output, ended.steps["s1"].attempts) == ("completed", 6, 2)
    assert Counter(number for number, _ in worker.effects()) == {1: 2, 2: 1, 3: 1}


def test_a_setting_that_is_wrong_is_what_an_invocation_answers(start, cloud, tmp_path):
    worker, _ = start()
    worker.emulator.stop()
    worker.environment["LAMBDA_DURABLE_TABLE"] = "nowhere"
    worker.emulator = Emulator(tmp_path, worker.environment, timeout=10)
    _, answer = worker.emulator.invoke({"Records": []})
    assert answer["errorType"] == "SetupError"
    assert "the table 'nowhere', from LAMBDA_DURABLE_TABLE, is not there" in answer["errorMessage"]
    assert answer["stackTrace"] == []
    log = worker.emulator.log.read_text()
    assert "the table 'nowhere'" in log
    assert 'File "' not in log.partition("the table 'nowhere'")[2].partition("END RequestId")[0]
