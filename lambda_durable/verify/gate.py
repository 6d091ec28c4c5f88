"""The gate: many recordings, each with its verdict."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from ..function import App
from .judging import shape, verify
from .recording import Recording
from .verdict import Change, Outcome, Verdict


def verify_all(recordings: Iterable[Recording], app: App) -> list[Verdict]:
    """A verdict for each recording, in their order; each is let go of when it has one.

    A step that any of them has is the new name of none: so a step which the code calls in the place of another may turn
    out to be one that came after it all the time.
    """
    verdicts: list[Verdict] = []
    ids: dict[str, set[str]] = {}
    doubtful: dict[int, Recording] = {}
    for place, recording in enumerate(recordings):
        verdict = verify(recording, app)
        verdicts.append(verdict)
        ids.setdefault(verdict.function_id, set()).update(shape(each.path) for each in recording.records())
        if any(each.change is Change.RENAMED for each in verdict.differences):
            doubtful[place] = recording
    for place, recording in doubtful.items():
        old_ids = ids[recording.header.function_id]
        if any(each.now is not None and shape(each.now) in old_ids for each in verdicts[place].differences):
            verdicts[place] = verify(recording, app, old_ids=old_ids)
    return verdicts


def passes(verdicts: Sequence[Verdict], *, strict: bool = False, allow_unclear: bool = False) -> bool:
    """Whether the code may be deployed: no run diverges, and of each it can be said, unless you
    `allow_unclear`. If it is to be `strict`, each run is the same, or goes on, and nothing is added or moved."""
    refused = {Outcome.DIVERGES}
    if not allow_unclear:
        refused.add(Outcome.UNCLEAR)
    if strict:
        refused.add(Outcome.OTHERWISE)
    return not any(_is_refused(verdict, refused, strict=strict) for verdict in verdicts)


def _is_refused(verdict: Verdict, refused: Collection[Outcome], *, strict: bool) -> bool:
    added_or_moved = any(each.change in (Change.ADDED, Change.LATER) for each in verdict.differences)
    return verdict.outcome in refused or (strict and added_or_moved)
