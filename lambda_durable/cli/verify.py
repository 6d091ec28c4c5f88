"""`lambda-durable verify`: which runs would diverge on the present code."""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import IO

from ..app import Durable
from ..verify import deployed
from ..verify.files import read_files
from ..verify.gate import passes, verify_all
from ..verify.recording import Recording
from ..verify.report import as_plain, tell
from ..verify.verdict import Outcome, Verdict
from .choice import choice_of
from .deployed import as_one_line
from .display import Display
from .loading import load_app
from .plain import write_json
from .progress import counted
from .usage_error import UsageError

STYLES = {
    Outcome.SAME: "green",
    Outcome.GOES_ON: "green",
    Outcome.OTHERWISE: "yellow",
    Outcome.UNCLEAR: "yellow",
    Outcome.DIVERGES: "bold red",
    Outcome.SKIPPED: "dim",
}


def verify_runs(
    reference: str,
    journals: Sequence[Path],
    *,
    functions: Sequence[str],
    statuses: Sequence[str],
    since: str | None,
    until: str | None,
    limit: int,
    strict: bool,
    everything: bool,
    stack: str | None,
    as_json: bool,
) -> bool:
    """Print what becomes of runs. Whether none diverges. Raises UsageError and FailedError."""
    if journals and (statuses or since or until):
        raise UsageError("--status, --since and --until choose runs of the table: leave JOURNALS out")
    stdout = sys.stdout
    # What the user's code prints must not get among the JSON.
    with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext(), as_one_line(stack):
        app = load_app(reference)
        unread: list[Verdict] = []
        if journals:
            found = _recorded(journals, functions)
        else:
            choice = choice_of(functions, statuses, since, until, limit)
            found = deployed.recordings(
                deployed.world_of(stack, app), choice, lambda run, error: unread.append(_unread(run, error))
            )
        verdicts = [*verify_all(counted(found, "runs"), app), *unread]
    if as_json:
        write_json([as_plain(verdict) for verdict in verdicts], stdout)
    else:
        _show(verdicts, stdout, everything=everything)
    sys.stderr.write(f"lambda-durable verify: {_summary(verdicts, app)}\n")
    if not journals and len(verdicts) >= limit:
        sys.stderr.write(
            f"lambda-durable verify: it looked at {limit:,} runs and no further; --limit says how far\n"
        )
    return passes(verdicts, strict=strict)


def _recorded(journals: Sequence[Path], functions: Sequence[str]) -> Iterator[Recording]:
    for _, recording in chain.from_iterable(map(read_files, journals)):
        if not functions or recording.header.function_id in functions:
            yield recording


def _unread(run_id: str, error: Exception) -> Verdict:
    return Verdict(run_id, "", "", Outcome.UNCLEAR, note=f"it can't be read: {error}")


def _show(verdicts: Sequence[Verdict], stream: IO[str], *, everything: bool) -> None:
    display = Display(stream)
    for verdict in verdicts:
        if not everything and not verdict.differences and verdict.outcome in (Outcome.SAME, Outcome.GOES_ON):
            continue
        at = f"at {', '.join(map(repr, verdict.at[:3]))}" if verdict.at else ""
        told = [(verdict.function_id, 16, ""), (verdict.status, 9, "dim"), (at, 0, "dim")]
        display.columns([(verdict.outcome, 14, STYLES[verdict.outcome]), (verdict.run_id, 26, "bold"), *told])
        for difference in verdict.differences:
            display.columns([("", 14, ""), (tell(difference), 0, "" if difference.change.breaks else "dim")])
        if verdict.note:
            display.columns([("", 14, ""), (verdict.note, 0, "dim")])


def _summary(verdicts: Sequence[Verdict], app: Durable) -> str:
    if not verdicts:
        return "there are no such runs, so none diverges"
    counts = Counter(verdict.outcome for verdict in verdicts)
    told = ", ".join(
        f"{counts[outcome]:,} {_spelled(outcome, counts[outcome])}" for outcome in Outcome if counts[outcome]
    )
    return f"{len(verdicts):,} runs on the code of {app.id!r}: {told}"


def _spelled(outcome: Outcome, count: int) -> str:
    if count == 1 or outcome in (Outcome.SAME, Outcome.UNCLEAR, Outcome.SKIPPED):
        return outcome
    return {Outcome.GOES_ON: "go on", Outcome.OTHERWISE: "end otherwise", Outcome.DIVERGES: "diverge"}[
        outcome
    ]
