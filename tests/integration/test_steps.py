"""What `ctx.step` promises: API.md, 'Steps'."""

import asyncio
import dataclasses
import decimal
import enum
import uuid
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from lambda_durable import (
    AsyncContext,
    ConfigurationError,
    Context,
    Durable,
    Retry,
    StepError,
    current_step,
)
from tests.flavours import Async, Sync

MODES = [1, 3, "all", "auto"]
START = datetime(2025, 1, 1, tzinfo=UTC)


@pytest.fixture(params=MODES, ids=str)
def mode(request):
    return request.param


@pytest.fixture(params=[Sync(), Async()], ids=lambda flavour: flavour.name)
def flavour(request):
    return request.param


class Log(list[Any]):
    """Functions for steps, and what was called."""

    def double(self, x):
        self.append(x)
        return x * 2

    def fail(self, x=None):
        self.append(x)
        raise ValueError(f"no {x}")

    def fail_on(self, *bad):
        def fn(x):
            self.append(x)
            if x in bad:
                raise ValueError(f"no {x}")
            return x

        return fn


@pytest.fixture
def log():
    return Log()


@pytest.fixture
def app():
    return Durable("t", retry=Retry.fixed("1s", 2))


def nothing(*_):
    """A body without steps."""
    return None
    yield


def seconds(run, step_id):
    """When a step began and ended, in seconds from the start."""
    step = run.steps[step_id]
    return ((step.started_at - START).total_seconds(), (step.ended_at - START).total_seconds())


# run


def test_run_hands_arguments_over_and_its_result_back(durable, app, flavour, mode):
    def fn(a, b, *, c):
        return [a, b, c]

    def body(ctx):
        return (yield ctx.step.run("x", fn, 1, 2, c=3))

    run = durable(app, steps_per_invocation=mode).run(flavour.function(app, body))
    assert (run.status, run.output) == ("completed", [1, 2, 3])
    step = run.steps["x"]
    assert (step.id, step.kind, step.status, step.output, step.attempts) == (
        "x",
        "run",
        "completed",
        [1, 2, 3],
        1,
    )
    assert step.started_at == START
    assert step.ended_at == START


def test_a_steps_own_keywords_may_be_named_id_and_fn(durable, app, flavour):
    def fn(*, id, fn, self):
        return [id, fn, self]

    def body(ctx):
        return (yield ctx.step.run("x", fn, id=1, fn=2, self=3))

    assert durable(app).run(flavour.function(app, body)).output == [1, 2, 3]


def test_a_committed_step_is_never_run_again(durable, app, log, flavour, mode):
    def body(ctx):
        a = yield ctx.step.run("a", log.double, 1)
        b = yield ctx.step.run("b", log.double, a)
        c = yield ctx.step.run("c", log.double, b)
        return [a, b, c]

    run = durable(app, steps_per_invocation=mode).run(flavour.function(app, body))
    assert run.output == [2, 4, 8]
    assert log == [1, 2, 4]
    assert list(run.steps) == ["a", "b", "c"]


def test_an_async_handler_runs_sync_and_async_functions(durable, app, mode):
    async def slowly(x):
        await asyncio.sleep(0)
        return x + 1

    @app.function("f")
    async def f(ctx: AsyncContext) -> list[int]:
        return [await ctx.step.run("a", slowly, 1), await ctx.step.run("b", lambda: 5)]

    assert durable(app, steps_per_invocation=mode).run(f).output == [2, 5]


def test_an_async_function_handed_to_a_sync_step_is_an_error_at_the_call(durable, app):
    async def fn():
        return 1

    caught = []

    @app.function("f")
    def f(ctx: Context) -> None:
        for call in (
            lambda: ctx.step.run("x", fn),
            lambda: ctx.step.submit("x", fn),
            lambda: ctx.step.map("x", fn, [1]),
            lambda: ctx.step.parallel("x", fn),
            lambda: ctx.step.group("x", fn),
            lambda: ctx.step.map_group("x", fn, [1]),
        ):
            with pytest.raises(ConfigurationError, match="async"):
                call()
            caught.append(1)

    run = durable(app).run(f)
    assert run.status == "completed", run.error
    assert len(caught) == 6


@dataclasses.dataclass
class Point:
    x: int
    when: datetime


class Colour(enum.Enum):
    RED = "red"


class Model(BaseModel):
    n: int
    d: decimal.Decimal


VALUES = [
    None,
    {"a": [1, 2.5, "x", True, None]},
    datetime(2025, 2, 3, 4, 5, 6, 789, tzinfo=UTC),
    date(2025, 2, 3),
    timedelta(days=3, microseconds=1),
    decimal.Decimal("1.10"),
    uuid.UUID(int=5),
    b"\x00\xff",
    (1, (2, "x")),
    {1, 2},
    frozenset({"a"}),
    Colour.RED,
    Point(1, datetime(2025, 1, 1, tzinfo=UTC)),
    Model(n=1, d=decimal.Decimal("2.50")),
    {1: "a", (1, 2): "b"},
    {"$": "error", "v": 1},
    [float("inf"), float("-inf")],
    [{"deep": (1, {2})}],
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_is_the_same_on_the_first_run_as_on_every_replay(durable, app, flavour, value):
    seen = []

    def body(ctx):
        got = yield ctx.step.run("x", lambda: value)
        seen.append(got)
        yield ctx.step.run("y", lambda: 0)
        yield ctx.step.sleep("s", "1h")

    run = durable(app, steps_per_invocation=1).run(flavour.function(app, body))
    assert run.status == "completed", run.error
    assert len(seen) >= 3
    assert all(got == value and type(got) is type(value) for got in seen)


def test_a_value_in_a_map_a_group_and_a_parallel_comes_back_as_it_was(durable, app, mode):
    @app.function("f")
    def f(ctx: Context):
        mapped = ctx.step.map("m", lambda n: VALUES[n], range(len(VALUES)))
        parallel = ctx.step.parallel("p", lambda: VALUES, lambda: ctx.step.run("x", lambda: VALUES))
        grouped = ctx.step.group("g", lambda: VALUES)
        ctx.step.sleep("s", "1h")
        assert mapped == VALUES
        assert parallel == (VALUES, VALUES)
        assert grouped == VALUES
        return grouped

    run = durable(app, steps_per_invocation=mode).run(f)
    assert run.status == "completed", run.error
    assert run.output == VALUES


def test_a_result_is_what_the_annotation_says_from_the_first_run_on(durable, app, flavour, mode):
    def model() -> Model:
        return Model(n=7, d=decimal.Decimal("1.5"))

    seen = []

    def body(ctx):
        got = yield ctx.step.run("x", model)
        seen.append(got)
        yield ctx.step.sleep("s", "1h")

    run = durable(app, steps_per_invocation=mode).run(flavour.function(app, body))
    assert run.status == "completed", run.error
    assert set(map(type, seen)) == {Model}
    assert seen[0] == seen[-1] == Model(n=7, d=decimal.Decimal("1.5"))


def test_a_dict_becomes_the_model_that_the_annotation_says(durable, app, flavour, mode):
    def model() -> Model:
        return {"n": 7, "d": "1.5"}

    seen = []

    def body(ctx):
        seen.append((yield ctx.step.run("x", model)))
        yield ctx.step.sleep("s", "1h")

    run = durable(app, steps_per_invocation=mode).run(flavour.function(app, body))
    assert run.status == "completed", run.error
    assert len(seen) >= 2
    assert all(got == Model(n=7, d=decimal.Decimal("1.5")) for got in seen)


def test_a_dict_that_the_model_refuses_fails_the_step_at_once_naming_the_field(durable, app, flavour, mode):
    calls = []

    def model() -> Model:
        calls.append(0)
        return {"n": "many", "d": "1.5"}

    def body(ctx):
        return (yield ctx.step.run("x", model))

    run = durable(app, steps_per_invocation=mode).run(flavour.function(app, body))
    assert (run.status, run.error.type, run.error.step_id) == (
        "failed",
        "lambda_durable.errors.SerializationError",
        "x",
    )
    assert "n: Input should be a valid integer" in run.error.message
    assert calls == [0]


def test_the_result_is_a_copy_as_on_a_replay(durable, app, flavour):
    kept = [1]

    def body(ctx):
        got = yield ctx.step.run("x", lambda: kept)
        got.append(2)
        return got

    assert durable(app, steps_per_invocation="all").run(flavour.function(app, body)).output == [1, 2]
    assert kept == [1]


def test_model_option_overrides_the_annotation(durable, app, flavour):
    def fn() -> dict:
        return {"n": 1, "d": "2"}

    def body(ctx):
        got = yield ctx.step.options(model=Model).run("x", fn)
        many = yield ctx.step.options(model=Model).map("m", lambda _: fn(), [1])
        yield ctx.step.sleep("s", "1s")
        assert type(got) is Model
        return [type(got).__name__, type(many[0]).__name__]

    run = durable(app).run(flavour.function(app, body))
    assert run.output == ["Model", "Model"], run.error


# submit and wait


def test_submitted_steps_run_side_by_side(durable, app, log, mode):
    @app.function("f")
    def f(ctx: Context) -> list[int]:
        futures = [ctx.step.submit(f"x{n}", log.double, n) for n in range(4)]
        return [future.result() for future in futures]

    rt = durable(app, steps_per_invocation=mode)
    for n in range(4):
        rt.stub(f"x{n}", takes="10s")
    run = rt.run(f)
    assert run.output == [0, 2, 4, 6]
    assert sorted(log) == [0, 1, 2, 3]
    assert rt.now() - START == timedelta(seconds=10)


def test_a_submitted_step_starts_although_nobody_waits_for_it_yet(durable, app, mode):
    @app.function("f")
    def f(ctx: Context) -> int:
        future = ctx.step.submit("x", lambda: 1)
        ctx.step.sleep("s", "10s")
        return future.result()

    rt = durable(app, steps_per_invocation=mode)
    rt.stub("x", takes="10s")
    assert rt.run(f).output == 1
    assert rt.now() - START == timedelta(seconds=10)


def test_done_is_remembered(durable, app, mode):
    seen = []

    @app.function("f")
    def f(ctx: Context) -> list[bool]:
        future = ctx.step.submit("x", lambda: 1)
        answers = [future.done()]
        ctx.step.sleep("s", "5s")
        answers.append(future.done())
        ctx.step.sleep("s2", "10s")
        answers.append(future.done())
        future.result()
        answers.append(future.done())
        seen.append(answers)
        ctx.step.run("last", lambda: None)
        return answers

    rt = durable(app, steps_per_invocation=mode)
    rt.stub("x", takes="10s")
    run = rt.run(f)
    assert run.output == [False, False, True, True]
    assert all(answers == run.output for answers in seen)


def test_result_of_a_failed_step_raises_each_time(durable, app, log, mode):
    @app.function("f")
    def f(ctx: Context) -> int:
        future = ctx.step.submit("x", log.fail, 1)
        caught = 0
        for _ in range(2):
            try:
                future.result()
            except StepError as error:
                assert error.step_id == "x"
                caught += 1
        assert future.done()
        return caught

    assert durable(app, steps_per_invocation=mode).run(f).output == 2
    assert log == [1, 1]


def test_wait_gives_tuples_in_submission_order(durable, app, mode):
    @app.function("f")
    def f(ctx: Context) -> list[list[str]]:
        futures = [ctx.step.submit(f"x{n}", lambda: None) for n in range(3)]
        done, rest = ctx.step.wait(futures, return_when="FIRST_COMPLETED")
        all_done, none = ctx.step.wait(futures)
        assert type(done) is type(rest) is type(all_done) is tuple
        assert none == ()
        names = {future: f"x{n}" for n, future in enumerate(futures)}
        return [[names[future] for future in part] for part in (done, rest, all_done)]

    rt = durable(app, steps_per_invocation=mode)
    for n, takes in enumerate(["30s", "10s", "20s"]):
        rt.stub(f"x{n}", takes=takes)
    assert rt.run(f).output == [["x1"], ["x0", "x2"], ["x0", "x1", "x2"]]


def test_first_exception_returns_at_the_first_failure(durable, mode):
    app = Durable("t", retry=Retry.never())

    def fail():
        raise ValueError

    @app.function("f")
    def f(ctx: Context) -> list[list[int]]:
        futures = [
            ctx.step.submit("a", lambda: 1),
            ctx.step.submit("b", fail),
            ctx.step.submit("c", lambda: 1),
        ]
        done, rest = ctx.step.wait(futures, return_when="FIRST_EXCEPTION")
        return [[futures.index(x) for x in done], [futures.index(x) for x in rest]]

    rt = durable(app, steps_per_invocation=mode)
    for id, takes in [("a", "10s"), ("b", "20s"), ("c", "30s")]:
        rt.stub(id, takes=takes)
    assert rt.run(f).output == [[0, 1], [2]]


def test_waiting_for_nothing_is_at_once(durable, app):
    @app.function("f")
    def f(ctx: Context) -> list[int]:
        a = ctx.step.wait([])
        b = ctx.step.wait([], return_when="FIRST_COMPLETED")
        return [len(a[0]), len(b[1])]

    assert durable(app).run(f).output == [0, 0]


def test_an_unknown_return_when_is_an_error(durable, app):
    @app.function("f")
    def f(ctx: Context) -> None:
        ctx.step.wait([], return_when="SOMETIME")  # type: ignore[arg-type]

    run = durable(app).run(f)
    assert run.status == "failed"
    assert run.error.type == "lambda_durable.errors.ConfigurationError"


def test_an_async_step_has_no_submit_wait_or_parallel(durable, app):
    @app.function("f")
    async def f(ctx: AsyncContext) -> list[bool]:
        return [hasattr(ctx.step, name) for name in ("submit", "wait", "parallel")]

    assert durable(app).run(f).output == [False, False, False]


# map


def test_map_names_its_items_by_place(durable, app, log, flavour, mode):
    def body(ctx):
        return (yield ctx.step.map("m", log.double, [5, 6, 7]))

    run = durable(app, steps_per_invocation=mode).run(flavour.function(app, body))
    assert run.output == [10, 12, 14]
    assert {id: step.kind for id, step in run.steps.items()} == {
        "m": "map",
        "m[0]": "run",
        "m[1]": "run",
        "m[2]": "run",
    }
    assert all(step.status == "completed" for step in run.steps.values())
    assert run.steps["m[1]"].output == 12
    assert sorted(log) == [5, 6, 7]


def test_map_names_its_items_by_key(durable, app, log, flavour, mode):
    def body(ctx):
        return (yield ctx.step.map("m", log.double, ["x", "a/b", "[:%]"], key=lambda item: item))

    run = durable(app, steps_per_invocation=mode).run(flavour.function(app, body))
    assert run.output == ["xx", "a/ba/b", "[:%][:%]"]
    assert set(run.steps) == {"m", "m[x]", "m[a%2Fb]", "m[%5B%3A%25%5D]"}


@pytest.mark.parametrize("key", [lambda _: "same", lambda _: "", lambda n: n, lambda _: "x" * 257])
def test_a_bad_key_is_an_error(durable, app, flavour, key):
    def body(ctx):
        yield ctx.step.map("m", lambda x: x, [1, 2], key=key)

    run = durable(app).run(flavour.function(app, body))
    assert run.status == "failed"
    assert run.error.type == "lambda_durable.errors.ConfigurationError"
    assert "'m'" in run.error.message


def test_an_empty_map_is_an_empty_list(durable, app, flavour, mode):
    def body(ctx):
        a = yield ctx.step.map("m", lambda x: x, [])
        b = yield ctx.step.map_group("g", flavour.code(nothing), [])
        return [a, b]

    rt = durable(app, steps_per_invocation=mode)
    run = rt.run(flavour.function(app, body))
    assert (run.status, run.output) == ("completed", [[], []]), run.error
    assert run.steps["m"].status == "completed"


def test_an_empty_parallel_is_an_empty_tuple(durable, app, mode):
    @app.function("f")
    def f(ctx: Context) -> bool:
        return ctx.step.parallel("p") == ()

    run = durable(app, steps_per_invocation=mode).run(f)
    assert run.output is True, run.error


def test_map_items_may_come_from_an_iterator(durable, app, log, flavour):
    def body(ctx):
        return (yield ctx.step.map("m", log.double, (n for n in range(3))))

    assert durable(app).run(flavour.function(app, body)).output == [0, 2, 4]


def in_flight(run, prefix="m["):
    """The most steps in flight at one moment."""
    spans = [(s.started_at, s.ended_at) for id, s in run.steps.items() if id.startswith(prefix)]
    return max(sum(a <= t < b for a, b in spans) for t, _ in spans)


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 20])
def test_a_map_has_never_more_in_flight_than_its_limit_and_never_idles(durable, app, flavour, mode, limit):
    takes = [7, 1, 3, 9, 2, 2, 5, 1]

    def body(ctx):
        return (yield ctx.step.map("m", lambda n: n, range(8), max_concurrency=limit))

    rt = durable(app, steps_per_invocation=mode)
    for n, span in enumerate(takes):
        rt.stub(f"m[{n}]", takes=f"{span}s")
    run = rt.run(flavour.function(app, body))
    assert run.output == list(range(8))
    # when a work-conserving pool of `limit` would be done, and when each item would begin
    free = [0] * limit
    begins = []
    for span in takes:
        free.sort()
        begins.append(free[0])
        free[0] += span
    assert in_flight(run) <= limit
    assert [seconds(run, f"m[{n}]")[0] for n in range(8)] == begins
    assert (run.ended_at - START).total_seconds() == max(free)


def test_a_slow_item_of_a_wide_map_holds_up_none_of_the_others(durable, app, mode):
    # more lanes than one pool of the store has: each pool serves its own share of the items, so one may begin
    # a turn later than with a single pool, and none waits for the slow ones
    @app.function("f")
    def f(ctx: Context) -> int:
        return len(ctx.step.map("m", lambda n: n, range(150), max_concurrency=100))

    rt = durable(app, steps_per_invocation=mode)
    rt.stub("m", takes="10s")
    for n in range(50):
        rt.stub(f"m[{n}]", takes="100s")
    run = rt.run(f)
    assert run.output == 150
    assert (run.ended_at - START).total_seconds() == 100
    assert max(seconds(run, f"m[{n}]")[0] for n in range(100, 150)) <= 20
    assert in_flight(run) <= 100


def test_return_exceptions_gives_step_errors_in_the_list(durable, app, log, flavour, mode):
    seen = []

    def body(ctx):
        got = yield ctx.step.map("m", log.fail_on(1, 3), range(4), return_exceptions=True)
        seen.append(got)
        yield ctx.step.sleep("s", "1h")
        assert isinstance(got[1], StepError)
        return [
            got[0],
            got[1].step_id,
            got[1].error_type,
            got[1].message,
            got[1].attempts,
            got[2],
            got[3].step_id,
        ]

    run = durable(app, steps_per_invocation=mode).run(flavour.function(app, body))
    assert run.output == [0, "m[1]", "ValueError", "no 1", 2, 2, "m[3]"], run.error
    assert sorted(log) == [0, 1, 1, 2, 3, 3]
    assert all(got == seen[0] for got in seen)


@pytest.mark.parametrize("limit", [None, 2])
def test_the_lowest_failed_items_error_is_raised(durable, log, flavour, mode, limit):
    app = Durable("t", retry=Retry.never())

    def body(ctx):
        try:
            yield ctx.step.map("m", log.fail_on(1, 2), range(3), max_concurrency=limit)
        except StepError as error:
            return [error.step_id, error.error_type, error.message, error.attempts]

    rt = durable(app, steps_per_invocation=mode)
    rt.stub("m[0]", takes="1s")
    rt.stub("m[1]", takes="9s")
    rt.stub("m[2]", takes="5s")
    run = rt.run(flavour.function(app, body))
    # with a limit of 2, item 2 begins at second 1 and fails at 6, item 1 at 9: both ran
    assert run.output == ["m[1]", "ValueError", "no 1", 1], run.error
    assert run.steps["m"].status == "failed"


def test_after_a_failure_nothing_new_starts_and_what_runs_finishes(durable, log, flavour, mode):
    app = Durable("t", retry=Retry.never())

    def body(ctx):
        yield ctx.step.map("m", log.fail_on(1), range(6), max_concurrency=2)

    rt = durable(app, steps_per_invocation=mode)
    rt.stub("m[0]", takes="10s")
    rt.stub("m[1]", takes="3s")
    run = rt.run(flavour.function(app, body))
    assert run.status == "failed"
    assert (run.error.type, run.error.step_id) == ("ValueError", "m[1]")
    assert sorted(log) == [0, 1]
    assert run.steps["m[0]"].status == "completed"
    assert set(run.steps) == {"m", "m[0]", "m[1]"}
    assert (run.ended_at - START).total_seconds() == 10


def test_in_a_map_that_fails_an_item_that_waits_for_its_retry_counts_as_running(durable, flavour, mode):
    app = Durable("t", retry=Retry.fixed("60s", 2))
    calls = []

    def fn(n):
        calls.append(n)
        if n == 0 and calls.count(0) == 1:
            raise ValueError("again")
        if n == 1:
            raise ValueError("twice")
        return n

    def body(ctx):
        yield ctx.step.map("m", fn, range(5), max_concurrency=2)

    rt = durable(app, steps_per_invocation=mode)
    rt.stub("m[0]", takes="10s")
    run = rt.run(flavour.function(app, body))
    assert run.status == "failed"
    assert run.error.step_id == "m[1]"
    assert (run.steps["m[0]"].status, run.steps["m[0]"].attempts) == ("completed", 2)
    assert sorted(calls) == [0, 0, 1, 1]


@pytest.mark.parametrize("change", ["item", "longer", "shorter", "order"])
def test_a_list_that_changed_between_replays_is_a_determinism_error(durable, app, flavour, mode, change):
    items = [1, 2, 3]

    def body(ctx):
        got = yield ctx.step.map("m", lambda n: n, list(items))
        yield ctx.step.sleep("s", "1h")
        return got

    rt = durable(app, steps_per_invocation=mode)
    function = flavour.function(app, body)
    id = rt.start(function).run_id
    rt.advance("1m")
    items[:] = {"item": [1, 2, 4], "longer": [1, 2, 3, 4], "shorter": [1, 2], "order": [3, 2, 1]}[change]
    rt.drain()
    run = rt.get(id)
    assert run.status == "failed"
    assert run.error.type == "lambda_durable.errors.DeterminismError"
    assert "'m'" in run.error.message
    assert "key=" in run.error.message


def test_a_list_with_keys_may_change_between_replays(durable, app, log, flavour, mode):
    items = ["a", "b"]

    def body(ctx):
        got = yield ctx.step.map("m", log.double, list(items), key=str)
        yield ctx.step.sleep("s", "1h")
        return got

    rt = durable(app, steps_per_invocation=mode)
    id = rt.start(flavour.function(app, body)).run_id
    rt.advance("1m")
    items[:] = ["b", "a"]
    rt.drain()
    run = rt.get(id)
    assert run.status == "completed", run.error
    assert run.output == ["bb", "aa"]
    assert sorted(log) == ["a", "b"]


def test_a_repeated_map_is_numbered_before_its_items(durable, app, flavour, mode):
    def body(ctx):
        yield ctx.step.map("m", lambda n: n, [1])
        yield ctx.step.map("m", lambda n: n, [2, 3])
        yield ctx.step.run("m", lambda: 4)

    run = durable(app, steps_per_invocation=mode).run(flavour.function(app, body))
    assert set(run.steps) == {"m", "m[0]", "m:1", "m:1[0]", "m:1[1]", "m:2"}


@pytest.mark.parametrize("limit", [0, -1, 1.5, "2", True])
def test_a_bad_limit_is_an_error_at_the_call(durable, app, flavour, limit):
    def body(ctx):
        yield ctx.step.map("m", lambda n: n, [1], max_concurrency=limit)

    run = durable(app).run(flavour.function(app, body))
    assert run.status == "failed"
    assert run.error.type == "lambda_durable.errors.ConfigurationError"


# map_group and parallel


def test_map_group_gives_each_item_a_scope(durable, app, log, flavour, mode):
    def body(ctx):
        def each(n):
            a = yield ctx.step.run("x", log.double, n)
            yield ctx.step.sleep("s", "1h")
            b = yield ctx.step.run("x", log.double, a)
            return b

        return (yield ctx.step.map_group("m", flavour.code(each), [1, 10], key=lambda n: f"k{n}"))

    rt = durable(app, steps_per_invocation=mode)
    run = rt.run(flavour.function(app, body))
    assert run.output == [4, 40], run.error
    inner = {f"m[k{n}]/{x}" for n in (1, 10) for x in ("x", "s", "x:1")}
    assert set(run.steps) == {"m", "m[k1]", "m[k10]"} | inner
    assert run.steps["m"].kind == "map_group"
    assert sorted(log) == [1, 2, 10, 20]
    assert rt.now() - START == timedelta(hours=1)


def test_map_group_keeps_to_its_limit(durable, app, flavour, mode):
    def body(ctx):
        def each(n):
            yield ctx.step.sleep("s", "10s")
            return n

        return (yield ctx.step.map_group("m", flavour.code(each), range(5), max_concurrency=2))

    rt = durable(app, steps_per_invocation=mode)
    run = rt.run(flavour.function(app, body))
    assert run.output == [0, 1, 2, 3, 4], run.error
    assert rt.now() - START == timedelta(seconds=30)


def test_map_group_with_return_exceptions(durable, flavour, mode):
    app = Durable("t", retry=Retry.never())

    def body(ctx):
        def each(n):
            if n == 1:
                yield ctx.step.run("x", lambda: 1 / 0)
            if n == 2:
                raise ValueError("own code")
            return n

        got = yield ctx.step.map_group("m", flavour.code(each), range(4), return_exceptions=True)
        assert isinstance(got[1], StepError)
        assert isinstance(got[2], StepError)
        return [
            got[0],
            got[1].step_id,
            got[1].error_type,
            got[2].step_id,
            got[2].error_type,
            got[2].message,
            got[3],
        ]

    run = durable(app, steps_per_invocation=mode).run(flavour.function(app, body))
    assert run.output == [0, "m[1]/x", "ZeroDivisionError", "m[2]", "ValueError", "own code", 3], run.error


def test_parallel_gives_a_tuple_and_scopes_its_branches(durable, app, log, mode):
    @app.function("f")
    def f(ctx: Context) -> list[Any]:
        def branch(n: int) -> int:
            a = ctx.step.run("x", log.double, n)
            return ctx.step.run("y", log.double, a)

        got = ctx.step.parallel("p", lambda: branch(1), lambda: branch(10), lambda: "plain")
        assert type(got) is tuple
        return list(got)

    run = durable(app, steps_per_invocation=mode).run(f)
    assert run.output == [4, 40, "plain"]
    assert {"p", "p[0]", "p[0]/x", "p[0]/y", "p[1]/x", "p[1]/y", "p[2]"} <= set(run.steps)
    assert sorted(log) == [1, 2, 10, 20]


def test_parallel_branches_overlap_in_time(durable, app, mode):
    @app.function("f")
    def f(ctx: Context) -> Any:
        def branch() -> int:
            ctx.step.run("x", lambda: None)
            ctx.step.run("y", lambda: None)
            return 1

        return ctx.step.parallel("p", branch, branch, branch)

    rt = durable(app, steps_per_invocation=mode)
    for n in range(3):
        rt.stub(f"p[{n}]/x", takes=f"{5 + n}s")
        rt.stub(f"p[{n}]/y", takes=f"{15 - n}s")
    assert rt.run(f).status == "completed"
    assert rt.now() - START == timedelta(seconds=20)


def test_parallel_keeps_to_its_limit(durable, app, mode):
    @app.function("f")
    def f(ctx: Context) -> Any:
        return ctx.step.parallel("p", *[lambda: ctx.step.run("x", lambda: 1)] * 5, max_concurrency=2)

    rt = durable(app, steps_per_invocation=mode)
    for n in range(5):
        rt.stub(f"p[{n}]/x", takes="10s")
    assert rt.run(f).status == "completed"
    assert rt.now() - START == timedelta(seconds=30)


def test_parallel_raises_the_lowest_failed_branchs_error_and_starts_nothing_new(durable, log, mode):
    app = Durable("t", retry=Retry.never())

    @app.function("f")
    def f(ctx: Context) -> list[str]:
        def branch(n: int) -> int:
            return ctx.step.run("x", log.fail_on(1, 2), n)

        try:
            ctx.step.parallel("p", *[lambda n=n: branch(n) for n in range(6)], max_concurrency=3)
        except StepError as error:
            return [error.step_id, error.error_type, error.message]
        return []

    rt = durable(app, steps_per_invocation=mode)
    rt.stub("p[0]/x", takes="30s")
    rt.stub("p[1]/x", takes="20s")
    rt.stub("p[2]/x", takes="10s")
    run = rt.run(f)
    assert run.output == ["p[1]/x", "ValueError", "no 1"]
    assert sorted(log) == [0, 1, 2]
    assert run.steps["p[0]"].status == "completed"
    assert rt.now() - START == timedelta(seconds=30)


def test_parallel_in_parallel_in_map_group(durable, app, mode):
    @app.function("f")
    def f(ctx: Context) -> Any:
        def leaf(n: int) -> int:
            return ctx.step.run("x", lambda: n) + sum(ctx.step.map("m", lambda i: i * n, range(3)))

        def inner(n: int) -> int:
            return sum(ctx.step.parallel("p", lambda: leaf(n), lambda: leaf(n * 10)))

        return [
            *ctx.step.map_group("mg", inner, [1, 2], max_concurrency=1),
            *ctx.step.parallel("p", lambda: inner(3), lambda: ctx.step.group("g", inner, 4)),
        ]

    run = durable(app, steps_per_invocation=mode).run(f)
    assert run.output == [44, 88, 132, 176], run.error
    assert run.steps["mg[1]/p[1]/m[2]"].output == 40
    assert run.steps["p[1]/g/p[0]/x"].output == 4


def test_gathered_steps_run_side_by_side(durable, app, mode):
    @app.function("f")
    async def f(ctx: AsyncContext) -> list[int]:
        async def branch(n: int) -> int:
            a = await ctx.step.run("x", lambda: n)
            return a + await ctx.step.run("y", lambda: n)

        return await asyncio.gather(
            *(ctx.step.run(f"s{n}", lambda n=n: n) for n in range(3)),
            *(ctx.step.group(f"g{n}", branch, n) for n in (1, 2)),
        )

    rt = durable(app, steps_per_invocation=mode)
    for id in ("s0", "s1", "s2", "g1/x", "g1/y", "g2/x", "g2/y"):
        rt.stub(id, takes="10s")
    run = rt.run(f)
    assert run.output == [0, 1, 2, 2, 4], run.error
    assert rt.now() - START == timedelta(seconds=20)


def test_a_task_group_runs_steps_side_by_side_and_cancels_on_failure(durable, mode):
    app = Durable("t", retry=Retry.never())

    @app.function("f")
    async def f(ctx: AsyncContext) -> str:
        try:
            async with asyncio.TaskGroup() as tg:
                tg.create_task(ctx.step.run("slow", lambda: 1))
                tg.create_task(ctx.step.run("bad", lambda: 1 / 0))
        except* StepError as errors:
            found = errors.exceptions[0].step_id
        await ctx.step.run("after", lambda: 1)
        return found

    rt = durable(app, steps_per_invocation=mode)
    rt.stub("slow", takes="100s")
    rt.stub("bad", takes="10s")
    run = rt.run(f)
    assert run.output == "bad", run.error
    assert seconds(run, "after")[0] == 10


# group


def test_a_group_names_its_steps_and_replay_loads_only_its_result(durable, app, log, flavour, mode):
    entered = []

    def body(ctx):
        def inner(n):
            entered.append(n)
            a = yield ctx.step.run("x", log.double, n)
            b = yield ctx.step.run("x", log.double, a)
            return b

        g = yield ctx.step.group("g", flavour.code(inner), 1)
        before = len(entered)
        x = yield ctx.step.run("x", log.double, 100)
        yield ctx.step.sleep("s", "1h")
        assert len(entered) == before
        return [g, x]

    run = durable(app, steps_per_invocation=mode).run(flavour.function(app, body))
    assert run.output == [4, 200], run.error
    assert set(run.steps) == {"g", "g/x", "g/x:1", "x", "s"}
    assert (run.steps["g"].kind, run.steps["g"].output) == ("group", 4)
    assert log == [1, 2, 100]


def test_groups_nest(durable, app, flavour, mode):
    def body(ctx):
        def inner():
            return (yield ctx.step.run("x", lambda: 1)) + 1

        def middle():
            a = yield ctx.step.group("g", flavour.code(inner))
            b = yield ctx.step.group("g", flavour.code(inner))
            c = yield ctx.step.run("x", lambda: 5)
            return [a, b, c]

        return (yield ctx.step.group("g", flavour.code(middle)))

    run = durable(app, steps_per_invocation=mode).run(flavour.function(app, body))
    assert run.output == [2, 2, 5], run.error
    assert set(run.steps) == {"g", "g/g", "g/g/x", "g/g:1", "g/g:1/x", "g/x"}


def test_what_fails_in_a_group_is_raised_outside_as_it_was(durable, log, flavour, mode):
    app = Durable("t", retry=Retry.never())

    def body(ctx):
        def inner():
            yield ctx.step.run("x", log.fail, 1)

        def outer():
            yield ctx.step.group("h", flavour.code(inner))

        try:
            yield ctx.step.group("g", flavour.code(outer))
        except StepError as error:
            yield ctx.step.sleep("s", "1h")
            return [type(error).__name__, error.step_id, error.error_type, error.message, error.attempts]

    run = durable(app, steps_per_invocation=mode).run(flavour.function(app, body))
    assert run.output == ["StepError", "g/h/x", "ValueError", "no 1", 1], run.error
    assert log == [1]


class OwnError(Exception):
    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code


@pytest.mark.parametrize("make", [lambda: ValueError("bad"), lambda: OwnError(7, "x"), lambda: KeyError("k")])
def test_what_a_groups_own_code_raises_is_raised_outside_as_it_was(durable, flavour, mode, make):
    app = Durable("t", retry=Retry.never())
    wanted = make()
    seen = []

    def body(ctx):
        def inner():
            yield ctx.step.run("x", lambda: 1)
            raise make()

        try:
            yield ctx.step.group("g", flavour.code(inner))
        except Exception as error:
            seen.append((type(error), str(error)))
            yield ctx.step.sleep("s", "1h")
            return "caught"

    run = durable(app, steps_per_invocation=mode).run(flavour.function(app, body))
    assert run.output == "caught", run.error
    assert set(seen) == {(type(wanted), str(wanted))}


def test_a_groups_own_error_left_uncaught_fails_the_run_with_its_type(durable, flavour, mode):
    app = Durable("t", retry=Retry.never())

    def body(ctx):
        def inner():
            raise ValueError("bad")
            yield

        yield ctx.step.group("g", flavour.code(inner))

    run = durable(app, steps_per_invocation=mode).run(flavour.function(app, body))
    assert run.status == "failed"
    assert (run.error.type, run.error.message) == ("ValueError", "bad")


def test_code_of_a_group_that_raises_is_retried(durable, app, log, flavour, mode):
    tries = []

    def body(ctx):
        def inner():
            x = yield ctx.step.run("x", log.double, 1)
            tries.append(1)
            if len(tries) == 1:
                raise ValueError("once")
            return x

        return (yield ctx.step.group("g", flavour.code(inner)))

    rt = durable(app, steps_per_invocation=mode)
    run = rt.run(flavour.function(app, body))
    assert run.output == 2, run.error
    assert log == [1]


def test_a_group_whose_code_keeps_raising_is_tried_max_attempts_times(durable, flavour, mode):
    app = Durable("t", retry=Retry.fixed("10s", 3))
    tries = []

    def body(ctx):
        def inner():
            tries.append(1)
            raise ValueError("always")
            yield

        try:
            yield ctx.step.group("g", flavour.code(inner))
        except ValueError as error:
            return str(error)

    rt = durable(app, steps_per_invocation=mode)
    run = rt.run(flavour.function(app, body))
    assert run.output == "always", run.error
    assert len(tries) == 3
    assert rt.now() - START == timedelta(seconds=20)


def test_a_group_without_steps_is_remembered(durable, app, flavour, mode):
    entered = []

    def body(ctx):
        def inner():
            entered.append(1)
            return 5
            yield

        got = yield ctx.step.group("g", flavour.code(inner))
        yield ctx.step.sleep("s", "1h")
        return got

    assert durable(app, steps_per_invocation=mode).run(flavour.function(app, body)).output == 5
    assert len(entered) == 1


# sleep


def test_a_sleep_takes_its_time(durable, app, flavour, mode):
    def body(ctx):
        yield ctx.step.sleep("a", "1h30m")
        yield ctx.step.sleep("b", timedelta(seconds=5))

    rt = durable(app, steps_per_invocation=mode)
    run = rt.run(flavour.function(app, body))
    assert run.status == "completed"
    assert rt.now() - START == timedelta(hours=1, minutes=30, seconds=5)
    assert run.steps["a"].status == "completed"
    assert run.steps["a"].kind == "sleep"
    assert seconds(run, "a") == (0, 5400)
    assert run.ended_at - START == timedelta(seconds=5405)


@pytest.mark.parametrize("duration", ["0s", "1s", "899s", "900s", "901s", "59m", "3d", "364d"])
def test_a_sleep_is_right_to_the_second(durable, app, flavour, duration):
    def body(ctx):
        yield ctx.step.sleep("a", duration)
        return ctx.now().isoformat()

    rt = durable(app, start=datetime(2025, 1, 1, 0, 0, 17, 250000, tzinfo=UTC))
    run = rt.run(flavour.function(app, body))
    wanted = run.created_at + {"s": 1, "m": 60, "d": 86400}[duration[-1]] * timedelta(
        seconds=int(duration[:-1])
    )
    assert timedelta() <= run.ended_at - wanted < timedelta(seconds=1)
    assert datetime.fromisoformat(run.output) == wanted


def test_a_sleeping_run_shows_what_it_waits_for(durable, app, flavour, mode):
    def body(ctx):
        yield ctx.step.sleep("a", "3d")

    rt = durable(app, steps_per_invocation=mode)
    id = rt.start(flavour.function(app, body)).run_id
    rt.advance("1d")
    step = rt.get(id).steps["a"]
    assert rt.get(id).status == "running"
    assert (step.status, step.wake_at) == ("waiting", START + timedelta(days=3))
    assert (step.waiting_for.kind, step.waiting_for.deadline) == ("time", START + timedelta(days=3))


def test_sleep_until_a_time(durable, app, flavour, mode):
    def body(ctx):
        yield ctx.step.sleep_until("a", START + timedelta(days=2))

    rt = durable(app, steps_per_invocation=mode)
    assert rt.run(flavour.function(app, body)).status == "completed"
    assert rt.now() - START == timedelta(days=2)


@pytest.mark.parametrize("when", [START, datetime(1, 1, 2, tzinfo=UTC)], ids=str)
def test_sleeping_until_the_past_is_at_once(durable, app, flavour, mode, when):
    def body(ctx):
        yield ctx.step.sleep_until("a", when)
        yield ctx.step.run("b", lambda: 1)
        return ctx.now().isoformat()

    rt = durable(app, steps_per_invocation=mode)
    run = rt.run(flavour.function(app, body))
    assert run.status == "completed", run.error
    assert rt.now() == START
    assert datetime.fromisoformat(run.output) == START
    assert run.steps["a"].status == "completed"
    assert run.steps["a"].ended_at >= run.steps["a"].started_at


# options and app.step


def test_options_are_a_view_and_leave_the_step_as_it_was(durable, app, log, flavour):
    def body(ctx):
        once = ctx.step.options(retry=Retry.never())
        try:
            yield once.run("a", log.fail, "a")
        except StepError:
            pass
        try:
            yield ctx.step.run("b", log.fail, "b")
        except StepError:
            pass

    durable(app).run(flavour.function(app, body))
    assert log == ["a", "b", "b"]


def test_options_add_up(durable, app, log, flavour):
    def body(ctx):
        step = ctx.step.options(retry=Retry.fixed("1s", 3)).options(model=int)
        try:
            yield step.run("a", log.fail, "a")
        except StepError:
            pass

    durable(app).run(flavour.function(app, body))
    assert log == ["a"] * 3


@pytest.mark.parametrize("method", ["run", "map"])
def test_at_most_once_is_one_attempt_unless_retry_is_given_beside_it(durable, log, flavour, mode, method):
    app = Durable("t", retry=Retry.fixed("1s", 4))

    def body(ctx):
        for id, step in [
            ("a", ctx.step.options(semantics="at_most_once")),
            ("b", ctx.step.options(semantics="at_most_once", retry=Retry.fixed("1s", 3))),
        ]:
            try:
                if method == "run":
                    yield step.run(id, log.fail, id)
                else:
                    yield step.map(id, log.fail, [id])
            except StepError:
                pass

    run = durable(app, steps_per_invocation=mode).run(flavour.function(app, body))
    assert run.status == "completed", run.error
    assert log == ["a", "b", "b", "b"]


@pytest.mark.parametrize("options", [{"retry": 3}, {"semantics": "exactly_once"}, {"model": 3}])
def test_bad_options_are_an_error_at_the_call(durable, app, flavour, options):
    def body(ctx):
        yield ctx.step.options(**options).run("a", lambda: 1)

    run = durable(app).run(flavour.function(app, body))
    assert run.status == "failed"
    assert run.error.type == "lambda_durable.errors.ConfigurationError", run.error.traceback


def test_app_step_makes_a_function_durable_in_a_sync_handler(durable, app, log, mode):
    @app.step
    def charge(amount: int) -> int:
        log.append(amount)
        return amount + 1

    @app.step(id="refund-it", retry=Retry.never())
    def refund(amount: int) -> int:
        log.append(-amount)
        raise ValueError

    @app.function("f")
    def f(ctx: Context) -> int:
        a = charge(1)
        b = charge(amount=a)
        try:
            refund(1)
        except StepError as error:
            assert error.step_id == "refund-it"
        return b

    run = durable(app, steps_per_invocation=mode).run(f)
    assert run.output == 3, run.error
    assert list(run.steps) == ["charge", "charge:1", "refund-it"]
    assert log == [1, 2, -1]
    assert charge(5) == 6
    assert charge.__name__ == "charge"


def test_app_step_makes_an_async_function_durable_in_an_async_handler(durable, app, log, mode):
    @app.step
    async def charge(amount: int) -> int:
        log.append(amount)
        return amount + 1

    @app.function("f")
    async def f(ctx: AsyncContext) -> list[int]:
        a = await charge(1)
        return [a, *await ctx.step.map("m", charge, [10, 20]), await ctx.step.run("again", charge, 5)]

    run = durable(app, steps_per_invocation=mode).run(f)
    assert run.output == [2, 11, 21, 6], run.error
    assert set(run.steps) == {"charge", "m", "m[0]", "m[1]", "again"}
    assert sorted(log) == [1, 5, 10, 20]
    assert asyncio.run(charge(5)) == 6


def test_app_step_handed_to_a_step_is_its_plain_function_with_its_options(durable, log, mode):
    app = Durable("t", retry=Retry.fixed("1s", 5))

    @app.step(retry=Retry.fixed("1s", 2))
    def fail(x: int) -> int:
        log.append(x)
        raise ValueError

    @app.function("f")
    def f(ctx: Context) -> int:
        for call in (
            lambda: ctx.step.run("a", fail, 1),
            lambda: ctx.step.map("b", fail, [2]),
            lambda: ctx.step.submit("c", fail, 3).result(),
        ):
            try:
                call()
            except StepError:
                pass
        return 0

    run = durable(app, steps_per_invocation=mode).run(f)
    assert run.status == "completed", run.error
    assert set(run.steps) == {"a", "b", "b[0]", "c"}
    assert log == [1, 1, 2, 2, 3, 3]


def test_app_step_called_in_a_group_is_a_step_of_the_group(durable, app):
    @app.step
    def charge() -> int:
        return 1

    @app.function("f")
    def f(ctx: Context) -> int:
        return ctx.step.group("g", lambda: charge() + charge())

    assert set(durable(app).run(f).steps) == {"g", "g/charge", "g/charge:1"}


def test_app_step_called_inside_a_step_is_a_nested_step_error(durable, app):
    @app.step
    def inner() -> int:
        return 1

    @app.function("f")
    def f(ctx: Context) -> int:
        return ctx.step.run("outer", lambda: inner())

    run = durable(app).run(f)
    assert run.status == "failed"
    assert run.error.type == "lambda_durable.errors.NestedStepError"


# current_step


def test_current_step_says_which_attempt_of_which_step_it_is(durable, app, flavour, mode):
    seen = []

    def fn(*_):
        info = current_step()
        seen.append((info.run_id, info.step_id, info.attempt, info.idempotency_key))
        assert 0 < info.remaining_time <= 900
        if info.attempt == 1:
            raise ValueError

    def body(ctx):
        yield ctx.step.run("a", fn)
        yield ctx.step.map("m", fn, [1])
        yield ctx.step.group("g", flavour.code(lambda: (yield ctx.step.run("a", fn))))

    run = durable(app, steps_per_invocation=mode).run(flavour.function(app, body))
    assert run.status == "completed", run.error
    assert [s[:3] for s in seen] == [(run.run_id, id, n) for id in ("a", "m[0]", "g/a") for n in (1, 2)]
    keys = [s[3] for s in seen]
    assert keys[0] == keys[1]
    assert keys[2] == keys[3]
    assert len(set(keys)) == 3


def test_current_step_works_in_async_functions(durable, app, mode):
    async def fn():
        await asyncio.sleep(0)
        return current_step().step_id

    @app.function("f")
    async def f(ctx: AsyncContext) -> list[str]:
        return await asyncio.gather(ctx.step.run("a", fn), ctx.step.run("b", fn))

    assert durable(app, steps_per_invocation=mode).run(f).output == ["a", "b"]


def test_current_step_outside_a_step_is_an_error(durable, app, flavour):
    with pytest.raises(ConfigurationError):
        current_step()

    def body(ctx):
        yield ctx.step.run("a", lambda: 1)
        current_step()

    run = durable(app).run(flavour.function(app, body))
    assert run.error.type == "lambda_durable.errors.ConfigurationError"


# ids


def test_a_repeat_is_numbered_across_kinds(durable, app, flavour, mode):
    def body(ctx):
        a = yield ctx.step.run("x", lambda: "a")
        yield ctx.step.sleep("x", "1s")
        b = yield ctx.step.group("x", flavour.code(nothing))
        c = yield ctx.step.run("x", lambda: "c")
        return [a, b, c]

    run = durable(app, steps_per_invocation=mode).run(flavour.function(app, body))
    assert run.output == ["a", None, "c"], run.error
    assert {id: step.kind for id, step in run.steps.items()} == {
        "x": "run",
        "x:1": "sleep",
        "x:2": "group",
        "x:3": "run",
    }


HOSTILE = [
    "x",
    "x:1",
    "x%3A1",
    "g",
    "g/x",
    "g%2Fx",
    "m",
    "m[0]",
    "m[0]/x",
    "m:1[0]",
    "undo/x",
    "/",
    "//",
    "[",
    "]",
    ":",
    "%",
    "#",
    "$",
    "!a",
    ".",
    "..",
    " ",
    "\n",
    "\x00",
    "é",
    "日本",
    "🎉",
    "a" * 256,
    "/" * 256,
    "🎉" * 256,
    "H",
    "__proto__",
]


def test_a_users_id_never_collides_with_a_made_up_path(durable, app, log, flavour, mode):
    def body(ctx):
        got = []
        for id in HOSTILE:
            got.append((yield ctx.step.run(id, log.double, f"<{id}>")))
        got.append((yield ctx.step.run("x", log.double, "second x")))
        yield ctx.step.group("g", flavour.code(lambda: (yield ctx.step.run("x", log.double, "inner"))))
        yield ctx.step.map("m", log.double, ["item"])
        return got

    run = durable(app, steps_per_invocation=mode).run(flavour.function(app, body))
    assert run.status == "completed", run.error
    wanted = [f"<{id}>" for id in HOSTILE] + ["second x", "inner", "item"]
    assert log == wanted
    assert run.output == [text * 2 for text in wanted[:-2]]
    assert len(run.steps) == len(HOSTILE) + 5
    for id in (
        "x:1",
        "x%3A1",
        "x%253A1",
        "g%2Fx",
        "g:1/x",
        "m%5B0%5D",
        "m:1[0]",
        "m%3A1%5B0%5D",
        "%2F",
        "%25",
        "\x00",
    ):
        assert id in run.steps, id


def test_hostile_ids_of_groups_and_keys(durable, app, flavour, mode):
    ids = [id for id in HOSTILE if len(id) < 40][:20]

    def body(ctx):
        for id in ids:
            yield ctx.step.group(id, flavour.code(lambda id=id: (yield ctx.step.run(id, lambda: id))))
        got = yield ctx.step.map("keys", lambda id: id, ids, key=str, max_concurrency=5)
        each = yield ctx.step.map_group(
            "groups", flavour.code(lambda id: (yield ctx.step.run(id, lambda: id))), ids, key=str
        )
        return [got, each]

    run = durable(app, steps_per_invocation=mode).run(flavour.function(app, body))
    assert run.status == "completed", run.error
    assert run.output == [ids, ids]
    assert len(run.steps) == 2 * len(ids) + 1 + len(ids) + 1 + 2 * len(ids)


def test_an_id_is_fixed_when_the_step_is_called_not_when_it_is_awaited(durable, app, mode):
    @app.function("f")
    async def f(ctx: AsyncContext) -> list[str]:
        first, second = ctx.step.run("x", lambda: "first"), ctx.step.run("x", lambda: "second")
        b = await second
        a = await first
        return [a, b]

    run = durable(app, steps_per_invocation=mode).run(f)
    assert run.output == ["first", "second"], run.error
    assert run.steps["x"].output == "first"
    assert run.steps["x:1"].output == "second"


def test_a_step_that_is_never_awaited_runs_nothing_and_the_run_says_so(durable, app, log, mode):
    @app.function("f")
    async def f(ctx: AsyncContext) -> int:
        forgotten = ctx.step.run("x", log.double, 1)
        got = await ctx.step.run("y", log.double, 2)
        assert forgotten is not None
        return got

    run = durable(app, steps_per_invocation=mode).run(f)
    assert run.status == "failed"
    assert "'x' was called and never awaited" in run.error.message
    assert log == [2]


@pytest.mark.parametrize("how", ["closed", "cancelled before it began"])
def test_a_step_that_was_let_go_before_it_was_awaited_was_not_forgotten(durable, app, log, mode, how):
    @app.function("f")
    async def f(ctx: AsyncContext) -> int:
        step = ctx.step.run("x", log.double, 1)
        if how == "closed":
            step.close()
        else:
            asyncio.create_task(step).cancel()
        return await ctx.step.run("y", log.double, 2)

    run = durable(app, steps_per_invocation=mode).run(f)
    assert (run.status, run.output) == ("completed", 4), run.error
    assert log == [2]


# orders


@pytest.mark.parametrize("fast", [0, 1, 2])
def test_a_race_has_the_same_winner_on_every_replay(durable, app, mode, fast):
    seen = []

    @app.function("f")
    def f(ctx: Context) -> int:
        futures = [ctx.step.submit(f"x{n}", lambda: None) for n in range(3)]
        done, _ = ctx.step.wait(futures, return_when="FIRST_COMPLETED")
        winners = [futures.index(future) for future in done]
        seen.append(winners)
        ctx.step.sleep("s", "1h")
        ctx.step.run("last", lambda: None)
        return winners[0]

    rt = durable(app, steps_per_invocation=mode)
    for n in range(3):
        rt.stub(f"x{n}", takes="10s" if n == fast else "20s")
    assert rt.run(f).output == fast
    assert all(winners == [fast] for winners in seen)


@pytest.mark.parametrize("fast", [0, 1, 2])
def test_an_asyncio_race_has_the_same_winner_on_every_replay(durable, app, mode, fast):
    seen = []

    @app.function("f")
    async def f(ctx: AsyncContext) -> int:
        tasks = [asyncio.create_task(ctx.step.run(f"x{n}", lambda: None)) for n in range(3)]
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        winners = [tasks.index(task) for task in done]
        seen.append(winners)
        await ctx.step.sleep("s", "1h")
        await ctx.step.run("last", lambda: None)
        return winners[0]

    rt = durable(app, steps_per_invocation=mode)
    for n in range(3):
        rt.stub(f"x{n}", takes="10s" if n == fast else "20s")
    run = rt.run(f)
    assert run.output == fast, run.error
    assert all(winners == [fast] for winners in seen)


@pytest.mark.parametrize(("takes", "winner"), [("10s", "step"), ("100s", "sleep")])
def test_a_sleep_against_a_step(durable, app, mode, takes, winner):
    @app.function("f")
    async def f(ctx: AsyncContext) -> str:
        step = asyncio.create_task(ctx.step.run("x", lambda: None))
        sleep = asyncio.create_task(ctx.step.sleep("s", "60s"))
        done, _ = await asyncio.wait([step, sleep], return_when=asyncio.FIRST_COMPLETED)
        await ctx.step.sleep("later", "1h")
        return "step" if step in done else "sleep"

    rt = durable(app, steps_per_invocation=mode)
    rt.stub("x", takes=takes)
    run = rt.run(f)
    assert run.output == winner, run.error


def test_as_completed_yields_in_the_order_of_the_outcomes(durable, app, mode):
    @app.function("f")
    async def f(ctx: AsyncContext) -> list[int]:
        async def one(n: int) -> int:
            return await ctx.step.run(f"x{n}", lambda: n)

        got = [await first for first in asyncio.as_completed([one(n) for n in range(4)])]
        await ctx.step.sleep("s", "1h")
        return got

    rt = durable(app, steps_per_invocation=mode)
    for n, takes in enumerate([40, 10, 30, 20]):
        rt.stub(f"x{n}", takes=f"{takes}s")
    run = rt.run(f)
    assert run.output == [1, 3, 2, 0], run.error


def test_side_effects_of_tasks_happen_in_the_same_order_on_every_replay(durable, app, mode):
    seen = []

    @app.function("f")
    async def f(ctx: AsyncContext) -> list[int]:
        order = []

        async def one(n: int) -> None:
            await ctx.step.run(f"x{n}", lambda: None)
            order.append(n)
            await ctx.step.run(f"y{n}", lambda: None)
            order.append(n + 10)

        await asyncio.gather(*(one(n) for n in range(3)))
        seen.append(list(order))
        await ctx.step.sleep("s", "1h")
        await ctx.step.run("z", lambda: None)
        return order

    rt = durable(app, steps_per_invocation=mode)
    for id, takes in [("x0", 30), ("x1", 10), ("x2", 20), ("y0", 5), ("y1", 50), ("y2", 25)]:
        rt.stub(id, takes=f"{takes}s")
    run = rt.run(f)
    assert run.output == [1, 2, 0, 10, 12, 11], run.error
    assert all(order == run.output for order in seen)


# abandoned and cancelled


def test_steps_that_still_pend_when_the_handler_ends_do_not_hold_the_run(durable, app, mode):
    @app.function("f")
    def f(ctx: Context) -> str:
        ctx.step.submit("slow", lambda: 1)
        fast = ctx.step.submit("fast", lambda: "x")
        return fast.result()

    rt = durable(app, steps_per_invocation=mode)
    rt.stub("slow", takes="100s")
    rt.stub("fast", takes="10s")
    run = rt.run(f)
    assert run.output == "x"
    assert run.ended_at - START == timedelta(seconds=10)
    assert run.steps["slow"].status == "cancelled"


def test_a_sleep_that_still_pends_when_the_handler_ends_is_cancelled(durable, app, mode):
    @app.function("f")
    async def f(ctx: AsyncContext) -> str:
        task = asyncio.create_task(ctx.step.sleep("s", "5d"))
        await ctx.step.run("x", lambda: 1)
        assert not task.done()
        return "done"

    rt = durable(app, steps_per_invocation=mode)
    id = rt.start(f).run_id
    rt.advance("1h")
    run = rt.get(id)
    assert (run.status, run.output) == ("completed", "done")
    assert run.steps["s"].status == "cancelled"


def test_a_cancelled_task_abandons_its_step(durable, app, log, mode):
    @app.function("f")
    async def f(ctx: AsyncContext) -> list[str]:
        slow = asyncio.create_task(ctx.step.run("slow", log.double, 1))
        await ctx.step.run("x", lambda: 1)
        slow.cancel()
        try:
            await slow
        except asyncio.CancelledError:
            seen = "cancelled"
        await ctx.step.run("y", lambda: 1)
        return [seen, (await ctx.step.run("slow2", lambda: "ok"))]

    rt = durable(app, steps_per_invocation=mode)
    rt.stub("slow", takes="100s")
    rt.stub("x", takes="10s")
    run = rt.run(f)
    assert run.output == ["cancelled", "ok"], run.error
    assert run.ended_at - START == timedelta(seconds=10)
    assert run.steps["slow"].status == "cancelled"


def test_a_cancelled_group_is_abandoned_with_its_steps(durable, app, log, mode):
    @app.function("f")
    async def f(ctx: AsyncContext) -> str:
        async def inner():
            await ctx.step.run("a", log.double, 1)
            await ctx.step.run("b", log.double, 2)

        group = asyncio.create_task(ctx.step.group("g", inner))
        await ctx.step.run("x", lambda: 1)
        group.cancel()
        await ctx.step.sleep("s", "1h")
        return "ok"

    rt = durable(app, steps_per_invocation=mode)
    rt.stub("g/a", takes="100s")
    rt.stub("x", takes="10s")
    run = rt.run(f)
    assert run.output == "ok", run.error
    assert run.steps["g"].status == "cancelled"
    assert log == [1]


# a changed deployment


def deploy(durable, mode, flavour, first, second, until="1m"):
    """A run that began on `first` and sleeps at `s`, gone on with `second`."""
    old, new = Durable("t", retry=Retry.never()), Durable("t", retry=Retry.never())
    rt = durable(old, steps_per_invocation=mode)
    id = rt.start(flavour.function(old, first)).run_id
    rt.advance(until)
    flavour.function(new, second)
    rt.deploy(new)
    rt.drain()
    return rt.get(id)


def test_a_step_inserted_before_others_runs_and_they_keep_their_results(durable, log, flavour, mode):
    def first(ctx):
        a = yield ctx.step.run("a", log.double, "a")
        yield ctx.step.sleep("s", "1h")
        return [a]

    def second(ctx):
        new = yield ctx.step.run("new", log.double, "new")
        a = yield ctx.step.run("a", log.double, "A")
        yield ctx.step.sleep("s", "1h")
        return [new, a]

    run = deploy(durable, mode, flavour, first, second)
    assert run.output == ["newnew", "aa"], run.error
    assert log == ["a", "new"]


def test_a_removed_step_is_no_error(durable, log, flavour, mode):
    def first(ctx):
        yield ctx.step.run("a", log.double, "a")
        yield ctx.step.run("b", log.double, "b")
        yield ctx.step.sleep("s", "1h")

    def second(ctx):
        b = yield ctx.step.run("b", log.double, "B")
        yield ctx.step.sleep("s", "1h")
        return b

    run = deploy(durable, mode, flavour, first, second)
    assert run.output == "bb", run.error
    assert log == ["a", "b"]


def test_reordered_steps_are_found_by_id(durable, log, flavour, mode):
    def first(ctx):
        yield ctx.step.run("a", log.double, "a")
        yield ctx.step.run("b", log.double, "b")
        yield ctx.step.sleep("s", "1h")

    def second(ctx):
        yield ctx.step.sleep("s", "1h")
        b = yield ctx.step.run("b", log.double, "B")
        a = yield ctx.step.run("a", log.double, "A")
        return [a, b]

    run = deploy(durable, mode, flavour, first, second)
    assert run.output == ["aa", "bb"], run.error
    assert log == ["a", "b"]


def test_a_renamed_step_runs_again(durable, log, flavour, mode):
    def first(ctx):
        yield ctx.step.run("a", log.double, "a")
        yield ctx.step.sleep("s", "1h")

    def second(ctx):
        a = yield ctx.step.run("z", log.double, "z")
        yield ctx.step.sleep("s", "1h")
        return a

    run = deploy(durable, mode, flavour, first, second)
    assert run.output == "zz", run.error
    assert log == ["a", "z"]


def test_a_changed_duration_does_not_change_a_sleep_that_began(durable, flavour, mode):
    def first(ctx):
        yield ctx.step.sleep("s", "1h")

    def second(ctx):
        yield ctx.step.sleep("s", "5h")
        return ctx.now().isoformat()

    run = deploy(durable, mode, flavour, first, second)
    assert run.output == (START + timedelta(hours=1)).isoformat(), run.error


def test_a_handler_may_become_async(durable, log, mode):
    old, new = Durable("t"), Durable("t")

    @old.function("f")
    def f(ctx: Context) -> int:
        a = ctx.step.run("a", log.double, 1)
        ctx.step.sleep("s", "1h")
        return a

    @new.function("f")
    async def g(ctx: AsyncContext) -> int:
        a = await ctx.step.run("a", log.double, 1)
        await ctx.step.sleep("s", "1h")
        return a + 1

    rt = durable(old, steps_per_invocation=mode)
    id = rt.start(f).run_id
    rt.advance("1m")
    rt.deploy(new)
    rt.drain()
    assert rt.get(id).output == 3
    assert log == [1]


@pytest.mark.parametrize("place", ["top", "group"])
def test_a_changed_kind_is_a_determinism_error_that_names_both(durable, flavour, mode, place):
    def inside(ctx, body):
        if place == "top":
            return (yield from body())
        return (yield ctx.step.group("g", flavour.code(body)))

    def first(ctx):
        def body():
            yield ctx.step.run("a", lambda: 1)
            yield ctx.step.sleep("s", "1h")

        yield from inside(ctx, body)

    def second(ctx):
        def body():
            yield ctx.step.sleep("a", "1s")
            yield ctx.step.sleep("s", "1h")

        yield from inside(ctx, body)

    run = deploy(durable, mode, flavour, first, second)
    assert run.status == "failed"
    assert run.error.type == "lambda_durable.errors.DeterminismError"
    path = "a" if place == "top" else "g/a"
    assert f"'{path}'" in run.error.message
    assert "sleep" in run.error.message
    assert "run" in run.error.message


def test_a_raced_step_that_was_removed_is_no_error(durable, mode):
    old, new = Durable("t"), Durable("t")

    def handler(app, ids):
        @app.function("f")
        def f(ctx: Context) -> list[str]:
            futures = {ctx.step.submit(id, lambda: None): id for id in ids}
            done, _ = ctx.step.wait(list(futures), return_when="FIRST_COMPLETED")
            first = [futures[future] for future in done]
            ctx.step.sleep("s", "1h")
            ctx.step.wait(list(futures))
            return first

        return f

    rt = durable(old, steps_per_invocation=mode)
    rt.stub("b", takes="10s")
    rt.stub("c", takes="20s")
    rt.stub("a", takes="15s")
    id = rt.start(handler(old, ["a", "b", "c"])).run_id
    rt.advance("1m")
    handler(new, ["a", "c", "new"])
    rt.deploy(new)
    rt.drain()
    run = rt.get(id)
    assert (run.status, run.output) == ("completed", ["a"]), run.error
