"""`options(timeout=)`: how long an attempt of a step may take."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta

import pytest

from lambda_durable import (
    AsyncContext,
    ConfigurationError,
    Context,
    Durable,
    Retry,
    StepTimeoutError,
)
from lambda_durable.runtime.executor import ThreadExecutor


@pytest.fixture(params=[1, "all", "auto"])
def app(request):
    return Durable("app", steps_per_invocation=request.param, retry=Retry.fixed("10s", 3))


def test_an_attempt_that_takes_too_long_is_tried_again_and_fails_in_the_end(durable, app):
    @app.function("f")
    def f(ctx: Context) -> str:
        try:
            ctx.step.options(timeout="5s").run("slow", int)
        except StepTimeoutError as error:
            return f"{error.attempts}: {error.message}"
        return "done"

    rt = durable(app)
    rt.stub("slow", takes="6s")
    run = rt.run(f)
    assert run.output.startswith("3: attempt 3 of step 'slow' took longer than 0:00:05")
    assert run.ended_at - run.started_at == timedelta(seconds=35)

    rt = durable(app)
    rt.stub("slow", takes="4s")
    assert rt.run(f).output == "done"


def test_others_go_on_beside_it(durable, app):
    @app.function("f")
    async def f(ctx: AsyncContext) -> list:
        step = ctx.step.options(timeout="5s", retry=Retry.never())
        found = await asyncio.gather(
            step.run("slow", int), ctx.step.run("slower", int), return_exceptions=True
        )
        return [type(one).__name__ for one in found]

    rt = durable(app)
    rt.stub("slow", takes="6s")
    rt.stub("slower", takes="20s")
    run = rt.run(f)
    assert run.output == ["StepTimeoutError", "int"]
    assert run.steps["slower"].attempts == 1


def test_a_step_of_its_own_and_a_map_have_it_too(durable, app):
    @app.step(timeout="5s", retry=Retry.never())
    def slow(n: int) -> int:
        return n

    @app.function("f")
    def f(ctx: Context) -> list:
        try:
            slow(1)
        except StepTimeoutError:
            found = ctx.step.map("m", slow, [1, 2], return_exceptions=True)
        return [type(one).__name__ for one in found]

    rt = durable(app)
    rt.stub("slow", takes="6s")
    rt.stub("m[0]", takes="6s")
    assert rt.run(f).output == ["StepTimeoutError", "int"]


@pytest.mark.parametrize("timeout", [5, "0s", "soon"])
def test_a_bad_timeout_is_an_error_at_the_call(durable, app, timeout):
    @app.function("f")
    def f(ctx: Context) -> None:
        with pytest.raises(ConfigurationError, match="timeout="):
            ctx.step.options(timeout=timeout)

    assert durable(app).run(f).status == "completed"


def test_a_coroutine_is_stopped():
    executor, stopped = ThreadExecutor(), threading.Event()

    async def slow():
        try:
            await asyncio.sleep(60)
        finally:
            stopped.set()

    executor.start("slow", slow)
    assert executor.wait(0.05) is None
    assert executor.interrupt("slow") is True
    assert stopped.wait(5)
    assert executor.wait(0.05) is None  # its end is told to nobody
    assert executor.close(timeout=5) == []


def test_a_thread_is_not_and_its_end_goes_nowhere():
    executor, free = ThreadExecutor(), threading.Event()
    executor.start("slow", free.wait)
    assert executor.interrupt("slow") is False
    executor.start("slow", lambda: "again")
    assert executor.wait(5) == ("slow", "again", None)
    free.set()
    assert executor.wait(0.05) is None
    assert executor.close(timeout=5) == []


def test_one_that_has_not_begun_never_does():
    executor, free, begun = ThreadExecutor(threads=1), threading.Event(), []
    executor.start("first", free.wait)
    executor.start("second", lambda: begun.append(1))
    assert executor.interrupt("second") is True
    free.set()
    assert executor.wait(5) == ("first", True, None)
    assert executor.close(timeout=5) == []
    assert begun == []
