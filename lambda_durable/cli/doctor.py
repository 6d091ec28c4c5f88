"""`lambda-durable doctor`: what of a deployed app is stuck and why, and its repair."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict

from ..doctor.deployed import patient
from ..doctor.examination import examine, examine_run
from ..findings import Finding, Level
from .deployed import as_one_line
from .display import Display
from .loading import load_given
from .plain import write_json
from .remarks import remark
from .usage_error import UsageError

STYLES = {
    Level.STUCK: "bold red",
    Level.WAITS: "blue",
    Level.ENDED: "dim",
    Level.LEFT: "dim",
    Level.UNSEEN: "yellow",
}


def see_the_doctor(
    run_id: str | None, *, fix: bool, deep: bool, app: str | None, stack: str | None, as_json: bool
) -> bool:
    """Print what is found. Whether nothing is stuck, or nothing any more. Raises UsageError and FailedError."""
    if run_id is not None and deep:
        raise UsageError("--deep looks at all runs: leave RUN_ID out")
    with as_one_line(stack):
        who = patient(stack, load_given(app))
        found = examine(who, fix=fix, deep=deep) if run_id is None else examine_run(who, run_id, fix=fix)
        findings = list(found if as_json else _shown(found, Display(sys.stdout)))
    if as_json:
        write_json([asdict(finding) for finding in findings], sys.stdout)
    else:
        remark("doctor", _summary(findings))
    return not any(finding.open for finding in findings)


def _shown(findings: Iterable[Finding], display: Display) -> Iterator[Finding]:
    for finding in findings:
        style = "green" if finding.done else STYLES[finding.level]
        display.columns(
            [("repaired" if finding.done else finding.level, 10, style), (finding.subject, 0, "bold")]
        )
        ways = [("done" if finding.done else "way out", finding.done or finding.way_out)]
        display.fields([("why", finding.why), *(way for way in ways if way[1])])
        yield finding


def _summary(findings: list[Finding]) -> str:
    counts = Counter("repaired" if finding.done else finding.level.value for finding in findings)
    told = ", ".join(f"{count:,} {what}" for what, count in counts.items())
    return (
        told if any(finding.open for finding in findings) else f"nothing is stuck ({told or 'all is well'})"
    )
