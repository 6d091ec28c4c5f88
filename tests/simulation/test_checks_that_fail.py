"""A check has taken the lead of a run, and its invocation fails: it goes on when it comes again, and leaves its run to
nobody else, since whoever it has overtaken does nothing any more."""

from __future__ import annotations

from typing import Any

import pytest

from lambda_durable import Context, Durable
from lambda_durable.aws.dynamodb import DynamoStore
from lambda_durable.testing import LocalRuntime


def steps(app):
    @app.function("f")
    def f(ctx: Context[Any]) -> list[int]:
        return [ctx.step.run(f"step {n}", int, n) for n in range(2)]

    return f


def a_map(app):
    @app.function("f")
    def f(ctx: Context[Any]) -> list[int]:
        return ctx.step.map("m", int, [0, 1])

    return f


@pytest.mark.parametrize("make", [steps, a_map])
@pytest.mark.parametrize("failures", [1, 2, 3])
def test_a_check_that_failed_goes_on_when_it_comes_again(make, failures, monkeypatch):
    app = Durable("app", steps_per_invocation=1)
    function = make(app)
    rt = LocalRuntime(app, lambda_timeout="60s")
    run = rt.start(function)
    while rt.invocations < 1:
        rt._simulation._step()
    rt._simulation._events.clear()
    assert rt.get(run.run_id).status == "running"  # and nothing drives it
    rt.advance("20m")
    commit, refused = DynamoStore.commit, []

    def throttled(store, run_id, record):
        if len(refused) < failures:
            refused.append(record)
            raise RuntimeError("throttled")
        return commit(store, run_id, record)

    monkeypatch.setattr(DynamoStore, "commit", throttled)
    rt.reconcile()
    rt.drain()

    assert len(refused) == failures
    ended = rt.get(run.run_id)
    assert (ended.status, ended.output) == ("completed", [0, 1])
