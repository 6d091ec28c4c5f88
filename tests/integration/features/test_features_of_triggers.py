"""What Inngest has: what starts runs. See test_features.py."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lambda_durable import (
    ConfigurationError,
    Event,
    cron,
    every,
    on_event,
)
from tests.integration.features.helpers import START, give_back_event, outputs


def test_event_triggers_several_per_function(durable, app, make):
    make(give_back_event, on_event("paid", if_exp="event.data.amount > 10"), on_event("shop/*"))
    rt = durable(app)
    for name, amount in [("paid", 5), ("paid", 50), ("shop/opened", 0), ("closed", 0)]:
        rt.send(Event(name, {"amount": amount}))
        rt.advance("1s")
    assert outputs(rt) == [["paid", {"amount": 50}], ["shop/opened", {"amount": 0}]]

    with pytest.raises(ConfigurationError, match="twice"):
        make(give_back_event, on_event("paid"), on_event("paid"), id="g")


def test_cron(durable, app, make):
    def body(ctx):
        return (yield ctx.step.run("time", ctx.event.time.isoformat))

    workdays = make(body, cron("30 9 * * MON-FRI", timezone="Europe/Paris"))
    quarters = make(body, every("6h"), id="quarters")
    rt = durable(app)  # on Wednesday, 1 January 2025
    rt.advance("7d")
    days = (2, 3, 6, 7)
    assert outputs(rt, workdays) == ["2025-01-01T08:30:00+00:00"] + [
        f"2025-01-{day:02}T08:30:00+00:00" for day in days
    ]
    assert len(outputs(rt, quarters)) == 7 * 4


def test_delayed_start(durable, app, make):
    make(give_back_event, on_event("remind"))
    rt = durable(app)
    rt.send(Event("remind", time=START + timedelta(days=40)))
    rt.advance("39d")
    (waiting,) = rt.runs()
    assert waiting.status == "queued"
    rt.advance("1d")
    run = rt.get(waiting.run_id)
    assert (run.status, run.started_at) == ("completed", START + timedelta(days=40))


def test_fan_out(durable, app, make):
    for id in ("mail", "audit", "stock"):
        make(give_back_event, on_event("paid"), id=id)
    make(give_back_event, on_event("refunded"), id="other")
    rt = durable(app)
    rt.send(Event("paid", {"n": 1}))
    rt.drain()
    assert {run.function_id for run in rt.runs(status="completed")} == {"mail", "audit", "stock"}
    assert outputs(rt) == [["paid", {"n": 1}]] * 3


def test_event_id_dedupe(durable, app, make):
    make(give_back_event, on_event("paid"))
    rt = durable(app)
    for _ in range(3):
        rt.send(Event("paid", {}, id="order-7"))
        rt.advance("11h")
    assert len(outputs(rt)) == 1
    rt.send(Event("paid", {}, id="order-7"))  # more than 24 hours after the first
    rt.drain()
    assert len(outputs(rt)) == 2
