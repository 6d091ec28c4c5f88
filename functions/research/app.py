"""Research on a topic: a model plans questions, answers them side by side, and writes a report, within a budget."""

from __future__ import annotations

import analyst
from models import Dossier, Finding, Request

from lambda_durable import Context, Durable, Retry, StepError, on_event

app = Durable("research", retry=Retry(max_attempts=8))

AT_ONCE = 3
"""Questions that are asked side by side; the budget is looked at in between."""


@app.function("research", on_event("research/requested", Request), labels=lambda event: [event.data.topic])
def research(ctx: Context[Request]) -> Dossier:
    request = ctx.event.data
    plan = ctx.step.run("plan", analyst.plan, request.topic)
    spent, open_questions = plan.usage, plan.output.questions
    findings: list[Finding] = []
    failed: list[str] = []

    while open_questions:
        left = request.budget - spent.total_tokens - analyst.REPORT
        wave = open_questions[: min(AT_ONCE, max(left // analyst.ANSWER, 0))]
        if not wave:
            ctx.logger.info("the budget is used up, with questions left: %d", len(open_questions))
            break
        replies = ctx.step.map(
            "answer", analyst.answer, wave, max_concurrency=AT_ONCE, return_exceptions=True
        )
        for question, reply in zip(wave, replies, strict=True):
            if isinstance(reply, StepError):
                failed.append(question)
            else:
                findings.append(reply.output)
                spent += reply.usage
        open_questions = open_questions[len(wave) :]

    report = ctx.step.run("report", analyst.report, request.topic, findings)
    spent += report.usage
    return Dossier(
        report=report.output,
        findings=findings,
        failed=failed,
        left_out=open_questions,
        tokens=spent.total_tokens,
    )


handler = app.handler
