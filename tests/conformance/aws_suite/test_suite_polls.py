"""AWS's scenarios of waiting for a condition, as behaviours of `step.poll`: see table.py."""

from __future__ import annotations

from itertools import count

import pytest

from lambda_durable import Retry, StepError, StepTimeoutError

EVERY = {"every": "2s", "timeout": "1h"}


def counting(start=0):
    """A function that returns 1 more each time it is called, as a thing of the outside world might."""
    numbers = count(start + 1)
    return lambda: next(numbers)


def elapsed(run):
    return (run.ended_at - run.created_at).total_seconds()


def test_a_check_is_made_until_its_result_will_do(play):
    counter = counting()

    def body(ctx):
        wanted = ctx.event.data
        return (yield ctx.step.poll("poll status", counter, until=lambda n: n >= wanted, **EVERY))

    run = play(body, 3)
    assert (run.status, run.output) == ("completed", 3)
    assert [(step.id, step.kind) for step in run.steps.values()] == [("poll status", "poll")]
    assert elapsed(run) == 2 * 2


@pytest.mark.parametrize("value", [5, None])
def test_the_first_check_may_do(play, calls, value):
    def body(ctx):
        return (
            yield ctx.step.poll("poll", lambda: calls.append(1) or value, until=lambda n: n == value, **EVERY)
        )

    run = play(body)
    assert (run.status, run.output, calls, elapsed(run)) == ("completed", value, [1], 0)


def test_state_that_one_check_hands_to_the_next_is_a_loop_of_steps(play):
    def check(state):
        attempts = state["attempts"] + 1
        return {"status": "DONE" if attempts == 7 else "PENDING", "attempts": attempts}

    def body(ctx):
        state = {"status": "PENDING", "attempts": 5}
        while True:
            state = yield ctx.step.run("check", check, state)
            if state["status"] == "DONE":
                return state
            yield ctx.step.sleep("delay", "2s")

    run = play(body)
    assert run.output == {"status": "DONE", "attempts": 7}
    assert list(run.steps) == ["check", "delay", "check:1"]
    assert elapsed(run) == 2


def test_checks_come_to_an_end(play):
    counter = counting()

    def body(ctx):
        yield ctx.step.poll("poll", counter, until=lambda n: False, every="2s", timeout="4s")

    run = play(body)
    assert (run.status, run.error.type) == ("failed", "lambda_durable.errors.StepTimeoutError")
    assert counter() == 4  # after three checks, the last of them at the deadline
    assert elapsed(run) == 4


@pytest.mark.parametrize("caught", [False, True])
def test_a_check_that_raises_fails_the_poll(play, calls, fail, caught):
    def body(ctx):
        try:
            yield ctx.step.options(retry=Retry.never()).poll("poll", fail, until=bool, **EVERY)
        except StepError as error:
            assert not isinstance(error, StepTimeoutError)
            if not caught:
                raise
            return "recovered"

    run = play(body)
    assert (run.status, run.output) == (("completed", "recovered") if caught else ("failed", None))
    assert (run.steps["poll"].status, calls) == ("failed", ["failed"])


def test_what_a_poll_returned_goes_on_into_steps_and_polls(play):
    counter = counting()

    def body(ctx):
        first = yield ctx.step.poll("one", counter, until=lambda n: n == 2, **EVERY)
        second = yield ctx.step.poll("two", counter, until=lambda n: n == first + 2, **EVERY)
        return (yield ctx.step.run("ten times", lambda: second * 10))

    run = play(body)
    assert (run.output, elapsed(run), list(run.steps)) == (40, 4, ["one", "two", "ten times"])
