"""Verdicts on runs, as `verify` shows them: what differs once, with the runs that it concerns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from ..verify.judging import shape
from ..verify.report import tell
from ..verify.verdict import Change, Outcome, Verdict
from .display import Display

FEW = 3
"""Runs of a difference that are named."""

STYLES = {
    Outcome.SAME: "green",
    Outcome.GOES_ON: "green",
    Outcome.OTHERWISE: "yellow",
    Outcome.UNCLEAR: "yellow",
    Outcome.DIVERGES: "bold red",
    Outcome.SKIPPED: "dim",
}

RANKS = {outcome: rank for rank, outcome in enumerate((Outcome.DIVERGES, Outcome.UNCLEAR, Outcome.OTHERWISE))}

Key = tuple[object, ...]


def show(verdicts: Sequence[Verdict], display: Display, *, everything: bool) -> None:
    """Each difference in the words of the first run that has it, those that fail the gate first; then what was skipped.
    `everything`: all of the runs, and those that show no difference, too."""
    runs: dict[Key, list[Verdict]] = {}
    texts: dict[Key, tuple[str, str]] = {}
    for verdict in sorted(verdicts, key=lambda each: RANKS.get(each.outcome, len(RANKS))):
        for key, text, style in _said_of(verdict):
            texts.setdefault(key, (text, style))
            concerned = runs.setdefault(key, [])
            if verdict not in concerned[-1:]:  # by several branches of one step
                concerned.append(verdict)
    for key, concerned in runs.items():
        display.words([texts[key]])
        shown = concerned if everything else concerned[:FEW]
        for verdict in shown:
            _line(verdict, display)
        if more := len(concerned) - len(shown):
            display.columns([("", 2, ""), (f"and {more:,} more", 0, "dim")])
    for verdict in verdicts:
        if everything and not verdict.differences and not verdict.note:
            _line(verdict, display)


def _line(verdict: Verdict, display: Display) -> None:
    at = f"at {', '.join(map(repr, verdict.at[:3]))}" if verdict.at else ""
    told = [(verdict.function_id, 16, ""), (verdict.status, 9, "dim"), (at, 0, "dim")]
    display.columns(
        [("", 2, ""), (verdict.outcome, 14, STYLES[verdict.outcome]), (verdict.run_id, 26, "bold"), *told]
    )


def _said_of(verdict: Verdict) -> Iterator[tuple[Key, str, str]]:
    """What there is to say of a run: a key, the same where the same is to be said, a text and its style. Branches and
    repeats of a step are one, and so are texts that tell of a run's own values."""
    for each in verdict.differences:
        step, now = shape(each.step or ""), shape(each.now or "")
        style = "bold" if each.change.breaks or each.change is Change.UNCLEAR else "dim"
        yield (verdict.function_id, each.change, step, now, each.where), tell(each), style
    if verdict.note:
        yield (verdict.function_id, verdict.note), verdict.note, "dim"


def summary(verdicts: Sequence[Verdict], app: str) -> str:
    if not verdicts:
        return "there are no such runs, so none diverges"
    counts = Counter(verdict.outcome for verdict in verdicts)
    told = ", ".join(
        f"{counts[outcome]:,} {_spelled(outcome, counts[outcome])}" for outcome in Outcome if counts[outcome]
    )
    runs = "1 run" if len(verdicts) == 1 else f"{len(verdicts):,} runs"
    return f"{runs} on the code of {app!r}: {told}"


def _spelled(outcome: Outcome, count: int) -> str:
    if count == 1 or outcome in (Outcome.SAME, Outcome.UNCLEAR, Outcome.SKIPPED):
        return outcome
    return {Outcome.GOES_ON: "go on", Outcome.OTHERWISE: "end otherwise", Outcome.DIVERGES: "diverge"}[
        outcome
    ]
