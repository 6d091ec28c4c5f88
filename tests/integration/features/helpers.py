"""What the tests of features share."""

from __future__ import annotations

from datetime import UTC, datetime

from lambda_durable import current_step

START = datetime(2025, 1, 1, tzinfo=UTC)


def outputs(rt, function=None):
    """Those of the runs, oldest first."""
    return [rt.get(run.run_id).output for run in rt.runs(function)][::-1]


def seconds(run):
    return (run.ended_at - run.created_at).total_seconds()


def give_back_event(ctx):
    return (yield ctx.step.run("event", lambda: [ctx.event.name, ctx.event.data]))


def flaky():
    """Succeeds at its third attempt."""
    if current_step().attempt < 3:
        raise ConnectionError("no answer")
    return current_step().attempt
