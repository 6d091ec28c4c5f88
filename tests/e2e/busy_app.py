"""An app that does everything which a worker needs a permission for. A second deploy replaces CRONS."""

from __future__ import annotations

import time

from lambda_durable import (
    Batch,
    Concurrency,
    Context,
    Debounce,
    Durable,
    Event,
    Idempotency,
    Priority,
    RateLimit,
    Singleton,
    Throttle,
    cron,
    on_event,
)

CRONS = {"changed": "0 9 * * *", "removed": "0 9 * * *"}

app = Durable("busy")


def large() -> str:
    return "x" * 600_000  # kept in S3


@app.function("patient")
def patient(ctx: Context[dict]) -> None:
    ctx.step.sleep("nap", "10m")


@app.function("sleeper", on_event("busy/began"))
def sleeper(ctx: Context[dict]) -> None:
    ctx.step.run("large", large)
    ctx.step.sleep("nap", "1s")
    ctx.step.send_event("tell", Event("busy/told"), Event("busy/told"))
    ctx.step.wait_for_event("hear", "busy/answered", timeout="2s", lookback="1m")
    ctx.step.sleep("hibernate", "100d")  # past the retention: what the run keeps has to live longer


@app.function("loyal", on_event("busy/began"), pin=True)
def loyal(ctx: Context[dict]) -> None:
    ctx.step.wait_for_event(
        "deploy", "busy/deployed", timeout="15m"
    )  # after that, the new version hands it over


LIMITS = {
    "steps": {
        "concurrency": [Concurrency(1), Concurrency(1, scope="app")],
        "priority": Priority(lambda _: 60),
    },
    "runs": {"concurrency": Concurrency(1, counts="runs")},
    "throttled": {"throttle": Throttle(1, "2s")},
    "rare": {"rate_limit": RateLimit(1, "1h")},
    "late": {"debounce": Debounce("1s")},
    "together": {"batch": Batch(2, "10s")},
    "single": {"singleton": Singleton(mode="cancel")},
    "once": {"idempotency": Idempotency("name")},
}
"""Of functions that two events start at once."""


def limited(ctx: Context[dict]) -> None:
    ctx.step.run("pause", time.sleep, 1)


for name, limits in LIMITS.items():
    app.function(name, on_event("busy/told"), **limits)(limited)


def nothing(ctx: Context[dict]) -> None: ...


for name, expression in CRONS.items():
    app.function(name, cron(expression))(nothing)

handler = app.handler
