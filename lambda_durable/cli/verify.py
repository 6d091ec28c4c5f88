"""`lambda-durable verify`: which runs would diverge on the present code."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from ..verify import deployed
from ..verify.files import read_files
from ..verify.gate import passes, verify_all
from ..verify.recording import Recording
from ..verify.report import as_plain
from ..verify.verdict import Outcome, Verdict
from .choice import choice_of
from .deployed import as_one_line
from .display import Display
from .loading import load_app
from .plain import write_json
from .progress import counted
from .remarks import remark
from .usage_error import UsageError
from .verdicts import show, summary


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
    allow_unclear: bool,
    everything: bool,
    stack: str | None,
    as_json: bool,
) -> bool:
    """Print what becomes of runs. Whether the gate is passed. Raises UsageError and FailedError."""
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
        show(verdicts, Display(stdout), everything=everything)
    remark("verify", summary(verdicts, app.id))
    if not journals and len(verdicts) >= limit:
        remark("verify", f"it looked at {limit:,} runs and no further; --limit says how far")
    return passes(verdicts, strict=strict, allow_unclear=allow_unclear)


def _recorded(journals: Sequence[Path], functions: Sequence[str]) -> Iterator[Recording]:
    for _, recording in chain.from_iterable(map(read_files, journals)):
        if not functions or recording.header.function_id in functions:
            yield recording


def _unread(run_id: str, error: Exception) -> Verdict:
    return Verdict(run_id, "", "", Outcome.UNCLEAR, note=f"it can't be read: {error}")
