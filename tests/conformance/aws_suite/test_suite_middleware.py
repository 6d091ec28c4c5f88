"""AWS's scenarios of plugins, as behaviours of `Middleware`: see table.py."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from lambda_durable import Durable, Middleware, Retry, current_step


class Observer(Middleware):
    """Writes down each hook that is called; with `faulty`, each then raises."""

    def __init__(self, told, name="observer", faulty=False):
        self.told, self.name, self.faulty = told, name, faulty

    def tell(self, *what):
        self.told.append((self.name, *what))
        if self.faulty:
            raise RuntimeError("the observer is broken")

    def run_started(self, run, event):
        self.tell("run started", run.run_id)

    def run_ended(self, run, status, error):
        self.tell("run ended", status)

    @contextmanager
    def around_handler(self, replay):
        self.tell("handler began")
        yield
        self.tell("handler ended", replay.status)

    @contextmanager
    def around_step(self, step):
        self.tell("attempt began", step.step_id, step.attempt)
        try:
            yield
        finally:
            self.tell("attempt ended", step.step_id, step.attempt, "failed" if step.error else "succeeded")


@pytest.fixture
def told():
    return []


@pytest.fixture
def observe(durable, flavour, mode):
    def observe(body, *middleware, data=None):
        app = Durable("suite", steps_per_invocation=mode, middleware=middleware)
        return app, durable(app).run(flavour.function(app, body), data)

    return observe


def greet(ctx):
    return (yield ctx.step.run("greet", "Hello, {}!".format, ctx.event.data))


def test_a_run_is_told_of_before_its_handler_and_after_its_end(observe, told):
    def body(ctx):
        told.append("handler")
        return (yield ctx.step.run("greet", lambda: told.append("step")))

    _, run = observe(body, Observer(told))
    assert told[0] == ("observer", "run started", run.run_id)
    assert told[-1] == ("observer", "run ended", "completed")
    assert told.index("step") > told.index("handler") > 0
    assert [what for what in told if what[1] in ("run started", "run ended")] == [told[0], told[-1]]


def test_a_step_is_told_of_once_by_its_id(observe, told):
    _, run = observe(greet, Observer(told), data="World")
    assert run.output == "Hello, World!"
    (record,) = run.steps.values()
    assert [what[1:] for what in told if "attempt" in what[1]] == [
        ("attempt began", record.id, 1),
        ("attempt ended", record.id, 1, "succeeded"),
    ]


def test_each_attempt_is_told_of_with_its_outcome(observe, told):
    def flaky():
        if current_step().attempt == 1:
            raise ValueError("not yet")
        return "done"

    def body(ctx):
        return (yield ctx.step.options(retry=Retry.fixed("1s", 3)).run("x", flaky))

    _, run = observe(body, Observer(told))
    assert run.output == "done"
    assert [what[1:] for what in told if "attempt" in what[1]] == [
        ("attempt began", "x", 1),
        ("attempt ended", "x", 1, "failed"),
        ("attempt began", "x", 2),
        ("attempt ended", "x", 2, "succeeded"),
    ]


def test_what_middleware_raises_changes_nothing(observe, told):
    app, run = observe(greet, Observer(told, faulty=True), data="World")
    assert (run.status, run.output, run.steps["greet"].attempts) == ("completed", "Hello, World!", 1)
    assert {what[1] for what in told} >= {"run started", "handler began", "attempt began", "run ended"}
    assert sum(app.middleware_errors.values()) == len(told)


def test_all_middleware_is_told(observe, told):
    observe(greet, Observer(told, "a"), Observer(told, "b"), data="World")
    by_name = {name: [what[1:] for what in told if what[0] == name] for name in ("a", "b")}
    assert by_name["a"] == by_name["b"]
    assert [what[0] for what in by_name["a"]].count("run ended") == 1


def test_a_run_starts_once_however_often_it_is_replayed(observe, told):
    def body(ctx):
        yield ctx.step.sleep("nap", "2s")

    observe(body, Observer(told))
    what = [what[1:] for what in told]
    assert [found[0] for found in what].count("run started") == 1
    assert what.index(("handler ended", "suspended")) < what.index(("handler ended", "returned"))
    assert what[-1] == ("run ended", "completed")


def test_middleware_is_told_that_a_run_failed(observe, told, fail):
    def body(ctx):
        yield ctx.step.options(retry=Retry.never()).run("broken", fail)

    observe(body, Observer(told))
    assert [what[1:] for what in told if what[1] in ("run started", "run ended")][1:] == [
        ("run ended", "failed")
    ]
