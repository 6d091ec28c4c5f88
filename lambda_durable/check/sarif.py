"""Findings as SARIF 2.1.0 (OASIS), which code scanning services show beside the code."""

from __future__ import annotations

from importlib import metadata
from typing import Any
from urllib.parse import quote

from .checking import Report
from .frames import Finding
from .rules import RULES, Rule

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def sarif(report: Report) -> dict[str, Any]:
    """The report as a SARIF log of one run."""
    unreadable = [{"level": "error", "message": {"text": text}} for text in report.unreadable]
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "lambda-durable check",
                        **_version(),
                        "rules": [_rule(rule) for rule in RULES.values()],
                    }
                },
                "invocations": [
                    {"executionSuccessful": not unreadable, "toolExecutionNotifications": unreadable}
                ],
                "columnKind": "unicodeCodePoints",
                "results": [_result(finding) for finding in (*report.findings, *report.notes)],
            }
        ],
    }


def _version() -> dict[str, str]:
    try:
        return {"semanticVersion": metadata.version("lambda-durable")}
    except metadata.PackageNotFoundError:  # it is run from its sources
        return {}


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.why},
        "help": {"text": f"Way out: {rule.way_out}"},
        "defaultConfiguration": {"level": "note" if rule.note else "error"},
    }


def _result(finding: Finding) -> dict[str, Any]:
    rule = RULES[finding.rule]
    return {
        "ruleId": finding.rule,
        "ruleIndex": list(RULES).index(finding.rule),
        "level": "note" if rule.note else "error",
        "message": {"text": finding.told},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": quote(finding.path)},
                    "region": {
                        "startLine": finding.line,
                        "startColumn": finding.column,
                        "endLine": finding.end_line,
                        "endColumn": finding.end_column,
                    },
                }
            }
        ],
    }
