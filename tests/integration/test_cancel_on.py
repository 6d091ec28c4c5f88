"""`CancelOn`: events that cancel a function's runs."""

from __future__ import annotations

import pytest

from lambda_durable import CancelOn, ConfigurationError, Context, Durable, Event, on_event
from lambda_durable.testing import Faults, LocalRuntime


def shop(mode="auto", **options):
    app, told = Durable("shop", steps_per_invocation=mode), []

    @app.function("ship", on_event("ordered"), cancel_on=CancelOn("order.cancelled", **options))
    def ship(ctx: Context[dict]) -> None:
        ctx.step.run("pack", int)
        ctx.step.sleep("wait", "2d")
        ctx.step.run("ship", told.append, ctx.event.data["order"])

    return app, told


def statuses(rt):
    return {rt.get(run.run_id).event.data["order"]: run.status for run in rt.runs("ship")}


def waiters(rt):
    items = rt.aws("dynamodb").scan(TableName="lambda-durable")["Items"]
    return [item for item in items if item["pk"]["S"].startswith("w#") and item["sk"]["S"] != "!"]


@pytest.mark.parametrize("mode", [1, "all", "auto"])
def test_an_event_cancels_the_runs_that_it_matches(durable, mode):
    app, told = shop(mode, match="data.order")
    rt = durable(app)
    rt.send(*(Event("ordered", {"order": order}) for order in "abc"))
    rt.advance("1h")
    rt.send(Event("order.cancelled", {"order": "b"}), Event("order.cancelled", {"order": "x"}))
    rt.drain()

    assert statuses(rt) == {"a": "completed", "b": "cancelled", "c": "completed"}
    assert sorted(told) == ["a", "c"]
    assert waiters(rt) == []


def test_a_condition_chooses(durable):
    app, _ = shop(if_exp="async.data.all || async.data.order == event.data.order")
    rt = durable(app)
    rt.send(*(Event("ordered", {"order": order}) for order in "ab"))
    rt.advance("1h")
    rt.send(Event("order.cancelled", {"all": False, "order": "a"}))
    rt.drain()
    assert statuses(rt) == {"a": "cancelled", "b": "completed"}


def test_it_cancels_in_its_window_only(durable):
    for hours, status in ((1, "cancelled"), (5, "completed")):
        app, _ = shop(match="data.order", timeout="3h")
        rt = durable(app)
        rt.send(Event("ordered", {"order": "a"}))
        rt.advance(f"{hours}h")
        rt.send(Event("order.cancelled", {"order": "a"}))
        rt.drain()
        assert statuses(rt) == {"a": status}


def test_an_event_from_before_the_run_does_not(durable):
    app, _ = shop(match="data.order")
    rt = durable(app)
    rt.send(Event("order.cancelled", {"order": "a"}))
    rt.advance("1h")
    rt.send(Event("ordered", {"order": "a"}))
    rt.drain()
    assert statuses(rt) == {"a": "completed"}


@pytest.mark.parametrize("seed", range(15))
def test_whatever_happens_it_is_cancelled(seed):
    app, told = shop([1, "all", "auto"][seed % 3], match="data.order")
    rt = LocalRuntime(app, faults=Faults() if seed % 2 else Faults(lose=0.3), seed=seed)
    rt.send(Event("ordered", {"order": "a"}), Event("ordered", {"order": "b"}))
    rt.advance("3h")
    rt.send(Event("order.cancelled", {"order": "a"}))
    rt.drain()
    assert statuses(rt) == {"a": "cancelled", "b": "completed"}
    assert set(told) == {"b"}


@pytest.mark.parametrize(
    "make",
    [
        lambda: CancelOn(""),
        lambda: CancelOn("x", match="1 + 1"),
        lambda: CancelOn("x", if_exp="event.data ="),
        lambda: CancelOn("x", if_exp=len),
        lambda: CancelOn("x", timeout=5),
        lambda: Durable("a").function("f", cancel_on=["x"])(lambda ctx: None),
    ],
)
def test_bad_input_is_an_error_at_once(make):
    with pytest.raises(ConfigurationError, match=r"CancelOn|cancel_on"):
        make()
