"""Verdicts, as people and programs read them."""

from __future__ import annotations

import os
from typing import Any

from ..engine import paths
from .verdict import Difference, Verdict


def explain(verdict: Verdict) -> str:
    """One verdict as text: a line, and one for each difference."""
    head = f"run {verdict.run_id} of {verdict.function_id!r} ({verdict.status}) {verdict.outcome}"
    return "\n".join([head, *(f"  {tell(each)}" for each in verdict.differences)])


def tell(difference: Difference) -> str:
    """A difference in one line."""
    where = f" ({place(difference)})" if difference.where else ""
    return f"{difference.change}: {difference.why}{where}"


def place(difference: Difference) -> str:
    """The line of the code, as short as it can be said here."""
    path, _, line = difference.where.rpartition(":")
    here = os.path.relpath(path) if path.startswith(os.getcwd() + os.sep) else path
    return f"{here}:{line}"


def as_plain(verdict: Verdict) -> dict[str, Any]:
    """A verdict as JSON values."""
    return {
        "run_id": verdict.run_id,
        "function_id": verdict.function_id,
        "status": verdict.status,
        "outcome": verdict.outcome.value,
        "at": [paths.shown(path) for path in verdict.at],
        "note": verdict.note,
        "differences": [
            {
                "change": each.change.value,
                "breaks": each.change.breaks,
                "step": each.step,
                "now": each.now,
                "why": each.why,
                "where": place(each) if each.where else "",
            }
            for each in verdict.differences
        ],
    }
