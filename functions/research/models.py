"""What is asked for, and what the model is to answer with."""

from __future__ import annotations

from pydantic import BaseModel, Field


class Request(BaseModel):
    topic: str = Field(min_length=1, max_length=200)
    budget: int = Field(default=6_000, gt=0, description="Tokens that all answers together may take, about.")


class Plan(BaseModel):
    questions: list[str] = Field(min_length=1, max_length=8)


class Finding(BaseModel):
    question: str
    answer: str
    confidence: float = Field(ge=0, le=1)


class Report(BaseModel):
    title: str
    summary: str


class Dossier(BaseModel):
    """`failed` are questions that the model did not answer, `left_out` those that the budget did not reach."""

    report: Report
    findings: list[Finding]
    failed: list[str]
    left_out: list[str]
    tokens: int
