"""Deploys in the middle of a run."""

from __future__ import annotations

import pytest

from lambda_durable import Context, Durable, Retry, current_step


def release(ran, *, new):
    app = Durable("app", steps_per_invocation=1)

    def third_time(name):
        ran.append(name)
        if current_step().attempt < 3:
            raise ConnectionError(name)
        return name

    @app.function("f")
    def function(ctx: Context) -> list[str]:
        if new:
            ctx.step.run("new", ran.append, "new")
        beside = ctx.step.submit("beside", str, "beside")
        slow = ctx.step.options(retry=Retry.fixed("20m", 3)).submit("slow", third_time, "slow")
        return [beside.result(), slow.result()]

    return app, function


@pytest.mark.parametrize("minutes", [1, 25])
def test_a_deploy_that_adds_a_step_before_one_that_waits_for_its_retry_goes_on(durable, minutes):
    ran = []
    app, function = release(ran, new=False)
    rt = durable(app)
    run = rt.start(function)
    rt.advance(f"{minutes}m")
    rt.deploy(release(ran, new=True)[0])
    rt.drain()
    run = rt.get(run.run_id)
    assert (run.status, run.output) == ("completed", ["beside", "slow"])
    assert (ran.count("slow"), ran.count("new")) == (3, 1)
