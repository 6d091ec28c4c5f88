"""Stands in for a model: it knows little, is often busy, and repeats no rumours."""

from __future__ import annotations

import zlib
from functools import cache
from typing import Any

from lambda_durable.testing.model_server import Answer, ModelServer, Refusal, Stop

ASPECTS = (
    "What is {}?",
    "Who needs {}?",
    "What does {} cost?",
    "Which rumours are there about {}?",
    "What may go wrong with {}?",
    "What comes after {}?",
)


@cache
def url() -> str:
    """Where it listens, from the first time on that somebody asks."""
    return ModelServer(_answer).url


def _answer(request: dict[str, Any]) -> Answer:
    prompt = request["messages"][0]["content"][0]["text"]
    if request["requestMetadata"]["attempt"] == "1" and zlib.crc32(prompt.encode()) % 3 == 0:
        return Refusal(429, "ThrottlingException", retry_after=20)
    if "rumours" in prompt and prompt.endswith("?"):
        return Stop("content_filtered")
    (tool, *_) = request["toolConfig"]["tools"]
    match tool["toolSpec"]["inputSchema"]["json"]["title"]:
        case "Plan":
            topic = prompt.partition("report on ")[2].removesuffix("?")
            return {"questions": [aspect.format(topic) for aspect in ASPECTS]}
        case "Finding":
            return {"question": prompt, "answer": "More than one would think.", "confidence": 0.4}
        case _:
            return {"title": "What is known", "summary": f"{prompt.count('- ')} things are known."}
