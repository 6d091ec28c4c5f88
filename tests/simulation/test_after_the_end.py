"""What comes when a run is over, or has been for so long that it has expired."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lambda_durable import CancelOn, Context, Durable, Timeouts
from lambda_durable.testing import LocalRuntime
from lambda_durable.testing.fakes import SentMessage

TABLE = "lambda-durable"


def items(rt):
    return rt.aws("dynamodb").scan(TableName=TABLE)["Items"]


def waiters(rt):
    """The items of those that wait for an event or a signal."""
    return [
        item
        for item in items(rt)
        if item["pk"]["S"].startswith("s#") or (item["pk"]["S"].startswith("w#") and item["sk"]["S"] != "!")
    ]


def expire(rt):
    """What DynamoDB does to what is past its time."""
    for item in items(rt):
        if "x" in item and int(item["x"]["N"]) < rt.now().timestamp():
            rt.aws("dynamodb").delete_item(TableName=TABLE, Key={"pk": item["pk"], "sk": item["sk"]})


def test_a_wake_for_a_run_that_has_expired_is_no_dead_letter(durable):
    app = Durable("app")

    @app.function("f", timeouts=Timeouts(finish="60d"))
    def function(ctx: Context) -> str:
        ctx.step.submit("never", int)
        return "done"

    rt = durable(app)
    run = rt.start(function)
    rt.advance("50d")
    assert rt.get(run.run_id).status == "completed"
    expire(rt)
    rt.drain()
    assert rt.dead_letters == []


def test_a_start_that_comes_again_after_the_end_leaves_nobody_who_would_cancel(durable):
    app, bodies = Durable("app"), []

    @app.function("f", cancel_on=CancelOn("stop", match="data.n"))
    def function(ctx: Context[dict]) -> str:
        return "done"

    class Noting(LocalRuntime):
        def _deliver(self, delivery, done):
            bodies.append((delivery.body, delivery.message_id))
            super()._deliver(delivery, done)

    rt = Noting(app)
    rt.run(function, {"n": 1})
    rt._queue.copy(SentMessage(*bodies[0], received=1))
    rt.drain()
    assert waiters(rt) == []


def test_a_start_that_takes_longer_than_its_run_leaves_nobody_who_would_cancel(durable):
    app = Durable("app")

    @app.function("f", cancel_on=CancelOn("stop", match="data.n"))
    def function(ctx: Context[dict]) -> str:
        return "done"

    def freeze(process, place):
        if place.startswith(
            "after dynamodb:PutItem"
        ):  # the header is there, and nobody waits for the event yet
            rt._traffic.watch = None
            process.sleep_until(rt._simulation.now + timedelta(seconds=30))

    rt = durable(app)
    rt._traffic.watch = freeze
    run = rt.start(function, {"n": 1})
    rt.advance("1s")
    rt.client.cancel(run.run_id)
    rt.drain()
    assert rt.get(run.run_id).status == "cancelled"
    assert waiters(rt) == []


@pytest.mark.parametrize("kind", ["event", "signal"])
@pytest.mark.parametrize("seconds", [0.5, 30])
def test_a_wait_that_begins_as_its_run_is_cancelled_is_found_by_nobody(durable, kind, seconds):
    app = Durable("app")

    @app.function("f")
    def function(ctx: Context) -> None:
        if kind == "event":
            ctx.step.wait_for_event("w", "go", timeout="1h")
        else:
            ctx.step.wait_for_signal("w", "go", timeout="1h")

    def freeze(process, place):
        if place.startswith("after dynamodb:Query"):  # it has seen a run that goes on
            rt._traffic.watch = None
            process.sleep_until(rt._simulation.now + timedelta(seconds=seconds))

    rt = durable(app)
    rt._traffic.watch = freeze
    run = rt.start(function)
    rt.advance(timedelta(seconds=0.1))
    rt.client.cancel(run.run_id)
    rt.drain()
    assert rt.get(run.run_id).status == "cancelled"
    assert waiters(rt) == []
