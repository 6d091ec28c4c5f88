"""A step that takes longer than its Lambda may: it is interrupted, told so, tried again, and in the end fails."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from lambda_durable import AsyncContext, Context, Durable, Retry, StepError
from lambda_durable.testing import Faults

THRICE = Retry(max_attempts=3, initial_delay="10s", jitter=False)


@pytest.fixture
def begun():
    """How often each step's function began."""
    return Counter()


@pytest.fixture
def note(begun):
    def note(name):
        begun[name] += 1
        return name

    return note


def one_step(note, *, retry=THRICE, steps_per_invocation: Any = 1, **options):
    app = Durable("app", retry=retry, steps_per_invocation=steps_per_invocation)

    @app.function("f")
    def f(ctx: Context) -> str:
        try:
            return ctx.step.options(**options).run("slow", note, "slow")
        except StepError as error:
            return f"{error.error_type}: {error.message}"

    return app, f


def test_a_step_that_never_fits_takes_its_attempts_and_fails_with_what_to_do(durable, begun, note):
    app, f = one_step(note)
    rt = durable(app, lambda_timeout="60s")
    rt.stub("slow", takes="2h")
    run = rt.run(f)

    assert run.steps["slow"].attempts == begun["slow"] == 3
    assert run.output.startswith("lambda_durable.errors.StepInterruptedError: attempt 3 of step 'slow'")
    assert "(60 seconds); raise the timeout of the Lambda, or make the step shorter" in run.output


def test_its_next_attempt_comes_when_its_policy_says(durable, note):
    app, f = one_step(note)
    rt = durable(app, lambda_timeout="60s")
    rt.stub("slow", takes="2h")
    run_id = rt.start(f).run_id
    rt.advance("60s")
    step = rt.get(run_id).steps["slow"]

    assert (step.status, step.attempts) == ("retrying", 1)
    assert (step.wake_at - rt.get(run_id).created_at).total_seconds() == 58 + 10


def test_a_step_that_fits_the_second_time_succeeds(durable, begun, note):
    app, f = one_step(note)
    rt = durable(app, lambda_timeout="60s")
    rt.stub("slow", takes="2h")
    run_id = rt.start(f).run_id
    rt.advance("60s")
    rt.stub("slow", takes="1s")
    rt.drain()

    assert rt.get(run_id).output == "slow"
    assert (rt.get(run_id).steps["slow"].attempts, begun["slow"]) == (2, 2)


def test_a_policy_that_retries_other_errors_alone_does_not_give_up_an_interrupted_attempt(
    durable, begun, note
):
    app, f = one_step(note, retry=Retry(max_attempts=2, initial_delay="1s", retry_on=OSError))
    rt = durable(app, lambda_timeout="60s")
    rt.stub("slow", takes="2h")
    rt.run(f)

    assert begun["slow"] == 2


def test_at_most_once_is_not_begun_again_and_says_that_its_effect_is_unknown(durable, begun, note):
    app, f = one_step(note, semantics="at_most_once")
    rt = durable(app, lambda_timeout="60s")
    rt.stub("slow", takes="2h")
    run = rt.run(f)

    assert begun["slow"] == 1
    assert "whether its effect happened is not known" in run.output


@pytest.mark.parametrize("mode", [1, "all"])
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_what_ran_beside_it_keeps_its_outcome(durable, begun, note, mode, is_async):
    app = Durable("app", retry=Retry.never(), steps_per_invocation=mode)

    if is_async:

        @app.function("f")
        async def f(ctx: AsyncContext) -> list[str]:
            calls = [ctx.step.run(name, note, name) for name in ("slow", "quick")]
            ends = await asyncio.gather(*calls, return_exceptions=True)
            return ["StepError" if isinstance(end, StepError) else end for end in ends]
    else:

        @app.function("f")
        def f(ctx: Context) -> list[str]:
            futures = [ctx.step.submit(name, note, name) for name in ("slow", "quick")]
            ctx.step.wait(futures)
            return ["StepError", futures[1].result()]

    rt = durable(app, lambda_timeout="60s")
    rt.stub("slow", takes="2h")
    rt.stub("quick", takes="5s")
    run = rt.run(f)

    assert run.output == ["StepError", "quick"]
    assert begun == {"slow": 1, "quick": 1}


def test_a_handler_that_fails_while_a_step_runs_on_waits_no_longer_than_it_can(durable, begun, note):
    app = Durable(
        "app", retry=Retry(max_attempts=2, initial_delay="1s", jitter=False), steps_per_invocation="all"
    )

    @app.function("f")
    async def f(ctx: AsyncContext) -> None:
        async def stumble():
            await ctx.step.run("quick", note, "quick")
            raise OSError("no such luck")

        await asyncio.gather(ctx.step.run("slow", note, "slow"), stumble())

    rt = durable(app, lambda_timeout="60s")
    rt.stub("slow", takes="2h")
    run = rt.run(f)

    assert (run.status, run.error.message) == ("failed", "no such luck")
    assert run.steps["slow"].attempts == begun["slow"] <= 2
    assert begun["quick"] == 1


@pytest.mark.parametrize("seed", range(10))
def test_under_faults_it_takes_as_many_attempts_and_the_run_ends(durable, begun, note, seed):
    app, f = one_step(note, steps_per_invocation="auto")
    rt = durable(app, lambda_timeout="60s", faults=Faults(), seed=seed)
    rt.stub("slow", takes="2h")
    run = rt.run(f)

    assert run.status == "completed"
    assert run.output.startswith("lambda_durable.errors.StepInterruptedError")
    assert run.steps["slow"].attempts == 3
