import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel, Field

from lambda_durable.errors import ConfigurationError
from lambda_durable.events import Event
from lambda_durable.expressions import (
    LONGEST_EXPRESSION,
    MISSING,
    ExpressionError,
    Source,
    compile_condition,
    compile_expression,
)


class Item(BaseModel):
    sku: str
    price: Decimal = Decimal("1.5")


class Cart(BaseModel):
    items: list[Item]
    placed: datetime = datetime(2025, 1, 2, tzinfo=UTC)
    vip: bool = Field(default=True, alias="is_vip")


TIME = datetime(2025, 1, 1, 12, tzinfo=UTC)


def event(data: Any = None) -> Event[Any]:
    return Event("store/x", {} if data is None else data, id="e1", time=TIME, source="shop")


def value(source: Source, data: Any = None) -> Any:
    return compile_expression(source, "key").evaluate(event(data))


def nested(depth: int) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for _ in range(depth):
        data = {"a": data}
    return data


class TestPaths:
    @pytest.mark.parametrize("prefix", ["", "event."])
    def test_lead_into_the_event(self, prefix: str) -> None:
        data = {"cart": {"sku": "s", "items": [{"n": 1}, {"n": 2}], "größe": None}}

        assert value(f"{prefix}data.cart.sku", data) == "s"
        assert value(f"{prefix}data.cart.items.1.n", data) == 2
        assert value(f"{prefix}data.cart.größe", data) is None
        assert value(f"{prefix}data", data) == data
        assert value(f"{prefix}name") == "store/x"
        assert value(f"{prefix}id") == "e1"
        assert value(f"{prefix}source") == "shop"
        assert value(f"{prefix}time") == "2025-01-01T12:00:00Z"

    @pytest.mark.parametrize(
        ("path", "data"),
        [
            ("data.a", {}),
            ("data.a.b", {"a": None}),
            ("data.a.b", {"a": "text"}),
            ("data.a.2", {"a": [1, 2]}),
            ("data.a.b", {"a": [1, 2]}),
            ("data.a", [1]),
            ("data.upper", "text"),
            ("data.keys", {}),
            ("data.__class__", {}),
            ("name.x", {}),
        ],
    )
    def test_that_lead_nowhere_are_missing(self, path: str, data: Any) -> None:
        assert value(path, data) is MISSING

    def test_missing_is_no_value_of_json(self) -> None:
        assert value("data.a", {"a": None}) is not MISSING
        assert repr(MISSING) == "MISSING"
        assert not MISSING

    def test_lead_into_models_as_their_json(self) -> None:
        data = {"cart": Cart(items=[Item(sku="s")])}

        assert value("data.cart.items.0.price", data) == "1.5"
        assert value("data.cart.placed", data) == "2025-01-02T00:00:00Z"
        assert value("data.cart.is_vip", data) is True
        assert value("data.items.0.sku", Cart(items=[Item(sku="s")])) == "s"

    def test_are_known_by_their_names(self) -> None:
        assert compile_expression("event.data.sku", "match").path == ("data", "sku")
        assert compile_expression("data.sku", "match").path == ("data", "sku")
        assert compile_expression("event.data['sku']", "match").path is None
        assert compile_expression(len, "match").path is None

    @pytest.mark.parametrize("path", ["sku", "customer.id", "event.sku", "event"])
    def test_that_are_not_into_an_event_are_refused(self, path: str) -> None:
        with pytest.raises(ConfigurationError, match=r"^key: .*no path into an event.*write 'event.data\."):
            compile_expression(path, "key")

    def test_need_no_cel_library(self) -> None:
        code = """
import sys
sys.modules["cel"] = None
from lambda_durable.events import Event
from lambda_durable.expressions import compile_expression
assert compile_expression("data.x", "key").evaluate(Event("n", {"x": 1})) == 1
assert "cel.cel" not in sys.modules
"""
        subprocess.run([sys.executable, "-c", code], check=True)


class TestCel:
    @pytest.mark.parametrize(
        ("source", "expected"),
        [
            ("event.data.n + 1", 4),
            ("event.data['order-id']", "o"),
            ("event.name + ':' + event.id + ':' + event.source", "store/x:e1:shop"),
            ("[event.time]", [TIME]),
            ("event.time > timestamp('2024-12-31T00:00:00Z')", True),
            ("has(event.data.missing)", False),
            ("event.data.l.exists(name, name == 'x')", True),
            ("event.data.l.map(data, data + '!')", ["x!"]),
            ("type(event.data.n) == int", True),
            ("'data' in event", True),
            ("1.5", 1.5),
            ("-60", -60),
        ],
    )
    def test_is_evaluated_over_the_event(self, source: str, expected: Any) -> None:
        assert value(source, {"n": 3, "order-id": "o", "l": ["x"]}) == expected

    def test_sees_models_as_their_json(self) -> None:
        assert value("event.data.items[0].price == '1.5' && event.data.is_vip", Cart(items=[Item(sku="s")]))

    @pytest.mark.parametrize("source", ["event.data.vip", "data.vip"])
    def test_a_path_is_a_condition_by_its_truth(self, source: str) -> None:
        condition = compile_condition(source, "if_exp")

        assert condition.holds(event({"vip": True}))
        assert condition.holds(event({"vip": "gold"}))
        assert not condition.holds(event({"vip": 0}))
        assert not condition.holds(event({}))

    def test_runs_in_any_thread(self) -> None:
        condition = compile_condition("event.data.n > 2", "if_exp")
        results: list[bool] = []
        threads = [
            threading.Thread(target=lambda n=n: results.append(condition.holds(event({"n": n}))))
            for n in (1, 2, 3, 4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert sorted(results) == [False, False, True, True]

    def test_sees_the_awaited_event_as_async(self) -> None:
        condition = compile_condition("async.data.n > event.data.n", "if_exp", incoming=True)

        assert condition.holds(event({"n": 1}), event({"n": 2}))
        assert not condition.holds(event({"n": 2}), event({"n": 2}))

    def test_that_does_not_parse_is_refused_with_the_position(self) -> None:
        with pytest.raises(ConfigurationError) as refused:
            compile_condition("event.data.n >>> 3", "if_exp")
        assert (
            str(refused.value)
            == "if_exp: 'event.data.n >>> 3' is no CEL: at character 15, '>' does not belong there"
        )

    @pytest.mark.parametrize(
        ("source", "told"),
        [
            ("event.data.vip &&", "at character 18, it ends too early"),
            ("event.data.x[", "at character 14, it ends too early"),
            ("event.data.a = 1", "at character 14, CEL compares with =="),
            ("event.data.a === 1", "at character 16, CEL compares with =="),
            ("event.data.a ==\n event.data.b @ 2", "at character 15 of line 2, '@' is not CEL's"),
        ],
    )
    def test_what_the_parser_means_is_said_in_one_sentence(self, source: str, told: str) -> None:
        with pytest.raises(ConfigurationError) as refused:
            compile_condition(source, "if_exp")
        assert str(refused.value) == f"if_exp: {source!r} is no CEL: {told}"

    @pytest.mark.parametrize("source", ["(" * 500 + "1" + ")" * 500, "'\ud800' == event.name", "1 +\x00 1"])
    def test_hostile_text_is_refused(self, source: str) -> None:
        with pytest.raises(ConfigurationError, match=r"^key: "):
            compile_expression(source, "key")

    def test_text_that_could_overflow_the_librarys_stack_is_refused(self) -> None:
        with pytest.raises(ConfigurationError, match=f"at most {LONGEST_EXPRESSION} characters"):
            compile_expression("1" + "+1" * 100_000, "key")

    def test_the_longest_text_overflows_no_stack(self) -> None:
        assert value(("1" + "+1" * LONGEST_EXPRESSION)[: LONGEST_EXPRESSION - 1]) == LONGEST_EXPRESSION / 2

    @pytest.mark.parametrize(
        ("source", "hint"),
        [
            ("data.n > 1", "'data', and it sees event only: write 'event.data'"),
            ("evnt.data.n > 1", "'evnt', and it sees event only"),
            ("async.data.n > 1", "'async', and it sees event only"),
            ("event.data.n > 1 && x", "'x'"),
        ],
    )
    def test_an_unknown_variable_is_refused(self, source: str, hint: str) -> None:
        with pytest.raises(ConfigurationError, match=hint):
            compile_condition(source, "if_exp")

    def test_without_its_library_is_refused_with_the_way_to_install_it(self) -> None:
        code = """
import sys
sys.modules["cel"] = None
from lambda_durable.errors import ConfigurationError
from lambda_durable.expressions import compile_expression
try:
    compile_expression("event.data.n + 1", "key")
except ConfigurationError as error:
    assert str(error).startswith("key: ") and 'pip install "lambda-durable[cel]"' in str(error), error
else:
    sys.exit("compiled")
"""
        subprocess.run([sys.executable, "-c", code], check=True)

    def test_loads_its_library_alone(self) -> None:
        code = """
import sys
from lambda_durable.expressions import compile_expression
assert "cel.cel" not in sys.modules
compile_expression("event.data.n + 1", "key")
assert "typer" not in sys.modules and "rich" not in sys.modules
import cel
assert cel.evaluate("1 + 1") == 2
"""
        subprocess.run([sys.executable, "-c", code], check=True)


class TestCallables:
    def test_are_given_the_event(self) -> None:
        assert value(lambda event: event.data["n"] * 2, {"n": 2}) == 4

    def test_are_given_the_awaited_event(self) -> None:
        condition = compile_condition(lambda event: event.data == 2, "if_exp")

        assert condition.holds(event(1), event(2))

    @pytest.mark.parametrize(("result", "holds"), [(1, True), ([], False), (None, False), ("no", True)])
    def test_hold_by_the_truth_of_what_they_give(self, result: object, holds: bool) -> None:
        assert compile_condition(lambda _: result, "if_exp").holds(event()) is holds

    def test_that_are_coroutine_functions_are_refused(self) -> None:
        async def function(_: object) -> bool:
            return True

        class Awaitable:
            async def __call__(self, _: object) -> bool:
                return True

        for source in (function, Awaitable()):
            with pytest.raises(ConfigurationError, match="coroutine function"):
                compile_condition(source, "if_exp")


@pytest.mark.parametrize("compile_", [compile_expression, compile_condition])
@pytest.mark.parametrize("source", ["", "  \n", None, 5, True, b"event", ["event"]])
def test_what_is_no_expression_is_refused_by_name(compile_: Callable[..., object], source: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^what: "):
        compile_(source, "what")


class TestFailures:
    @pytest.mark.parametrize(
        ("source", "data", "error_type"),
        [
            ("event.data.missing + 1", {}, "KeyError"),
            ("event.data.n + 'x'", {"n": 1}, "TypeError"),
            ("event.data.n / 0", {"n": 1}, "ZeroDivisionError"),
            ("event.data.n * 2", {"n": 2**63 - 1}, "OverflowError"),
            ("event.data.s.matches('(')", {"s": ""}, "RuntimeError"),
            ("event.data.s == 'x'", {"s": "\ud800"}, "ValueError"),
            ("event.data.a == 1", nested(100_000), "ValueError"),
            ("data.a", nested(100_000), "ValueError"),
            (lambda event: event.data["x"], {}, "KeyError"),
            (lambda event: sys.exit(1), {}, "SystemExit"),
            (lambda event: (lambda f: f(f))(lambda f: f(f)), {}, "RecursionError"),
            ("event.data.o", {"o": object()}, "pydantic_core._pydantic_core.PydanticSerializationError"),
        ],
    )
    def test_of_any_kind_are_expression_errors(self, source: Source, data: Any, error_type: str) -> None:
        with pytest.raises(ExpressionError, match=r"^key: ") as caught:
            value(source, data)

        assert caught.value.error_type == error_type
        assert caught.value.__cause__ is not None

    def test_show_nothing_of_the_payload(self) -> None:
        def fail(event: Event[Any]) -> None:
            raise ValueError(event.data)

        for source in (fail, "{'a': 1}[event.data]"):
            with pytest.raises(ExpressionError) as caught:
                value(source, "secret")
            assert "secret" not in str(caught.value)

    def test_of_a_panicking_library_are_expression_errors(self) -> None:
        class PanicException(BaseException):
            __module__ = "pyo3_runtime"

        def panic(_: object) -> None:
            raise PanicException("index out of bounds")

        with pytest.raises(ExpressionError, match="PanicException"):
            value(panic)

    def test_exclude_what_stops_the_process(self) -> None:
        def interrupt(_: object) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            value(interrupt)

    def test_include_a_condition_that_is_no_bool(self) -> None:
        condition = compile_condition("event.data.n + 1", "if_exp")

        with pytest.raises(ExpressionError, match="gave int, and a condition is a bool") as caught:
            condition.holds(event({"n": 1}))
        assert caught.value.error_type == "it gave int, and a condition is a bool"  # all that a log has of it

    def test_include_a_truth_that_cannot_be_told(self) -> None:
        class Undecided:
            def __bool__(self) -> bool:
                raise RuntimeError

        with pytest.raises(ExpressionError, match="RuntimeError"):
            compile_condition(lambda _: Undecided(), "if_exp").holds(event())
