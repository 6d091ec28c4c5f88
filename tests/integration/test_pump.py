"""What stands between the local cloud's queues and the handler."""

from __future__ import annotations

import threading
import time

import pytest

from lambda_durable.local import LocalCloud, pump, stack
from lambda_durable.local.invoking import InvocationError


class Handler:
    """Takes its time, and fails as often as it is told to."""

    def __init__(self, *, seconds=0.0, failures=0):
        self.seconds = seconds
        self.failures = failures
        self.bodies = []
        self.ended = threading.Event()

    def invoke(self, event):
        (record,) = event["Records"]
        self.bodies.append(record["body"])
        if len(self.bodies) <= self.failures:
            raise InvocationError("the worker exited")
        time.sleep(self.seconds)
        self.ended.set()
        return {"batchItemFailures": []}

    def close(self):
        pass


@pytest.fixture
def pumped(monkeypatch):
    """Run a handler on one message, until it has worked on it for good."""
    monkeypatch.setattr(stack, "VISIBILITY", 1)
    monkeypatch.setattr(pump, "VISIBILITY", 1)

    def run(handler):
        with LocalCloud() as cloud:
            stack.create_stack(cloud.endpoint)
            settings = stack.settings_of(cloud.endpoint)
            pumping = pump.Pump(cloud.endpoint, settings, handler, concurrency=4, on_failure=lambda why: None)
            pumping.start()
            try:
                stack.Clients(cloud.endpoint)("sqs").send_message(
                    QueueUrl=settings.queue_url, MessageBody="go on"
                )
                assert handler.ended.wait(30)
            finally:
                pumping.stop()
        return handler.bodies

    return run


def test_a_message_comes_once_however_long_its_invocation_takes(pumped):
    assert pumped(Handler(seconds=3)) == ["go on"]


def test_the_message_of_an_invocation_that_failed_comes_back(pumped):
    assert pumped(Handler(failures=2)) == ["go on"] * 3
