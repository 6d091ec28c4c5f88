"""Nightly billing: an invoice for each account, twenty at a time; what fails is reported, not fatal.

It runs at three in the morning, and for any night that an event names.
"""

from __future__ import annotations

from datetime import timedelta

import accounts
import billing
import reports
from models import Night, Report

from lambda_durable import (
    Context,
    Durable,
    NonRetriableError,
    Retry,
    Schedule,
    StepError,
    cron,
    on_event,
)

app = Durable("billing")

patient = Retry(max_attempts=4, initial_delay="10s", multiplier=3, max_delay="5m")


@app.function("nightly", [on_event("billing/night.began", Night), cron("0 3 * * *", timezone="Europe/Paris")])
def nightly(ctx: Context[Night | Schedule]) -> Report:
    night = ctx.event.data
    if isinstance(night, Schedule):
        night = Night(day=ctx.event.time.date() - timedelta(days=1), accounts=accounts.COUNT)
    due = ctx.step.run("list-accounts", accounts.due, night.accounts)
    outcomes = ctx.step.options(retry=patient).map(
        "invoice",
        billing.invoice,
        due,
        key=lambda account: account.id,
        max_concurrency=20,
        return_exceptions=True,
    )

    failed: dict[str, str] = {}
    amounts: list[int] = []
    for account, outcome in zip(due, outcomes, strict=True):
        if isinstance(outcome, StepError):
            failed[account.id] = outcome.message
        else:
            amounts.append(outcome.amount)
    report = Report(day=night.day, invoices=len(amounts), total=sum(amounts), failed=failed)
    ctx.step.run("publish-report", reports.publish, report)
    if len(failed) > len(due) / 10:
        raise NonRetriableError(f"{len(failed)} of {len(due)} accounts could not be billed")
    return report


handler = app.handler
