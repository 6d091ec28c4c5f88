"""What users can ask of flow control, and what contradicts itself."""

from __future__ import annotations

import re

import pytest

from lambda_durable import (
    Batch,
    Concurrency,
    ConfigurationError,
    Context,
    Debounce,
    Durable,
    Idempotency,
    Priority,
    RateLimit,
    Singleton,
    Throttle,
    on_event,
)
from lambda_durable.events import Event
from lambda_durable.expressions import ExpressionError


def function(**options: object) -> None:
    app = Durable("t")

    @app.function("f", on_event("e"), **options)  # type: ignore[call-overload, misc]
    def f(ctx: Context[dict[str, str]]) -> None: ...


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Concurrency(0), "Concurrency(limit=): is 1 to 1000, and this is 0"),
        (lambda: Concurrency(-1), "this is -1"),
        (lambda: Concurrency(1001), "1 to 1000"),
        (lambda: Concurrency(True), "expected an integer, got True"),
        (lambda: Concurrency("3"), "expected an integer, got '3'"),  # type: ignore[arg-type]
        (lambda: Concurrency(1, scope="all"), "expected 'function' or 'app', got 'all'"),  # type: ignore[arg-type]
        (lambda: Concurrency(1, counts="calls"), "expected 'steps' or 'runs'"),  # type: ignore[arg-type]
        (lambda: Concurrency(1, key="event.data ==="), "key="),
        (lambda: Throttle(0, "1m"), "Throttle(limit=): is at least 1"),
        (lambda: Throttle(1, "0s"), "Throttle(period=): is a second to 366 days"),
        (lambda: Throttle(1, "400d"), "a second to 366 days"),
        (lambda: Throttle(1, 60), "Throttle(period=)"),  # type: ignore[arg-type]
        (lambda: Throttle(1, "1m", burst=-1), "Throttle(burst=): is at least 0"),
        (lambda: Throttle(2000, "1s"), "more than one a millisecond"),
        (lambda: RateLimit(0, "1m"), "RateLimit(limit=)"),
        (lambda: RateLimit(1, "1ms"), "a second to 366 days"),
        (lambda: Debounce("1m", timeout="30s"), "no less than the period"),
        (lambda: Debounce("500ms"), "a second to 366 days"),
        (lambda: Batch(0, "1m"), "Batch(max_size=)"),
        (lambda: Batch(1001, "1m"), "1 to 1000"),
        (lambda: Batch(10, "0s"), "Batch(timeout=)"),
        (lambda: Singleton(mode="wait"), "expected 'skip' or 'cancel', got 'wait'"),  # type: ignore[arg-type]
        (lambda: Idempotency(None), "what makes two events the same?"),  # type: ignore[arg-type]
        (lambda: Idempotency("data.id", ttl="0s"), "Idempotency(ttl=)"),
        (lambda: Priority("event.data ==="), "Priority(expression=)"),
    ],
)
def test_a_limit_that_makes_no_sense_says_so_when_it_is_made(make: object, says: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(says)):
        make()  # type: ignore[operator]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"concurrency": 3}, "takes Concurrency(...), and this is 3"),
        ({"concurrency": [Concurrency(1)] * 3}, "3 limits of its concurrency, and two are allowed"),
        ({"concurrency": [Concurrency(1), Concurrency(2)]}, "count the same"),
        ({"throttle": RateLimit(1, "1m")}, "throttle= of function 'f' takes a Throttle"),
        ({"batch": Batch(2, "1m"), "debounce": Debounce("1m")}, "batch= and debounce=, which contradict"),
        ({"batch": Batch(2, "1m"), "singleton": Singleton()}, "batch= and singleton="),
        ({"batch": Batch(2, "1m"), "priority": Priority("data.p")}, "batch= and priority="),
        ({"batch": Batch(2, "1m"), "rate_limit": RateLimit(1, "1m")}, "batch= and rate_limit="),
        ({"batch": Batch(2, "1m"), "idempotency": Idempotency("data.id")}, "batch= and idempotency="),
    ],
)
def test_what_contradicts_itself_says_so_when_the_code_is_loaded(
    options: dict[str, object], says: str
) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(says)):
        function(**options)


def test_two_limits_of_steps_and_runs_go_together() -> None:
    function(concurrency=[Concurrency(1), Concurrency(1, counts="runs")], throttle=Throttle(1, "1m"))


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (0, 0),
        (-0.0, 0),
        (1.5, 1.5),
        (600, 600),
        (601, 600),
        (-601, -600),
        (1e308, 600),
        (float("inf"), 600),
        (float("-inf"), -600),
        (10**400, 600),
        (-(10**400), -600),
    ],
)
def test_a_head_start_is_at_most_ten_minutes_either_way(value: float, seconds: float) -> None:
    for expression in ("data.urgent", lambda event: event.data["urgent"]):
        assert Priority(expression).head_start(Event("e", {"urgent": value})) == seconds


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"urgent": float("nan")}, "this is NaN"),
        ({"urgent": True}, "this is bool"),
        ({"urgent": "600"}, "this is str"),
        ({"urgent": None}, "this is NoneType"),
        ({"urgent": [600]}, "this is list"),
        ({"urgent": {}}, "this is dict"),
        ({}, "this is nothing"),
        (7, "this is nothing"),
    ],
)
def test_a_head_start_that_is_no_number_says_what_it_is(data: object, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Priority("data.urgent").head_start(Event("e", data))


@pytest.mark.parametrize(
    "expression", ["event.data.urgent / 0", "int(event.data.text)", lambda event: event.data["gone"]]
)
def test_an_expression_that_fails_says_so(expression: str) -> None:
    with pytest.raises(ExpressionError):
        Priority(expression).head_start(Event("e", {"urgent": 1, "text": "soon"}))
