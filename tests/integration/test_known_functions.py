"""What is told of an app's functions to who does not have its code."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lambda_durable import (
    Batch,
    CancelOn,
    Concurrency,
    ConfigurationError,
    Context,
    Debounce,
    Durable,
    Event,
    Idempotency,
    Priority,
    RateLimit,
    Retry,
    Singleton,
    Throttle,
    Timeouts,
    cron,
    every,
    on_event,
)
from lambda_durable.catalogue import FunctionInfo
from lambda_durable.client import Client
from lambda_durable.runtime.registration import register


@pytest.fixture
def app():
    return Durable("shop")


@pytest.fixture
def deployed(durable):
    """A client without the app, as of a stack that it was deployed to."""

    def deploy(app):
        rt = durable(app)
        world = rt.client._world
        register(app, rt._scheduler, "local", publish=world.store.publish)
        return rt, Client(world=world)

    return deploy


def test_a_client_without_the_app_knows_its_functions_as_they_were_deployed(deployed, app):
    @app.function(
        "checkout",
        [
            on_event("order/*", if_exp="event.data.amount > 3"),
            cron("0 9 * * MON-FRI", timezone="Europe/Paris"),
        ],
        concurrency=[Concurrency(2, key="data.who"), Concurrency(9, scope="app", counts="runs")],
        throttle=Throttle(10, "1m", burst=5),
        retry=Retry(max_attempts=3, initial_delay="1s"),
        timeouts=Timeouts(finish="1h"),
        cancel_on=[CancelOn("order/gone", match="data.id")],
        steps_per_invocation="all",
        version="2",
    )
    def checkout(ctx: Context[dict]) -> None:
        """Takes the money.

        And more.
        """

    @checkout.on_failure
    def sorry(ctx) -> None: ...

    rt, client = deployed(app)
    client.pause("checkout")
    first, second = client.functions()
    assert [first, second] == rt.client.functions()
    assert first == FunctionInfo(
        id="checkout",
        app="shop",
        triggers=("order/* if event.data.amount > 3", "cron 0 9 * * MON-FRI (Europe/Paris)"),
        events=("order/*",),
        limits=(
            "at most 2 steps at once for each data.who",
            "at most 9 runs at once of the app",
            "starts 10 in 1 min, and 5 more at once",
        ),
        cancel_on=("order/gone if same data.id",),
        retry=first.retry,
        steps_per_invocation="all",
        finish_timeout=timedelta(hours=1),
        version="2",
        on_failure="checkout/on_failure",
        handler=first.handler,
        description="Takes the money.",
        paused=True,
    )
    assert (first.retry.max_attempts, first.retry.initial_delay) == (3, timedelta(seconds=1))
    assert first.handler.endswith("<locals>.checkout")
    assert (second.id, second.paused) == ("checkout/on_failure", False)


def test_each_limit_is_told_for_people(deployed, app):
    @app.function(
        "one",
        every("15m"),
        rate_limit=RateLimit(5, "1h", key="data.who"),
        debounce=Debounce("10s", timeout="1m"),
        priority=Priority("data.rank"),
        singleton=Singleton(mode="cancel"),
        idempotency=Idempotency("data.id"),
    )
    def one(ctx) -> None: ...

    @app.function("two", on_event("e"), batch=Batch(10, "5s"))
    def two(ctx) -> None: ...

    _, client = deployed(app)
    one_told, two_told = client.functions()
    assert one_told.triggers == ("every 15m",)
    assert one_told.limits == (
        "skips above 5 in 1 h for each data.who",
        "debounced by 10 s, at most 1 min",
        "priority by data.rank",
        "one at a time, cancels the one before",
        "once in 1 day for each data.id",
    )
    assert two_told.limits == ("batches of 10 or 5 s",)


def test_without_the_app_runs_of_all_functions_are_listed(deployed, app):
    @app.function("f", on_event("e"))
    def f(ctx) -> None: ...

    @app.function("g", on_event("e"))
    def g(ctx) -> None: ...

    rt, client = deployed(app)
    rt.send(Event("e"))
    rt.drain()
    assert {run.function_id for run in client.runs()} == {"f", "g"}
    assert len(client.search(where="true").runs) == 2


def test_where_nothing_was_registered_yet_a_function_has_to_be_named(durable, app):
    client = Client(world=durable(app).client._world)
    assert client.functions() == []
    with pytest.raises(ConfigurationError, match="no deploy of it has registered"):
        list(client.runs())
    assert client.cancel_all("f") == []  # nothing is known to be a slip


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.cancel_all("chekout"),
        lambda client: client.replay("chekout"),
        lambda client: client.queues("chekout"),
        lambda client: client.pause("chekout"),
        lambda client: client.resume("chekout"),
    ],
)
def test_a_slip_in_a_functions_name_is_an_error_that_says_which_there_are(deployed, app, call):
    @app.function("checkout")
    def checkout(ctx) -> None: ...

    _, client = deployed(app)
    with pytest.raises(ConfigurationError, match=r"no function 'chekout'.*there are 'checkout'"):
        call(client)


def test_runs_of_a_function_whose_code_is_gone_are_cancelled_all_the_same(deployed, app):
    @app.function("old", on_event("e"))
    def old(ctx) -> None:
        ctx.step.sleep("nap", "1d")

    rt, client = deployed(app)
    rt.send(Event("e"))
    rt.advance("1s")
    register(Durable("shop"), rt._scheduler, "local", publish=client._world.store.publish)
    assert client.functions() == []
    new = Durable("shop")

    @new.function("new")
    def fresh(ctx) -> None: ...

    register(new, rt._scheduler, "local", publish=client._world.store.publish)
    assert len(client.cancel_all("old")) == 1
