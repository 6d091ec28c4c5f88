"""`on_failure`: what runs once a function has failed for good."""

from __future__ import annotations

import logging

import pytest
from pydantic import BaseModel

from lambda_durable import (
    AsyncContext,
    ConfigurationError,
    Context,
    Durable,
    Event,
    Failure,
    NonRetriableError,
    Retry,
    on_event,
)
from lambda_durable.testing import Faults, LocalRuntime, crash_everywhere


class Order(BaseModel):
    number: str
    fails: bool = True


class Shop:
    def __init__(self, mode="auto", handler_fails=0):
        self.app = app = Durable("shop", steps_per_invocation=mode, retry=Retry.fixed("1s", 3))
        self.seen = seen = []
        self.left = handler_fails

        @app.function("sell", on_event("ordered", Order))
        def sell(ctx: Context[Order]) -> str:
            def charge() -> None:
                if ctx.event.data.fails:
                    raise NonRetriableError("the card was declined")

            ctx.step.run("charge", charge)
            return "sold"

        @sell.on_failure
        async def apologize(ctx: AsyncContext[Failure[Order]]) -> str:
            failure = ctx.event.data
            if self.left > 0:
                self.left -= 1
                raise OSError("mail is down")
            order = failure.event.data
            number = order.number if isinstance(order, Order) else order
            await ctx.step.run("mail", seen.append, (number, failure.error.message, failure.error.step_id))
            return failure.run_id

        self.sell, self.apologize = sell, apologize


@pytest.fixture(params=[1, "all", "auto"])
def shop(request):
    return Shop(request.param)


def test_it_runs_once_the_function_has_failed_for_good(durable, shop):
    rt = durable(shop.app)
    failed = rt.run(shop.sell, Order(number="A-1"))

    assert (failed.status, shop.seen) == ("failed", [("A-1", "the card was declined", "charge")])
    (summary,) = rt.runs("sell/on_failure")
    handled = rt.get(summary.run_id)
    assert (handled.status, handled.output) == ("completed", failed.run_id)
    assert handled.event.data["function_id"] == "sell"


def test_it_does_not_run_otherwise(durable, shop):
    rt = durable(shop.app)
    assert rt.run(shop.sell, Order(number="A-1", fails=False)).output == "sold"
    rt._eager = False
    run = rt.start(shop.sell, Order(number="A-2"))
    rt._simulation._step()
    rt.client.cancel(run.run_id)
    rt.drain()

    assert rt.get(run.run_id).status == "cancelled"
    assert list(rt.runs("sell/on_failure")) == []


def test_data_that_the_model_refuses_fails_the_run_and_reaches_the_handler_as_it_came(durable, shop):
    rt = durable(shop.app)
    rt.send(Event("ordered", {"nothing": 1}))
    rt.drain()

    ((data, message, _),) = shop.seen
    assert data == {"nothing": 1}
    assert "number" in message


def test_it_is_retried_as_the_function_is(durable):
    shop = Shop(handler_fails=2)
    durable(shop.app).run(shop.sell, Order(number="A-1"))
    assert len(shop.seen) == 1


def test_one_that_fails_for_good_is_seen_and_starts_nothing_more(durable):
    shop = Shop(handler_fails=99)
    rt = durable(shop.app)
    rt.run(shop.sell, Order(number="A-1"))
    assert {run.function_id: run.status for run in rt.runs()} == {
        "sell": "failed",
        "sell/on_failure": "failed",
    }


@pytest.mark.parametrize("mode", [1, "all"])
def test_a_crash_anywhere_loses_and_repeats_nothing(mode):
    shop = Shop(mode)
    for crash in crash_everywhere(shop.app, shop.sell, Order(number="A-1")):
        assert crash.run.status == "failed", crash.point
        assert 1 <= len(shop.seen) <= (1 if crash.point is None else 2), crash.point
        assert len(list(crash.runtime.runs("sell/on_failure"))) == 1, crash.point
        shop.seen.clear()


@pytest.mark.parametrize("seed", range(15))
def test_whatever_happens_it_runs_once(seed):
    shop = Shop([1, "all", "auto"][seed % 3])
    rt = LocalRuntime(shop.app, faults=Faults(), seed=seed)
    rt.run(shop.sell, Order(number="A-1"))
    assert [run.status for run in rt.runs("sell/on_failure")] == ["completed"]


def test_a_function_has_one(shop):
    with pytest.raises(ConfigurationError, match="two on_failure"):
        shop.sell.on_failure(lambda ctx: None)
    with pytest.raises(ConfigurationError, match="handles failures itself"):
        shop.apologize.on_failure(lambda ctx: None)


def test_the_log_says_which_run_failed_and_nothing_of_what_is_in_it(durable, shop, caplog):
    caplog.set_level(logging.ERROR, logger="lambda_durable.failed_runs")
    run = durable(shop.app).run(shop.sell, Order(number="A-1"))

    (line,) = [record.getMessage() for record in caplog.records]
    assert run.run_id in line
    assert "'charge'" in line
    assert "NonRetriableError" in line
    assert "declined" not in line
