"""AWS's scenarios of parallel branches and maps, as behaviours of `step.parallel`, `map`, `map_group`: see table.py.

Async handlers, whose steps run in parallel with what Python has, show branches by `map_group`.
"""

from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import BeforeValidator, PlainSerializer

from lambda_durable import Retry, StepError

never = Retry.never()
FAN_OUTS = ["parallel", "map", "map_group"]
FAILED = "failed"

Wrapped = Annotated[
    str,
    PlainSerializer(lambda value: {"wrapped": value}),
    BeforeValidator(lambda given: given["wrapped"] if isinstance(given, dict) else given),
]


@pytest.fixture(params=FAN_OUTS)
def fan_out(request, flavour):
    """Calls a function for each of some items: as a step each, or in branches with a step each."""

    def fan_out(ctx, fn, items, **options):
        step = ctx.step.options(retry=never)

        def branch(item):
            def code():
                return (yield step.run("x", fn, item))

            return code

        if request.param == "parallel":
            return flavour.parallel(ctx, "all", *map(branch, items), **options)
        if request.param == "map_group":
            return ctx.step.map_group("all", flavour.code(lambda item: branch(item)()), items, **options)
        return step.map("all", fn, items, **options)

    return fan_out


def tolerant(calls):
    """A function that fails on what begins with "fail"."""

    def fn(item):
        calls.append(item)
        if str(item).startswith("fail"):
            raise ValueError(item)
        return item

    return fn


def shown(results):
    return [FAILED if isinstance(result, StepError) else result for result in results]


@pytest.mark.parametrize("max_concurrency", [1, 2, None])
def test_results_come_in_the_order_of_what_was_given(durable, app, flavour, fan_out, max_concurrency):
    def body(ctx):
        results = yield fan_out(
            ctx, "Hello, {}!".format, ["World", "Kiro", "you"], max_concurrency=max_concurrency
        )
        return list(results)

    rt = durable(app)
    for number, takes in enumerate(["9s", "5s", "1s"]):
        rt.stub(f"all[{number}]", "Hello, {}!".format, takes=takes)
        rt.stub(f"all[{number}]/x", "Hello, {}!".format, takes=takes)
    run = rt.run(flavour.function(app, body))
    assert run.output == ["Hello, World!", "Hello, Kiro!", "Hello, you!"]
    assert {"all", "all[0]", "all[1]", "all[2]"} <= run.steps.keys()
    assert [run.steps[f"all[{n}]"].status for n in range(3)] == ["completed"] * 3


def test_branches_may_return_values_of_any_kind_without_a_step(play, flavour):
    def returns(value):
        def branch():
            return value
            yield

        return branch

    def body(ctx):
        return (yield flavour.parallel(ctx, "p", *map(returns, ["hello", 42, {"k": "v"}])))

    assert play(body).output == ["hello", 42, {"k": "v"}]


def test_an_item_comes_with_its_index(play):
    def body(ctx):
        return (yield ctx.step.map("m", sum, list(enumerate([10, 20, 30]))))

    assert play(body).output == [10, 21, 32]


def test_nothing_to_do_is_done_at_once(play, calls, fan_out):
    def body(ctx):
        return (yield fan_out(ctx, calls.append, []))

    run = play(body)
    assert (run.status, list(run.output), calls) == ("completed", [], [])
    assert list(run.steps) == ["all"]


def test_the_first_failure_stops_what_has_not_begun_and_is_raised(play, calls, fan_out):
    def body(ctx):
        try:
            yield fan_out(ctx, tolerant(calls), ["ok", "fail", "never"], max_concurrency=1)
        except StepError as error:
            yield ctx.step.run("caught", str, error.message)
            raise

    run = play(body)
    assert calls == ["ok", "fail"]
    assert (run.status, run.error.type, run.error.message) == ("failed", "ValueError", "fail")
    assert (run.steps["caught"].output, run.steps["all"].status) == ("fail", "failed")
    assert "all[2]" not in run.steps


@pytest.mark.parametrize(
    "items", [["a", "fail 1", "b"], ["fail 1", "fail 2", "fail 3"], ["fail 1", "b", "c", "d"]]
)
def test_failures_can_stand_among_the_results_of_a_map(play, calls, flavour, items):
    def body(ctx):
        step = ctx.step.options(retry=never)

        def branch(item):
            return (yield step.run("x", tolerant(calls), item))

        plain = yield step.map("m", tolerant(calls), items, return_exceptions=True, max_concurrency=1)
        grouped = yield ctx.step.map_group(
            "g", flavour.code(branch), items, return_exceptions=True, max_concurrency=1
        )
        yield ctx.step.sleep("nap", "1h")
        return [shown(plain), shown(grouped), [item.message for item in plain if isinstance(item, StepError)]]

    run = play(body)
    failed = [item for item in items if item.startswith("fail")]
    expected = [FAILED if item in failed else item for item in items]
    assert (run.status, run.output) == ("completed", [expected, expected, failed])
    assert calls == items * 2  # once each, although the handler was replayed after an hour


@pytest.mark.parametrize("items", [["fail", "fail", "c"], ["a", "b", "c", "d"]])
def test_a_threshold_is_a_loop(play, calls, items):
    """Stops when more than one has failed, or two have succeeded."""

    def body(ctx):
        results = []
        for item in items:
            try:
                results.append((yield ctx.step.options(retry=never).run("x", tolerant(calls), item)))
            except StepError:
                results.append(FAILED)
            if results.count(FAILED) > 1 or len(results) - results.count(FAILED) == 2:
                return results

    assert play(body).output == ([FAILED, FAILED] if "fail" in items else ["a", "b"])
    assert calls == items[:2]


def test_what_is_done_is_not_done_again_while_a_branch_sleeps(play, flavour, calls):
    def body(ctx):
        def first():
            return (yield ctx.step.run("x", lambda: calls.append("x") or "b0"))

        def second():
            yield ctx.step.sleep("nap", "2s")
            return (yield ctx.step.run("y", lambda: calls.append("y") or "b1"))

        by_branch = yield flavour.parallel(ctx, "p", first, second, max_concurrency=1)
        by_item = yield ctx.step.map_group(
            "m", flavour.code(lambda late: second() if late else first()), [False, True], max_concurrency=1
        )
        return [by_branch, by_item]

    run = play(body)
    assert run.output == [["b0", "b1"]] * 2
    assert calls == ["x", "y"] * 2
    assert (run.ended_at - run.created_at).total_seconds() == 4


def test_what_is_done_is_not_done_again_after_a_sleep(play, fan_out, calls):
    def body(ctx):
        results = yield fan_out(ctx, lambda item: calls.append(item) or item.upper(), ["a", "b"])
        yield ctx.step.sleep("nap", "1h")
        return list(results)

    assert play(body).output == ["A", "B"]
    assert sorted(calls) == ["a", "b"]


def test_a_type_says_how_results_are_kept(play, flavour):
    def body(ctx):
        step = ctx.step.options(model=Wrapped)

        def branch():
            return (yield step.run("x", lambda: "b"))

        def whole():
            return (yield ctx.step.run("y", lambda: "w"))

        mapped = yield step.map("m", str, ["x", "y"])
        (branched,) = yield flavour.parallel(ctx, "p", branch)
        polled = yield step.poll("poll", lambda: "e", until=bool, every="1s", timeout="1m")
        grouped = yield step.group("g", flavour.code(whole))
        yield ctx.step.sleep("nap", "1h")
        return [*mapped, branched, polled, grouped]

    run = play(body)
    assert run.output == ["x", "y", "b", "e", "w"]
    kept = {path: run.steps[path].output for path in ("m[0]", "m[1]", "p[0]/x", "poll", "g", "g/y")}
    assert kept == {
        "m[0]": {"wrapped": "x"},
        "m[1]": {"wrapped": "y"},
        "p[0]/x": {"wrapped": "b"},
        "poll": {"wrapped": "e"},
        "g": {"wrapped": "w"},
        "g/y": "w",
    }


def test_a_limit_below_one_is_refused(play, calls, fan_out):
    def body(ctx):
        yield fan_out(ctx, calls.append, [1, 2], max_concurrency=0)

    run = play(body)
    assert (run.status, run.error.type, calls) == ("failed", "lambda_durable.errors.ConfigurationError", [])
    assert "max_concurrency" in run.error.message
    assert run.steps == {}


def test_branches_nest(play, flavour):
    def body(ctx):
        def leaf(value):
            def code():
                return (yield ctx.step.run("x", lambda: value))

            return code

        def outer():
            return (yield flavour.parallel(ctx, "inner", leaf("i1"), leaf("i2"), max_concurrency=1))

        return (yield flavour.parallel(ctx, "outer", outer, max_concurrency=1))

    run = play(body)
    assert run.output == [["i1", "i2"]]
    assert run.steps["outer[0]/inner[1]/x"].output == "i2"


def test_items_may_have_names(play, flavour):
    def body(ctx):
        def branch(item):
            return (yield ctx.step.run("x", lambda: item * 100))

        mapped = yield ctx.step.map("m", lambda item: item * 10, [1, 2], key="item-{}".format)
        grouped = yield ctx.step.map_group(
            "g", flavour.code(branch), [1, 2], key={1: "first", 2: "second"}.get
        )
        return [mapped, grouped]

    run = play(body)
    assert run.output == [[10, 20], [100, 200]]
    assert run.steps["m[item-2]"].output == 20
    assert run.steps["g[second]/x"].output == 200


def test_results_that_are_large_together_come_back(play, fan_out):
    def body(ctx):
        results = yield fan_out(ctx, lambda letter: letter * 150_000, ["a", "b", "c", "d"])
        yield ctx.step.sleep("nap", "1h")
        return [[result[0], len(result)] for result in results]

    assert play(body).output == [[letter, 150_000] for letter in "abcd"]
