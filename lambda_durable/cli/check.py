"""`lambda-durable check`: what of handlers' code a replay would not repeat."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..check import RULES, Finding, Report, check
from ..check.sarif import sarif
from .check_settings import check_rules, check_settings
from .display import Display
from .loading import file_of, similar
from .plain import write_json
from .remarks import remark
from .replays import Runs, plain, replay_runs, show, summary
from .usage_error import UsageError

__all__ = ["Runs", "check_code", "list_rules"]


def check_code(
    paths: Sequence[Path],
    *,
    ignore: Sequence[str],
    notes: bool,
    as_json: bool,
    as_sarif: bool,
    replay: str | None = None,
    runs: Runs | None = None,
) -> bool:
    """Print what is found, in the code (that which the project's settings name, unless `paths` do) and by replaying
    runs of an app. Whether that is nothing. Raises UsageError and FailedError."""
    if as_json and as_sarif:
        raise UsageError("--json and --sarif are two formats: take one")
    if replay is not None and as_sarif:
        raise UsageError("--sarif is for what is found in the code: leave --replay out")
    check_rules(ignore, "--ignore")
    settings = check_settings()
    paths = paths or settings.paths or [file_of(replay) if replay is not None else Path()]
    for path in paths:
        if not path.exists():
            raise UsageError(f"there is no {path}{similar(path)}")
    report = check(paths, ignore=[*ignore, *settings.left_out])
    repetitions = replay_runs(replay, runs or Runs()) if replay is not None else []
    if as_sarif:
        write_json(sarif(report), sys.stdout)
    elif as_json:
        replays = [plain(each) for each in repetitions]
        write_json(_plain(report) | ({"replays": replays} if replay is not None else {}), sys.stdout)
    else:
        display = Display(sys.stdout)
        _show([*report.findings, *(report.notes if notes else [])], display)
        show(repetitions, display)
    if report.unreadable:
        raise UsageError("\n".join(report.unreadable))
    if not report.files:
        raise UsageError(f"there is no Python in {', '.join(map(str, paths))}")
    if not as_json and not as_sarif:
        told = [_summary(report, notes=notes), *([summary(repetitions)] if replay is not None else [])]
        remark("check", "; ".join(told))
    return not report.findings and not any(each.differs for each in repetitions)


def list_rules(*, as_json: bool) -> None:
    """Print the rules."""
    if as_json:
        write_json([asdict(rule) for rule in RULES.values()], sys.stdout)
        return
    display = Display(sys.stdout)
    for rule in RULES.values():
        display.words([(rule.id, "bold"), (rule.title, "")])
        display.fields([("why", rule.why), ("way out", rule.way_out)])


def _show(findings: Iterable[Finding], display: Display) -> None:
    """One line each; the way out where a rule is broken for the first time."""
    told = set()
    for finding in sorted(findings, key=lambda each: (each.path, each.line, each.column)):
        place = f"{finding.path}:{finding.line}:{finding.column}:"
        style = "yellow" if RULES[finding.rule].note else "bold red"
        display.words([(place, "bold"), (finding.rule, style), (finding.told, "")])
        if finding.rule not in told:
            told.add(finding.rule)
            display.words([("    way out:", "dim"), (RULES[finding.rule].way_out, "")])


def _plain(report: Report) -> dict[str, Any]:
    return {
        "findings": [_plain_finding(finding) for finding in report.findings],
        "notes": [_plain_finding(finding) for finding in report.notes],
        "unreadable": report.unreadable,
        "files": report.files,
        "handlers": report.handlers,
    }


def _plain_finding(finding: Finding) -> dict[str, Any]:
    rule = RULES[finding.rule]
    return {**asdict(finding), "why": rule.why, "way_out": rule.way_out}


def _summary(report: Report, *, notes: bool) -> str:
    looked = f"{_count(report.handlers, 'handler')} in {_count(report.files, 'file')}"
    found = f"{_count(len(report.findings), 'finding')}" if report.findings else "nothing found"
    if not report.notes:
        return f"{found} ({looked})"
    told = "" if notes else "; --notes lists them"
    return f"{found} ({looked}), {_count(len(report.notes), 'note')} on what could not be looked into{told}"


def _count(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
