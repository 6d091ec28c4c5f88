"""A run begins in the invocation that has its event or its start: that message is what drives it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lambda_durable import CancelOn, Context, Durable, Event, NonRetriableError, Retry, every, on_event
from lambda_durable.runtime.eager import PROMPT, WHILE
from lambda_durable.testing import Faults, LocalRuntime


class Killer:
    """Kills the invocations that come to a place, the first so many times."""

    def __init__(self, rt: LocalRuntime, place: str, times: int = 1) -> None:
        self.left = times
        self._place = place
        rt._traffic.watch = self

    def __call__(self, process: Any, place: str) -> None:
        if self.left and place.startswith(self._place):
            self.left -= 1
            process.crash(place)


@pytest.fixture
def app():
    return Durable("t", steps_per_invocation="all")


def steps(ctx: Context[Any]) -> str:
    for n in range(3):
        ctx.step.run(f"s{n}", int)
    return "done"


def only(rt):
    (run,) = rt.runs()
    return rt.get(run.run_id)


def attempts(run):
    return {id: step.attempts for id, step in run.steps.items()}


def by_event(rt):
    rt.send(Event("go", {}))


def by_start(rt):
    rt.start(rt.app.functions["f"], {})


def by_schedule(rt):
    rt.advance("1h")


HOW = [by_event, by_start, by_schedule]


def function(app, body=steps, **options):
    app.function("f", [on_event("go"), every("1h")], **options)(body)


@pytest.mark.parametrize("how", HOW)
def test_it_is_one_invocation_and_no_message(app, how):
    function(app)
    rt = LocalRuntime(app)
    how(rt)
    rt.drain()
    assert only(rt).output == "done"
    assert rt.invocations == 1
    assert rt.calls["sqs:SendMessage"] == (how is by_start)  # the client's


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize(
    "place", ["after dynamodb:PutItem #1", "after dynamodb:PutItem #3", "after dynamodb:UpdateItem #1"]
)
def test_whoever_dies_comes_back_and_goes_on_from_there(app, how, place):
    function(app)
    rt = LocalRuntime(app)
    killer = Killer(rt, place)
    how(rt)
    rt.drain()
    run = only(rt)
    assert killer.left == 0
    assert (run.output, attempts(run)) == ("done", {"s0": 1, "s1": 1, "s2": 1})
    assert not rt.dead_letters


@pytest.mark.parametrize("how", HOW)
def test_the_first_kill_is_free_and_a_step_that_kills_is_given_up(app, how):
    function(app, retry=Retry.fixed("1s", 3))
    rt = LocalRuntime(app)
    killer = Killer(rt, "in step 's1'", times=100)
    how(rt)
    rt.drain()
    run = only(rt)
    assert run.status == "failed"
    assert run.error.step_id == "s1"
    assert 100 - killer.left == 3 + 1
    assert not rt.dead_letters


def test_another_message_about_the_same_event_does_nothing(app):
    ran = []

    @app.function("f", on_event("go"))
    def f(ctx: Context[Any]) -> None:
        ctx.step.run("s", lambda: ran.append(1))

    rt = LocalRuntime(app)
    rt.stub("s", lambda: ran.append(1), takes="30s")
    event = {
        "id": "e",
        "detail-type": "go",
        "source": "x",
        "time": "2025-01-01T00:00:00Z",
        "detail": {},
    }
    for _ in range(3):
        rt.deliver(event)
        rt.advance("10s")
    rt.drain()
    assert (only(rt).status, ran) == ("completed", [1])


def test_each_of_several_runs_has_a_message_of_its_own(app):
    for id in ("a", "b", "c"):
        app.function(id, on_event("go"))(steps)
    rt = LocalRuntime(app)
    by_event(rt)
    rt.drain()
    assert (rt.invocations, rt.calls["sqs:SendMessageBatch"]) == (4, 1)


def test_an_event_that_waited_for_long_does_not_keep_others_waiting(app):
    function(app)
    rt = LocalRuntime(app, faults=Faults(late=1.0))
    rt.send(*(Event("go", n) for n in range(6)))
    rt.drain()
    waited = rt.calls["sqs:SendMessage"]
    assert {run.status for run in rt.runs()} == {"completed"}
    assert 0 < waited < 6
    assert rt.invocations == 6 + waited
    assert PROMPT < 5_000


@pytest.mark.parametrize(("how", "messages"), [(by_event, 1), (by_start, 0), (by_schedule, 1)])
def test_a_long_run_leaves_the_invocation_to_other_events(app, how, messages):
    function(app)
    rt = LocalRuntime(app)
    for n in range(3):
        rt.stub(f"s{n}", takes="3s")
    how(rt)
    rt.drain()
    assert only(rt).status == "completed"
    assert rt.invocations == 1 + messages
    assert 3 < WHILE < 6


@pytest.mark.parametrize("events", ["hold", "skip"])
@pytest.mark.parametrize(
    "place", ["after dynamodb:PutItem #2", "after dynamodb:PutItem #3", "after dynamodb:UpdateItem #1"]
)
def test_what_was_begun_before_a_pause_is_held_and_its_end_followed_up(app, events, place):
    def fails(ctx: Context[Any]) -> None:
        steps(ctx)
        raise NonRetriableError("no")

    function(app, fails)
    handled = []

    @app.functions["f"].on_failure
    def told(ctx):
        ctx.step.run("note", lambda: handled.append(ctx.event.data.run_id))

    rt = LocalRuntime(app)
    killer = Killer(rt, place)
    by_event(rt)
    rt.advance("1s")
    assert killer.left == 0
    rt.client.pause("f", events=events)
    rt.advance("30m")
    rt.client.resume("f")
    rt.drain()
    (run,) = rt.runs("f")
    assert (run.status, handled) == ("failed", [run.run_id])


@pytest.mark.parametrize("how", HOW)
def test_a_message_that_was_received_too_often_is_brought_back(app, how):
    function(app)
    rt = LocalRuntime(app)
    killer = Killer(rt, "before dynamodb:PutItem #3", times=1)
    how(rt)
    rt.advance("1s")
    assert killer.left == 0
    rt._queue._max_receive_count = 1  # as if all the others had failed
    rt.drain()
    assert only(rt).status == "completed"
    assert not rt.dead_letters


def test_an_event_whose_run_has_begun_goes_on_though_nobody_can_read_it_any_more(app):
    function(app)
    rt = LocalRuntime(app)
    rt.send(Event("go", {"x": "y" * 5000}))
    Killer(rt, "after dynamodb:PutItem #4")
    rt.advance("1s")
    smaller = Durable("t", max_output=2000)
    function(smaller)
    rt.deploy(smaller)
    rt.drain()
    assert only(rt).status == "completed"
    assert len(rt.dead_letters) == 1


def test_a_child_goes_on_whose_parent_is_over(app):
    @app.function("child")
    def child(ctx: Context[Any]) -> str:
        return steps(ctx)

    @app.function("f")
    def f(ctx: Context[Any]) -> None:
        ctx.step.invoke("i", child, {}, timeout="10s", on_parent_end="leave")

    rt = LocalRuntime(app)
    by_start(rt)
    rt.stub("s1", takes="20s")
    Killer(rt, "in step 's1'")
    rt.drain()
    assert [run.status for run in rt.runs("child")] == ["completed"]


def test_an_event_ends_no_wait_of_the_run_that_it_starts_and_does_not_cancel_it(app):
    @app.function("f", on_event("go"), cancel_on=CancelOn("go"))
    def f(ctx: Context[Any]) -> str:
        found = ctx.step.wait_for_event("w", "go", timeout="1h", lookback="1m")
        return found.id if found is not None else "nobody came"

    rt = LocalRuntime(app)
    by_event(rt)
    rt.drain()
    assert (only(rt).status, only(rt).output) == ("completed", "nobody came")


@pytest.mark.parametrize("seed", range(12))
def test_eager_or_not_the_outcome_is_the_same(app, seed):
    @app.function("f", on_event("go"))
    def f(ctx: Context[Any]) -> list[Any]:
        first = ctx.step.run("first", int)
        ctx.step.sleep("nap", "1m")
        futures = [ctx.step.submit(f"p{n}", pow, n, 2) for n in range(3)]
        done, _ = ctx.step.wait(futures, return_when="FIRST_COMPLETED")
        return [first, len(done) > 0, *(future.result() for future in futures)]

    faults = Faults(duplicate=0.3, crash=0.2, lose_response=0.1, interleave=True)
    outcomes = []
    for eagerly in (True, False):
        rt = LocalRuntime(app, faults=faults, seed=seed, steps_per_invocation=[1, "auto", "all"][seed % 3])
        rt._eager = eagerly
        by_event(rt)
        rt.drain()
        run = only(rt)
        outcomes.append((run.status, json.dumps(run.output)))
    assert outcomes == [("completed", "[0, true, 0, 1, 4]")] * 2
