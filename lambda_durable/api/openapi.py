"""The API's description of itself, for machines."""

from __future__ import annotations

import json
import re
from typing import Any

from .backend import Resolver
from .problems import JSON, Problem

TITLE = "lambda_durable"
INVALID = ("HTTPValidationError", "ValidationError")
"""What Powertools describes, and what is answered otherwise here."""


def describe(resolver: Resolver) -> dict[str, Any]:
    """OpenAPI 3.1. Every answer that is none of success is a Problem."""
    told: dict[str, Any] = json.loads(
        resolver.get_openapi_json_schema(
            title=TITLE,
            version="1",
            description="Durable functions: events, runs, functions, and what waits.",
        )
    )
    schemas = told.setdefault("components", {}).setdefault("schemas", {})
    for name in INVALID:
        schemas.pop(name, None)
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= problem.pop("$defs", {})
    schemas["Problem"] = problem
    content = {JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for operations in told.get("paths", {}).values():
        for operation in operations.values():
            operation["responses"].pop("422", None)
            operation["responses"]["default"] = {"description": "What went wrong", "content": content}
    told.pop("servers", None)
    return told


def methods(description: dict[str, Any], path: str) -> list[str]:
    """What a path takes."""
    for template, operations in description["paths"].items():
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path):
            return sorted(method.upper() for method in operations)
    return []
