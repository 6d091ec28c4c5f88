"""Nightly billing: an invoice for each account, twenty at a time; what fails is reported, not fatal."""

from __future__ import annotations

import accounts
import billing
import reports
from models import Night, Report

from lambda_durable import Context, Durable, NonRetriableError, Retry, StepError, on_event

app = Durable("billing")

patient = Retry(max_attempts=4, initial_delay="10s", multiplier=3, max_delay="5m")


@app.function("nightly", on_event("billing/night.began", Night))
def nightly(ctx: Context[Night]) -> Report:
    night = ctx.event.data
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
