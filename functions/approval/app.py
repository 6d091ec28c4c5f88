"""An expense claim waits for a manager: asks, reminds after a day, gives up after a week."""

from __future__ import annotations

import asyncio
from functools import partial

import mail
import payroll
from models import Claim, Decision, Outcome

from lambda_durable import AsyncContext, CallbackError, Durable, Retry, StepError, StepTimeoutError, on_event

app = Durable("expenses")


@app.function(
    "approval",
    on_event("expenses/claim.submitted", Claim),
    retry=Retry(max_attempts=4, initial_delay="10s"),
    labels=lambda event: [event.data.number, event.data.employee],
)
async def approval(ctx: AsyncContext[Claim]) -> Outcome:
    claim = ctx.event.data

    # The wait goes on while the reminder goes out: it is one question, with one token.
    answer = asyncio.create_task(
        ctx.step.wait_for_callback("decision", partial(mail.ask, claim), timeout="7d", model=Decision)
    )
    a_day = asyncio.create_task(ctx.step.sleep("a-day", "1d"))
    await asyncio.wait({answer, a_day}, return_when=asyncio.FIRST_COMPLETED)
    reminded = not answer.done()
    if reminded:
        await ctx.step.run("remind", mail.remind, claim)

    outcome = Outcome(claim=claim.number, status="declined", reminded=reminded)
    try:
        decision = await answer
    except StepTimeoutError:
        outcome.status, outcome.note = "expired", "nobody has answered for a week"
    except CallbackError as error:  # the page said so: the manager has left, say
        outcome.note = error.message
    except StepError as error:  # it could not even be asked
        outcome.status, outcome.note = "undeliverable", error.message
    else:
        outcome.note = decision.note
        if decision.approved:
            await ctx.step.run("pay", payroll.add, claim.employee, claim.number, claim.amount)
            outcome.status = "paid"
    await ctx.step.run("tell", mail.tell, claim, outcome)
    return outcome


handler = app.handler
