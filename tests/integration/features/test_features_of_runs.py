"""What Inngest has: how runs end, and what is seen of them. See test_features.py."""

from __future__ import annotations

import os
from contextlib import contextmanager
from datetime import timedelta

from lambda_durable import (
    CancelOn,
    Durable,
    Event,
    Middleware,
    Retry,
    Timeouts,
    on_event,
)
from lambda_durable.encryption import Encryption, RawKey
from lambda_durable.testing import Faults, crash_everywhere
from tests.integration.features.helpers import START, flaky, give_back_event, seconds


def test_cancel_on(durable, app, make):
    def body(ctx):
        yield ctx.step.sleep("packing", "1d")

    make(body, on_event("ordered"), cancel_on=CancelOn("withdrawn", match="data.order"))
    rt = durable(app)
    rt.send(Event("ordered", {"order": 7}), Event("ordered", {"order": 8}))
    rt.advance("1h")
    rt.send(Event("withdrawn", {"order": 8}))
    rt.drain()
    assert {rt.get(run.run_id).event.data["order"]: run.status for run in rt.runs()} == {
        7: "completed",
        8: "cancelled",
    }


def test_timeouts(durable, app, make):
    def body(ctx):
        yield ctx.step.sleep("nap", "1d")

    run = durable(app).run(make(body, timeouts=Timeouts(finish="2h")))
    assert (run.status, run.error.type, seconds(run)) == (
        "failed",
        "lambda_durable.errors.RunTimeoutError",
        7200,
    )


def test_cancel_one(durable, app, make):
    calls = []

    def body(ctx):
        yield ctx.step.sleep("nap", "1d")
        yield ctx.step.run("after", calls.append, 1)

    rt = durable(app)
    one, other = (rt.start(function) for function in [make(body)] * 2)
    rt.advance("1h")
    assert rt.client.cancel(one.run_id) is True
    rt.drain()
    assert (rt.get(one.run_id).status, rt.get(other.run_id).status) == ("cancelled", "completed")
    assert (rt.client.cancel(one.run_id), calls) == (False, [1])


def test_on_failure(durable, app, make, flavour):
    told = []

    def body(ctx):
        yield ctx.step.options(retry=Retry.never()).run("charge", {}.__getitem__, "card")

    def tell(ctx):
        failure = ctx.event.data
        what = [failure.function_id, failure.run_id, failure.error.type, failure.event.data["order"]]
        yield ctx.step.run("tell", told.append, what)

    failing = make(body, on_event("paid"))
    if flavour.name == "sync":
        failing.on_failure(lambda ctx: flavour.code(tell)(ctx))
    else:

        async def handler(ctx):
            await flavour.code(tell)(ctx)

        failing.on_failure(handler)
    rt = durable(app)
    rt.send(Event("paid", {"order": 7}))
    rt.drain()
    (run,) = rt.runs(failing)
    assert told == [["f", run.run_id, "KeyError", 7]]


class Doubling(Middleware):
    """Doubles what steps return, and keeps a list of runs that ended."""

    def __init__(self):
        self.ended = []

    @contextmanager
    def around_step(self, step):
        yield
        step.result *= 2

    def run_ended(self, run, status, error):
        self.ended.append((run.function_id, status))


def test_middleware(durable, mode, flavour):
    doubling = Doubling()
    app = Durable("shop", steps_per_invocation=mode, middleware=[doubling])

    def body(ctx):
        return (yield ctx.step.run("x", lambda: 21))

    assert durable(app).run(flavour.function(app, body)).output == 42
    assert doubling.ended == [("f", "completed")]


def test_encryption(durable, mode, flavour):
    old, new = RawKey("old", os.urandom(32)), RawKey("new", os.urandom(32))

    def app_with(encryption):
        app = Durable("shop", steps_per_invocation=mode, middleware=encryption)
        return app, flavour.function(app, body)

    def body(ctx):
        first = yield ctx.step.run("x", "a secret of {}".format, ctx.event.data["name"])
        yield ctx.step.sleep("nap", "1d")
        return first

    app, function = app_with(Encryption(old))
    rt = durable(app)
    run = rt.start(function, {"name": "Ada Lovelace"})
    rt.advance("1h")
    kept = repr(rt.aws("dynamodb").scan(TableName="lambda-durable")["Items"])
    assert "'f'" in kept
    assert "secret" not in kept
    assert "Lovelace" not in kept  # three letters turn up by chance in one ciphertext of a hundred

    rt.deploy(app_with(Encryption(new, old_keys=[old]))[0])  # the key was rotated
    rt.drain()
    assert rt.get(run.run_id).output == "a secret of Ada Lovelace"


def test_event_history_run_history_and_trace(durable, app, make):
    def body(ctx):
        yield ctx.step.run("charge", flaky)
        yield ctx.step.sleep("nap", "1h")
        yield ctx.step.run("ship", lambda: "shipped")
        return "done"

    make(body, on_event("paid"))
    rt = durable(app)
    rt.send(Event("paid", {"order": 7}, id="paid-7"))
    rt.drain()
    (summary,) = rt.runs()
    run = rt.get(summary.run_id)
    assert (run.event.id, run.event.data, run.output) == ("paid-7", {"order": 7}, "done")
    trace = {path: (step.kind, step.attempts, step.output) for path, step in run.steps.items()}
    assert trace == {
        "charge": ("run", 3, 3),
        "nap": ("sleep", 0, None),
        "ship": ("run", 1, "shipped"),
    }
    times = [(step.started_at - START, step.ended_at - START) for step in run.steps.values()]
    charged, woke = timedelta(seconds=20), timedelta(seconds=20, hours=1)
    assert times == [(timedelta(0), charged), (charged, woke), (woke, woke)]


def test_search_runs(durable, app, make):
    def body(ctx):
        yield ctx.step.options(retry=Retry.never()).run("check", lambda: 1 // ctx.event.data["amount"])

    checked = make(body, on_event("paid"), labels=lambda event: [f"customer-{event.data['customer']}"])
    make(give_back_event, on_event("paid"), id="other")
    rt = durable(app)
    for customer, amount in [("ann", 1), ("bob", 0), ("ann", 0)]:
        rt.send(Event("paid", {"customer": customer, "amount": amount}))
        rt.advance("1h")

    def found(**filters):
        events = (rt.get(run.run_id).event for run in rt.runs(checked, **filters))
        return [(event.data["customer"], event.data["amount"]) for event in events]

    assert found() == [("ann", 0), ("bob", 0), ("ann", 1)]
    assert found(status="failed") == [("ann", 0), ("bob", 0)]
    assert found(label="customer-ann") == [("ann", 0), ("ann", 1)]
    assert found(since=START + timedelta(minutes=30), until=START + timedelta(minutes=90)) == [("bob", 0)]
    assert len(list(rt.runs())) == 6


def test_test_library(app, make, durable):
    calls = []

    def body(ctx):
        yield ctx.step.sleep("three months", "90d")
        return (yield ctx.step.run("x", calls.append, "really"))

    function = make(body)
    rt = durable(app)
    rt.stub("x", lambda what: f"not {what}", takes="1m")
    run = rt.run(function)
    assert (run.output, calls, seconds(run)) == ("not really", [], 90 * 24 * 3600 + 60)
    assert rt.calls["dynamodb:Query"] > 0
    assert durable(app, faults=Faults(), seed=3).run(function).status == "completed"
    for crash in crash_everywhere(app, function):
        assert crash.run.status == "completed", crash.point
