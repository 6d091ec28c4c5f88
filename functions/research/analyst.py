"""The model, and what it is asked. Without RESEARCH_MODEL, the id of one on Bedrock, a stand-in on loopback answers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

from models import Finding, Plan, Report

from lambda_durable.ai import Model, Reply

T = TypeVar("T")

ANSWER = 800
REPORT = 1_200
"""Tokens that an answer and a report take at most, about: prompts included."""


def plan(topic: str) -> Reply[Plan]:
    return _ask(Plan, f"Which six questions have to be answered for a report on {topic}?", 500)


def answer(question: str) -> Reply[Finding]:
    return _ask(Finding, question, 400)


def report(topic: str, findings: Sequence[Finding]) -> Reply[Report]:
    known = "\n".join(f"- {finding.question} {finding.answer}" for finding in findings)
    return _ask(Report, f"Write a report on {topic} from this alone:\n{known}", 600)


def _ask(output: type[T], prompt: str, max_tokens: int) -> Reply[T]:
    id = os.environ.get("RESEARCH_MODEL")
    model = Model(
        id or "stand-in",
        output=output,
        system="You are a careful analyst. Say how sure you are.",
        max_tokens=max_tokens,
        endpoint_url=os.environ.get("RESEARCH_ENDPOINT_URL") if id else _stand_in(),
    )
    return model(prompt)


def _stand_in() -> str:
    import fake_model  # what it needs is for tests, and no part of a worker that has a model

    return fake_model.url()
