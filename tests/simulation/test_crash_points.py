"""Crash points: where they fall, and that each run is crashed at one of them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from fake_worker import Bench

from lambda_durable.ports import Outgoing
from lambda_durable.testing import crash, crash_everywhere

charged = []


def worker(world, delivery, _):
    """One step, its outcome, the next message: as an engine would, in small."""
    client = worker.runtime.aws("dynamodb")
    key = {"pk": {"S": "run"}, "sk": {"S": delivery.body}}
    if not client.get_item(TableName="lambda-durable", Key=key).get("Item"):
        world.executor.start(f"step-{delivery.body}", lambda: charged.append(delivery.body))
        world.executor.wait(None)
        client.put_item(TableName="lambda-durable", Item=key)
    if delivery.body != "2":
        world.queue.send([Outgoing(str(int(delivery.body) + 1))])


class Runtime(Bench):
    def __init__(self, app, *, steps_per_invocation=None):
        super().__init__(app)
        app.runtime = self

    def start(self, function, data=None, *, run_id=None):
        charged.clear()
        self.message("1")
        return SimpleNamespace(run_id="run")

    def get(self, run_id):
        items = self.aws("dynamodb").scan(TableName="lambda-durable")["Items"]
        return SimpleNamespace(done=sorted(item["sk"]["S"] for item in items), charged=list(charged))


@pytest.fixture(autouse=True)
def runtime_of_a_fake_worker(monkeypatch):
    monkeypatch.setattr(crash, "LocalRuntime", Runtime)


def test_a_function_is_crashed_at_every_point():
    crashes = list(crash_everywhere(worker, None))

    assert [c.point for c in crashes] == [
        None,
        "before dynamodb:GetItem #1",
        "after dynamodb:GetItem #1",
        "in step 'step-1' #1, before its function",
        "in step 'step-1' #1, after its function",
        "before dynamodb:PutItem #1",
        "after dynamodb:PutItem #1",
        "before sqs:SendMessage #1",
        "after sqs:SendMessage #1",
        "before dynamodb:GetItem #2",
        "after dynamodb:GetItem #2",
        "in step 'step-2' #1, before its function",
        "in step 'step-2' #1, after its function",
        "before dynamodb:PutItem #2",
        "after dynamodb:PutItem #2",
    ]
    assert all(c.run.done == ["1", "2"] for c in crashes)
    assert crashes[0].run.charged == ["1", "2"]
    by_point = {c.point: c for c in crashes}
    assert by_point["in step 'step-1' #1, before its function"].run.charged == ["1", "2"]
    assert by_point["in step 'step-1' #1, after its function"].run.charged == ["1", "1", "2"]
    assert by_point["after dynamodb:PutItem #2"].runtime.invocations == 3


def test_it_is_lazy_and_driven_from_outside():
    driven = []

    def drive(rt, run):
        driven.append(run.run_id)
        rt.drain()

    runs = crash_everywhere(worker, None, drive=drive)
    assert driven == []
    assert next(runs).point is None
    assert next(runs).point == "before dynamodb:GetItem #1"
    assert driven == ["run", "run"]


def test_a_function_that_does_something_else_each_time_is_an_error():
    left = [1, 1]

    def drive(rt, run):
        while left:
            left.pop()
            rt.drain()

    with pytest.raises(RuntimeError, match="does not do the same every time"):
        list(crash_everywhere(worker, None, drive=drive))
