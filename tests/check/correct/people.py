"""People who answer: approvals, onboarding, support, reminders."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from enum import StrEnum
from functools import partial
from typing import Any

import boto3
from pydantic import BaseModel

from lambda_durable import (
    AsyncContext,
    CallbackError,
    CancelOn,
    Context,
    Durable,
    Retry,
    StepError,
    StepTimeoutError,
    Timeouts,
    on_event,
)

app = Durable("people")
logger = logging.getLogger(__name__)
ses = boto3.client("ses", region_name="us-east-1")


class Verdict(StrEnum):
    YES = "yes"
    NO = "no"


class Decision(BaseModel):
    verdict: Verdict
    note: str = ""


class User(BaseModel):
    id: str
    email: str
    plan: str = "free"
    team: list[str] = []


def send(template: str, to: str, **words: Any) -> None:
    logger.info("sending %s to %s", template, to)
    ses.send_templated_email(Template=template, Destination={"ToAddresses": [to]}, TemplateData=str(words))


async def send_async(template: str, to: str) -> None:
    await asyncio.to_thread(send, template, to)


@app.function("expense", on_event("expense.filed"))
def expense(ctx: Context[dict]) -> str:
    """Small ones pass, others ask each manager in turn."""
    claim = ctx.event.data
    if claim["amount"] < 100:
        return "paid"
    for level, manager in enumerate(claim["managers"]):
        try:
            decision = ctx.step.wait_for_callback(
                f"ask-{level}",
                lambda callback, to=manager: send("approve", to, token=callback.token),
                timeout="3d",
                model=Decision,
            )
        except StepTimeoutError:
            continue
        except CallbackError as error:
            ctx.logger.warning("the page failed: %s", error)
            continue
        if decision.verdict is Verdict.NO:
            ctx.step.run("declined", send, "declined", claim["employee"], note=decision.note)
            return "declined"
        return "paid"
    return "nobody answered"


@app.function("vote")
async def vote(ctx: AsyncContext[dict]) -> str:
    """Two of three must agree; who comes first decides."""

    async def ask(member: str) -> bool:
        answer = await ctx.step.wait_for_callback(f"ask-{member}", partial(notify, member), timeout="7d")
        return bool(answer["agrees"])

    tasks = {asyncio.create_task(ask(member), name=member) for member in ctx.event.data["members"]}
    yes = 0
    while tasks and yes < 2:
        done, tasks = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        yes += sum(task.result() for task in done)
    for task in tasks:
        task.cancel()
    return "carried" if yes >= 2 else "lost"


def notify(member: str, callback: Any) -> None:
    send("vote", member, token=callback.token)


@app.function(
    "onboard", on_event("user.signed-up", User), cancel_on=CancelOn("user.deleted", match="data.id")
)
async def onboard(ctx: AsyncContext[User]) -> str:
    """Each plan has its own way."""
    user = ctx.event.data
    await ctx.step.run("welcome", send, "welcome", user.email)
    ways = {"free": nurture, "team": invite}
    way = ways.get(user.plan, nurture)
    return await way(ctx, user)


async def nurture(ctx: AsyncContext[User], user: User) -> str:
    for day in range(1, 8):
        await ctx.step.sleep(f"day-{day}", "1d")
        opened = await ctx.step.wait_for_event(f"opened-{day}", "mail.opened", match="data.id", timeout="12h")
        if opened is None:
            await ctx.step.run(f"nudge-{day}", send_async, f"nudge-{day}", user.email)
        elif opened.data["link"] == "upgrade":
            return "upgraded"
    return "nurtured"


async def invite(ctx: AsyncContext[User], user: User) -> str:
    outcomes = await asyncio.gather(
        *(ctx.step.run(f"invite-{mate}", send, "invite", mate) for mate in user.team), return_exceptions=True
    )
    bounced = [
        mate for mate, outcome in zip(user.team, outcomes, strict=True) if isinstance(outcome, StepError)
    ]
    if bounced:
        await ctx.step.run("bounced", send, "bounced", user.email, who=bounced)
    return f"{len(user.team) - len(bounced)} invited"


@app.function("ticket", on_event("ticket.opened"), timeouts=Timeouts(finish="30d"))
def ticket(ctx: Context[dict]) -> str:
    """Escalates until somebody takes it."""
    level = 0
    taken = None
    while taken is None and level < 3:
        ctx.step.run(f"page-{level}", send, "page", ctx.event.data["rota"][level])
        taken = ctx.step.wait_for_signal(
            f"taken-{level}", f"taken-{ctx.run_id}", timeout=timedelta(minutes=15)
        )
        level += 1
    if taken is None:
        ctx.step.run("give-up", send, "nobody", "boss@example.com")
        return "open"
    solved = ctx.step.wait_for_event(
        "solved", ["ticket.solved", "ticket.closed"], match="data.id", timeout="14d"
    )
    return solved.name if solved else "stale"


class Survey:
    """State of a handler in an object that the handler makes."""

    def __init__(self, ctx: Context[dict]) -> None:
        self.ctx = ctx
        self.answers: list[str] = []

    def ask(self, question: str) -> None:
        self.ctx.step.run(f"ask-{question}", send, question, self.ctx.event.data["to"])
        answer = self.ctx.step.wait_for_signal(
            f"answer-{question}", f"{self.ctx.run_id}-{question}", timeout="2d"
        )
        self.answers.append(str(answer.data) if answer else "none")


@app.function("survey")
def survey(ctx: Context[dict]) -> list[str]:
    talk = Survey(ctx)
    for question in ("name", "colour"):
        talk.ask(question)
    return talk.answers


@app.function("password-reset", retry=Retry.never())
def password_reset(ctx: Context[dict]) -> bool:
    code = f"{ctx.random.randint(0, 999_999):06}"
    ctx.step.run("send-code", send, "code", ctx.event.data["email"], code=code)
    for attempt in range(3):
        given = ctx.step.wait_for_signal(f"code-{attempt}", ctx.run_id, timeout="10m")
        if given is None:
            break
        if given.data == code:
            return True
    return False


@app.function("greet-all")
async def greet_all(ctx: AsyncContext[dict]) -> None:
    async with asyncio.TaskGroup() as group:
        for name in sorted(set(ctx.event.data["names"])):
            group.create_task(ctx.step.group(f"greet-{name}", greet_one, ctx, name))


async def greet_one(ctx: AsyncContext[dict], name: str) -> None:
    await ctx.step.run("hello", send, "hello", name)
    await ctx.step.sleep("a-day", "1d")
    await ctx.step.run("how-are-you", send, "how", name)
