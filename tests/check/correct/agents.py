"""Models and tools: agents in a loop, research side by side, a reviewed draft."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import requests
from pydantic import BaseModel

from lambda_durable import AsyncContext, Context, Durable, Retry, RetryAfterError, StepError, on_event
from lambda_durable.ai import Model, Usage

app = Durable("agents", retry=Retry(max_attempts=6))


class Call(BaseModel):
    tool: str
    argument: str


class Turn(BaseModel):
    calls: list[Call] = []
    answer: str | None = None


thinker = Model("anthropic.claude-sonnet", output=Turn, system="You use tools.")
writer = Model("anthropic.claude-haiku", max_tokens=2_000)


def search(query: str) -> str:
    reply = requests.get("https://search.example.com", params={"q": query}, timeout=10)
    if reply.status_code == 503:
        raise RetryAfterError("busy", "30s")
    return reply.text


def calculate(expression: str) -> str:
    return str(sum(int(part) for part in expression.split("+")))


TOOLS: dict[str, Callable[[str], str]] = {"search": search, "calculate": calculate}


@dataclass(frozen=True)
class Talk:
    messages: tuple[dict[str, str], ...] = ()

    def add(self, role: str, text: str) -> Talk:
        return replace(self, messages=(*self.messages, {"role": role, "text": text}))


@app.function("agent", on_event("question.asked"))
def agent(ctx: Context[dict]) -> str:
    """Think, act, look, until there is an answer."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": [{"text": ctx.event.data["question"]}]}]
    for turn in range(10):
        reply = ctx.step.run(f"think-{turn}", thinker, messages)
        if reply.output.answer is not None:
            return str(reply.output.answer)
        for number, call in enumerate(reply.output.calls):
            tool = TOOLS.get(call.tool)
            if tool is None:
                messages.append({"role": "user", "content": [{"text": f"there is no tool {call.tool}"}]})
                continue
            try:
                found = ctx.step.run(f"tool-{turn}-{number}", tool, call.argument)
            except StepError as error:
                found = f"it failed: {error.message}"
            messages.append({"role": "user", "content": [{"text": found}]})
    return "I gave up"


@app.function("research")
async def research(ctx: AsyncContext[dict]) -> dict[str, Any]:
    """Questions side by side, within a budget."""
    topics: list[str] = ctx.event.data["topics"]
    replies = await asyncio.gather(*(ctx.step.run(f"ask-{topic}", writer, topic) for topic in topics))
    spent = sum((reply.usage for reply in replies), Usage()).total_tokens
    notes = {topic: reply.text for topic, reply in zip(topics, replies, strict=True)}
    if spent > 10_000:
        return {"notes": notes, "report": None}
    report = await ctx.step.run("report", writer, json.dumps(notes, sort_keys=True))
    return {"notes": notes, "report": report.text}


@app.function("draft")
def draft(ctx: Context[dict]) -> str:
    """A person reads each draft."""
    text = ctx.step.run("first", writer, ctx.event.data["brief"]).text
    version = 1
    while True:
        verdict = ctx.step.wait_for_callback(
            f"review-{version}", lambda callback: post(callback.token), timeout="5d"
        )
        if verdict["ok"]:
            return text
        version += 1
        text = ctx.step.run(f"draft-{version}", writer, f"{text}\n\n{verdict['notes']}").text


def post(token: str) -> None:
    requests.post("https://chat.example.com", json={"token": token}, timeout=10)


@app.function("judge")
async def judge(ctx: AsyncContext[dict]) -> str:
    """Several candidates, and the best of them."""

    async def candidate(number: int) -> tuple[int, str]:
        reply = await ctx.step.run(f"candidate-{number}", writer, ctx.event.data["task"])
        score = await ctx.step.run(f"score-{number}", score_of, reply.text)
        return score, reply.text

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(candidate(number)) for number in range(3)]
    return max(task.result() for task in tasks)[1]


def score_of(text: str) -> int:
    return len(set(text.split()))


@app.function("support-chat")
def support_chat(ctx: Context[dict]) -> int:
    talk = Talk().add("user", ctx.event.data["text"])
    rounds = 0
    while rounds < 20:
        reply = ctx.step.run(f"reply-{rounds}", writer, "\n".join(each["text"] for each in talk.messages))
        talk = talk.add("assistant", reply.text)
        said = ctx.step.wait_for_signal(f"said-{rounds}", f"chat-{ctx.run_id}", timeout="1h")
        if said is None:
            break
        talk = talk.add("user", said.data)
        rounds += 1
    return rounds
