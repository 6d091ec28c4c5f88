"""The first weeks of a new customer, told as they happen."""

from __future__ import annotations

import asyncio

import emails
import people
import workspaces
from models import Onboarded, Signup, Workspace

from lambda_durable import AsyncContext, Durable, StepError, on_event

app = Durable("crm")


@app.function("onboarding", on_event("app/user.signed-up", Signup), labels=lambda event: [event.data.user])
async def onboarding(ctx: AsyncContext[Signup]) -> Onboarded:
    customer = ctx.event.data
    await ctx.step.run("welcome", emails.send, "welcome", customer.email)
    workspace = await ctx.step.group("workspace", set_up_workspace, ctx)
    await ctx.step.sleep("settle-in", "1d")

    done = Onboarded(user=customer.user, workspace=workspace, outcome="active")
    match customer.plan:
        case "free":
            return await nurture(ctx, done)
        case "team":
            return await invite_teammates(ctx, done)
        case "enterprise":
            return await hand_over_to_sales(ctx, done)


async def set_up_workspace(ctx: AsyncContext[Signup]) -> Workspace:
    id = await ctx.step.run("create", workspaces.create, ctx.event.data.user)
    project, key = await asyncio.gather(
        ctx.step.run("sample-project", workspaces.add_sample_project, id),
        ctx.step.run("api-key", workspaces.create_api_key, id),
    )
    return Workspace(id=id, project=project, api_key_id=key)


async def nurture(ctx: AsyncContext[Signup], done: Onboarded) -> Onboarded:
    customer = ctx.event.data
    await ctx.step.run("tips", emails.send, "five-tips", customer.email)
    await ctx.step.sleep("two-weeks", "14d")
    if await ctx.step.run("been-active", people.has_been_active, customer.user):
        await ctx.step.run("offer-upgrade", emails.send, "upgrade", customer.email)
        return done
    await ctx.step.run("we-miss-you", emails.send, "we-miss-you", customer.email)
    return done.model_copy(update={"outcome": "won back"})


async def invite_teammates(ctx: AsyncContext[Signup], done: Onboarded) -> Onboarded:
    """An address that bounces is noted; it is no reason to fail."""
    mates = ctx.event.data.teammates
    sent = await asyncio.gather(
        *(ctx.step.run(f"invite-{mate}", emails.send, "invitation", mate) for mate in mates),
        return_exceptions=True,
    )
    bounced = [mate for mate, result in zip(mates, sent, strict=True) if isinstance(result, StepError)]
    invited = [mate for mate in mates if mate not in bounced]
    return done.model_copy(update={"outcome": "team", "invited": invited, "bounced": bounced})


async def hand_over_to_sales(ctx: AsyncContext[Signup], done: Onboarded) -> Onboarded:
    customer = ctx.event.data
    async with asyncio.TaskGroup() as side_by_side:
        manager = side_by_side.create_task(
            ctx.step.run("assign-manager", people.assign_manager, customer.user)
        )
        side_by_side.create_task(ctx.step.run("book-kickoff", people.book_kickoff, customer.email))
    await ctx.step.run("introduce", emails.send, f"meet-{manager.result().lower()}", customer.email)
    return done.model_copy(update={"outcome": "enterprise"})


handler = app.handler
