"""Middleware: what is called when, in which order, and what its own failures do."""

from __future__ import annotations

import base64
import logging
from contextlib import contextmanager
from contextvars import ContextVar

import pytest

from lambda_durable import (
    AsyncContext,
    Client,
    ConfigurationError,
    Context,
    Durable,
    Event,
    Middleware,
    MiddlewareError,
    NonRetriableError,
    Retry,
    RunFailedError,
    on_event,
)
from lambda_durable.runtime.sealing import sealed
from lambda_durable.testing import Faults, LocalRuntime, crash_everywhere

span = ContextVar("span", default="none")


class Traced(Middleware):
    """Writes down what it sees, as `name` does."""

    def __init__(self, lines, name="traced"):
        self.name, self.lines = name, lines

    def write(self, line):
        self.lines.append(f"{self.name}: {line}")

    @contextmanager
    def around_handler(self, replay):
        token = span.set(f"{span.get()}>{self.name}")
        try:
            yield
        finally:
            span.reset(token)
            self.write(f"handler {replay.run.function_id} {replay.status} {replay.result} {replay.error!r}")

    @contextmanager
    def around_step(self, step):
        self.write(f"> {step.step_id} {step.attempt} {step.kind} {list(step.args)} {dict(step.kwargs)}")
        try:
            yield
        finally:
            self.write(f"< {step.step_id} {step.result} {step.error!r}")

    def run_started(self, run, event):
        self.write(f"started {run.function_id} {event.name} {run.labels}")

    def run_ended(self, run, status, error):
        self.write(f"ended {run.function_id} {status} {error and error.type}")


def add(a, b=0):
    return f"{a}+{b} in {span.get()}"


async def add_async(a, b=0):
    return add(a, b)


@pytest.fixture(params=[1, "all", "auto"])
def mode(request):
    return request.param


@pytest.fixture(params=["sync", "async"])
def function(request):
    def make(app):
        trigger = on_event("go")
        if request.param == "sync":

            @app.function("f", trigger, labels=lambda event: ["l"], retry=Retry.fixed("1s", 2))
            def f(ctx: Context) -> object:
                return [ctx.step.run("add", add, 1, b=2), ctx.step.map("m", add, [5])]

            return f

        @app.function("f", trigger, labels=lambda event: ["l"], retry=Retry.fixed("1s", 2))
        async def f(ctx: AsyncContext) -> object:
            return [await ctx.step.run("add", add_async, 1, b=2), await ctx.step.map("m", add_async, [5])]

        return f

    return make


def test_it_is_around_runs_replays_and_steps_in_order(durable, mode, function):
    lines = []
    app = Durable("a", steps_per_invocation=mode, middleware=[Traced(lines, "x"), Traced(lines, "y")])
    function(app)
    rt = durable(app)
    rt.send(Event("go", {}))
    rt.drain()

    (run,) = rt.runs()
    result = ["1+2 in none>x>y", ["5+0 in none>x>y"]]
    assert rt.get(run.run_id).output == result
    told = [line for line in lines if "handler" not in line]
    assert told == [
        "x: started f go ('l',)",
        "y: started f go ('l',)",
        "x: > add 1 run [1] {'b': 2}",
        "y: > add 1 run [1] {'b': 2}",
        "y: < add 1+2 in none>x>y None",
        "x: < add 1+2 in none>x>y None",
        "x: > m[0] 1 run [5] {}",
        "y: > m[0] 1 run [5] {}",
        "y: < m[0] 5+0 in none>x>y None",
        "x: < m[0] 5+0 in none>x>y None",
        "x: ended f completed None",
        "y: ended f completed None",
    ]
    replays = [line for line in lines if line.startswith("x: handler")]
    assert replays[-1] == f"x: handler f returned {result} None"
    assert all(line == "x: handler f suspended None None" for line in replays[:-1])


def test_it_sees_attempts_that_fail_and_the_handler_raise(durable, mode):
    lines = []
    app = Durable("a", steps_per_invocation=mode, retry=Retry.fixed("1s", 2), middleware=Traced(lines))

    @app.function("f")
    def f(ctx: Context) -> None:
        ctx.step.run("broken", {}.pop, "key")

    run = durable(app).run(f)
    assert run.status == "failed"
    assert [line for line in lines if "broken" in line and "handler" not in line] == [
        "traced: > broken 1 run ['key'] {}",
        "traced: < broken None KeyError('key')",
        "traced: > broken 2 run ['key'] {}",
        "traced: < broken None KeyError('key')",
    ]
    assert lines[-1] == "traced: ended f failed KeyError"
    assert "handler f raised None StepError" in lines[-2]


def test_a_poll_shows_what_its_function_is_given_and_returns(durable, function):
    lines, answers = [], [1, 2, 3]
    app = Durable("a", middleware=Traced(lines))

    @app.function("f")
    def f(ctx: Context) -> int:
        return ctx.step.poll("p", answers.pop, 0, until=lambda n: n == 3, every="1m", timeout="1h")

    assert durable(app).run(f).output == 3
    assert [line for line in lines if " p " in line] == [
        *["traced: > p 1 poll [0] {}", "traced: < p 1 None"],
        *["traced: > p 1 poll [0] {}", "traced: < p 2 None"],
        *["traced: > p 1 poll [0] {}", "traced: < p 3 None"],
    ]


def test_it_is_around_steps_that_have_no_function_of_the_users(durable, mode):
    lines = []
    app = Durable("a", steps_per_invocation=mode, middleware=Traced(lines))

    @app.function("f")
    def f(ctx: Context) -> list[str]:
        ctx.step.transact("t")
        return ctx.step.send_event("tell", Event("told"))

    run = durable(app).run(f)
    assert run.status == "completed"
    assert f"traced: < tell {run.output} None" in lines
    assert "traced: < t None None" in lines


def test_a_step_may_be_given_another_result(durable, mode, function):
    class Rounded(Middleware):
        @contextmanager
        def around_step(self, step):
            yield
            step.result = f"{step.result}!"

    app = Durable("a", steps_per_invocation=mode, middleware=[Rounded(), Rounded()])
    run = durable(app).run(function(app))
    assert run.output == ["1+2 in none!!", ["5+0 in none!!"]]


def test_a_stub_of_a_step_is_seen_too(durable, function):
    lines = []
    app = Durable("a", middleware=Traced(lines))
    f = function(app)
    rt = durable(app)
    rt.stub("add", lambda a, b: f"stub {a} {b}")
    assert rt.run(f).output[0] == "stub 1 2"
    assert "traced: < add stub 1 2 None" in lines


class Broken(Middleware):
    """Raises wherever it can."""

    def __init__(self, when):
        self.when = when

    def check(self, when):
        if when == self.when:
            raise OSError(f"{when} is broken")

    @contextmanager
    def around_handler(self, replay):
        self.check("before handler")
        yield
        self.check("after handler")

    @contextmanager
    def around_step(self, step):
        self.check("before step")
        try:
            yield
        finally:
            self.check("after step")

    def run_started(self, run, event):
        self.check("started")

    def run_ended(self, run, status, error):
        self.check("ended")


@pytest.mark.parametrize(
    "when", ["before handler", "after handler", "before step", "after step", "started", "ended"]
)
def test_what_a_hook_raises_is_logged_and_counted_and_changes_nothing(durable, caplog, function, when):
    lines = []
    app = Durable("a", middleware=[Traced(lines, "outer"), Broken(when), Traced(lines, "inner")])
    rt = durable(app)
    with caplog.at_level(logging.ERROR, "lambda_durable.middleware"):
        run = rt.run(function(app))

    assert run.output == ["1+2 in none>outer>inner", ["5+0 in none>outer>inner"]]
    assert app.middleware_errors["Broken"] == len(caplog.records) > 0
    (record, *_) = caplog.records
    assert record.run_id == run.run_id
    assert record.middleware == "Broken"
    assert "'Broken'" in record.getMessage()
    assert ("step 'add'" in record.getMessage()) == ("step" in when)
    assert sum("> add" in line for line in lines) == sum("< add" in line for line in lines) == 2


def test_a_hook_that_swallows_an_error_swallows_nothing(durable):
    class Swallowing(Middleware):
        @contextmanager
        def around_step(self, step):
            try:
                yield
            except NonRetriableError:
                pass

    app = Durable("a", middleware=Swallowing())

    def refuse() -> None:
        raise NonRetriableError("no")

    @app.function("f")
    def f(ctx: Context) -> None:
        ctx.step.run("refuse", refuse)

    assert durable(app).run(f).error.message == "no"


# encoding


class Base64(Middleware):
    name = "b64"

    def __init__(self):
        self.fails_on_encode = self.fails_on_decode = 0
        self.places = set()

    def encode(self, text, place):
        self.places.add(place.owner)
        if self.fails_on_encode:
            self.fails_on_encode -= 1
            raise OSError("the key service is down")
        return base64.b64encode(text.encode()).decode()

    def decode(self, text, place):
        assert place.app_id == "a"
        assert place.owner in self.places
        if self.fails_on_decode:
            self.fails_on_decode -= 1
            raise OSError("the key service is down")
        return base64.b64decode(text).decode()


class Reversed(Middleware):
    def encode(self, text, place):
        return text[::-1]

    def decode(self, text, place):
        return text[::-1]


def test_values_are_encoded_in_order_and_decoded_in_reverse(durable, mode, function):
    app = Durable("a", steps_per_invocation=mode, middleware=[Base64(), Reversed()])
    rt = durable(app)
    run = rt.run(function(app))

    assert run.output == ["1+2 in none", ["5+0 in none"]]
    items = rt.aws("dynamodb").scan(TableName="lambda-durable")["Items"]
    (kept,) = (item["o"]["S"] for item in items if item["sk"]["S"] == ".add")
    assert kept == "~b64,Reversed~" + base64.b64encode(b'"1+2 in none"').decode()[::-1]


@pytest.mark.parametrize("what", ["fails_on_encode", "fails_on_decode"])
def test_an_encoding_that_fails_loses_nothing(durable, caplog, mode, function, what):
    codec = Base64()
    app = Durable("a", steps_per_invocation=mode, middleware=codec)
    rt = durable(app)
    started = rt.start(function(app))
    setattr(codec, what, 2)
    rt.drain()
    assert rt.get(started.run_id).status == "completed"
    assert "middleware 'b64' could not" in caplog.text
    assert "the key service is down" in caplog.text


def test_what_was_kept_before_the_middleware_came_is_still_read(durable, function):
    plain, coded = Durable("a", steps_per_invocation=1), Durable("a", middleware=Reversed())
    function(plain), function(coded)
    rt = durable(plain)
    run = rt.start(plain.functions["f"])
    rt.stub("m", takes="5m")
    rt.advance("1m")
    rt.deploy(coded)
    rt.drain()
    assert rt.get(run.run_id).output == ["1+2 in none", ["5+0 in none"]]


def test_middleware_that_is_gone_is_named(durable, function):
    plain, coded = Durable("a"), Durable("a", middleware=[Reversed(), Base64()])
    function(plain), function(coded)
    rt = durable(coded)
    run = rt.run(coded.functions["f"])
    rt.deploy(plain)
    with pytest.raises(MiddlewareError, match="'b64'"):
        rt.get(run.run_id)


def test_bad_middleware_is_refused():
    class Half(Middleware):
        def encode(self, text, place):
            return text

    class Bare(Middleware):
        def around_step(self, step):
            yield

    class Async(Middleware):
        async def around_handler(self, replay):
            yield

    for given, told in [
        (Bare(), "around_step of middleware 'Bare' .* write @contextmanager above"),
        (Async(), "around_handler of middleware 'Async' .* write @contextmanager above"),
        ("b64", "takes a list of Middleware"),
        ([Base64], "make an object of it"),
        ([Base64(), Base64()], "an identifier of its own"),
        (Half(), "needs both"),
    ]:
        with pytest.raises(ConfigurationError, match=told):
            Durable("a", middleware=given)


def test_a_crash_anywhere_is_survived_with_middleware(function):
    lines = []
    app = Durable("a", middleware=[Traced(lines), Base64()])
    f = function(app)
    for crash in crash_everywhere(app, f):
        assert crash.run.output == ["1+2 in none>traced", ["5+0 in none>traced"]], crash.point
        assert "traced: started f lambda_durable/invoked ('l',)" in lines, crash.point
        assert "traced: ended f completed None" in lines, crash.point
        lines.clear()


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_every_run_is_told_of(seed, function):
    lines = []
    app = Durable("a", middleware=[Traced(lines), Base64()])
    f = function(app)
    rt = LocalRuntime(app, faults=Faults(), seed=seed)
    run = rt.run(f)
    assert run.output == ["1+2 in none>traced", ["5+0 in none>traced"]]
    assert "traced: started f lambda_durable/invoked ('l',)" in lines
    assert "traced: ended f completed None" in lines


def test_a_client_without_the_app_sees_that_it_is_encoded_and_nothing_else(durable):
    app = Durable("a", middleware=Base64())

    @app.function("f")
    def f(ctx: Context[dict]) -> None:
        ctx.step.run("keep", lambda: "top-secret")
        ctx.step.wait_for_event("wait", "paid", timeout="1h", match="data.key")
        ctx.step.run("break", {}.pop, "top-secret")

    rt = durable(app)
    started = rt.start(f, {"key": "top-secret"})
    rt.advance("1s")
    rt.deploy(Durable("a"))
    outsider = Client(world=sealed(rt.client._world, None))
    waiting = outsider.get(started.run_id)
    rt.deploy(app)
    assert rt.get(started.run_id).steps["wait"].waiting_for.match == "top-secret"
    rt.send(Event("paid", {"key": "top-secret"}))
    rt.drain()
    ended = outsider.get(started.run_id)

    told = "(encoded by b64; only the app can read it)"
    assert (waiting.event, waiting.steps["keep"].output) == (None, told)
    assert waiting.steps["wait"].waiting_for.match == told
    assert (ended.error.type, ended.error.message, ended.error.traceback) == ("KeyError", told, "")
    assert "top-secret" not in f"{waiting!r}{ended!r}"
    assert next(outsider.runs("f")).status == "failed"
    assert rt.get(started.run_id).error.message == "'top-secret'"
    with pytest.raises(RunFailedError, match="encoded by b64"):
        outsider.result(started.run_id, timeout="1s")


class Telling(Middleware):
    """Writes down what has ended, and what it gives to carry."""

    def __init__(self):
        self.lines = []

    def steps_ended(self, run, steps):
        for step in steps:
            took = (step.ended_at - step.began_at).total_seconds()
            self.lines.append((step.step_id, step.kind, step.status, step.attempts, took))

    def carry(self, run, step_key):
        return {"by": "" if run is None else f"{run.function_id} {(step_key or '').partition('/')[2]}"}

    def run_started(self, run, event):
        self.lines.append((run.function_id, dict(run.carried), dict(event.carried)))


def test_it_is_told_of_all_steps_when_what_they_lie_in_ends(durable, mode):
    telling = Telling()
    app = Durable("a", steps_per_invocation=mode, middleware=telling, retry=Retry.fixed("1s", 2))

    @app.function("f")
    def f(ctx: Context) -> None:
        def nested():
            ctx.step.sleep("nap", "5s")
            ctx.step.run("work", str)

        ctx.step.group("g", nested)
        ctx.step.map("m", str, [1])
        ctx.step.run("broken", {}.pop, "key")

    durable(app).run(f)
    assert telling.lines[1:] == [
        ("g/nap", "sleep", "completed", 0, 5.0),
        ("g/work", "run", "completed", 1, 0.0),
        ("m[0]", "run", "completed", 1, 0.0),
        ("broken", "run", "failed", 2, 1.0),
        ("g", "group", "completed", 1, 5.0),
        ("m", "map", "completed", 1, 0.0),
    ]


def test_what_it_gives_to_carry_goes_with_what_is_sent_started_and_invoked(durable, mode):
    telling = Telling()
    app = Durable("a", steps_per_invocation=mode, middleware=telling)

    @app.function("child")
    def child(ctx: Context) -> dict:
        return dict(ctx.event.carried)

    @app.function("heard", on_event("told"))
    def heard(ctx: Context) -> None:
        raise NonRetriableError("no")

    @heard.on_failure
    def sorry(ctx: Context) -> None:
        pass

    @app.function("f")
    def f(ctx: Context) -> dict:
        ctx.step.send_event("tell", Event("told", {}, carried={"mine": "1"}))
        return ctx.step.invoke("call", child, {})

    rt = durable(app)
    run = rt.run(f)
    assert run.output == {"by": "f call"}
    told = {line[0]: line[1] for line in telling.lines if isinstance(line[1], dict)}
    assert told.pop("heard") == {"mine": "1", "by": ""}
    assert told.pop("child") == {"by": "f call"}
    assert told.pop("f") == {"by": ""}
    assert list(told.values()) == [{"by": "heard "}]
    assert all(line[1] == line[2] for line in telling.lines if isinstance(line[1], dict))


@pytest.mark.parametrize("carried", [{"a": 1}, {"a": "ä"}, "text", {"a": "b" * 2048}])
def test_an_event_carries_short_ascii_strings_alone(carried):
    with pytest.raises(ConfigurationError, match="an event's `carried`"):
        Event("x", carried=carried)


def test_what_it_gives_to_carry_stays_out_of_the_data(durable):
    app = Durable("a", middleware=Telling())

    @app.function("f", on_event("go"))
    def f(ctx: Context) -> object:
        return ctx.event.data

    rt = durable(app)
    rt.send(Event("go", {"n": 1}), Event("go", [1], carried={"x": "y"}))
    rt.drain()
    assert sorted(map(str, (rt.get(run.run_id).output for run in rt.runs()))) == ["[1]", "{'n': 1}"]


def test_it_is_told_when_an_invocation_ends_and_what_it_raises_then_changes_nothing(durable, caplog):
    class Late(Middleware):
        def __init__(self):
            self.left = []

        def invocation_ended(self, seconds):
            self.left.append(seconds)
            raise OSError("no collector")

    late = Late()
    app = Durable("a", steps_per_invocation=1, middleware=late)

    @app.function("f")
    def f(ctx: Context) -> None:
        ctx.step.run("a", str)
        ctx.step.sleep("b", "1m")

    rt = durable(app, lambda_timeout="60s")
    assert rt.run(f).status == "completed"
    assert late.left == [60.0] * rt.invocations
    assert app.middleware_errors == {"Late": rt.invocations}
    assert "invocation_ended of middleware 'Late' raised OSError, and the run goes on" in caplog.text
