"""Verdicts: what becomes of a recorded run on the code as it is now, and why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Change(StrEnum):
    """How the code differs from what is recorded."""

    RENAMED = "renamed"  # another step is called in its place
    REMOVED = "removed"
    KIND = "kind changed"
    OUTPUT = "output does not fit"  # the type that the code says it has
    LIST = "list changed"  # of a map
    EVENT = "event does not fit"
    FUNCTION = "no such function"
    RAISES = "raises"  # where the recorded run went on
    UNDO = "undo is gone"
    ADDED = "added"
    LATER = "comes later"
    END = "ends otherwise"
    UNCLEAR = "cannot say"

    @property
    def breaks(self) -> bool:
        """Whether a run in flight fails on it, forgets what it did, or does it again. Steps are found by their ids, so
        that more of them, or another order, do no harm."""
        return self not in (Change.ADDED, Change.LATER, Change.END, Change.UNCLEAR)


class Outcome(StrEnum):
    """What becomes of a run."""

    SAME = "same"  # it has ended, and would end as it did
    GOES_ON = "goes on"  # it has not ended, and the code finds all that is recorded
    OTHERWISE = "ends otherwise"  # it has ended, and now would with more steps, another output, another error
    UNCLEAR = "cannot say"
    DIVERGES = "diverges"
    SKIPPED = "skipped"  # it never comes to this code


@dataclass(frozen=True, slots=True)
class Difference:
    """One of them: at which step (None: the run as a whole), in which line of the code if that calls something new, and
    how the step is called now."""

    change: Change
    step: str | None
    why: str
    where: str = ""
    now: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of one run, and why. `at` are the steps that the code waits for, or would begin, where the recording
    ends. `note` says why it was skipped."""

    run_id: str
    function_id: str
    status: str
    outcome: Outcome
    differences: tuple[Difference, ...] = ()
    at: tuple[str, ...] = ()
    note: str = ""

    @property
    def diverges(self) -> bool:
        return self.outcome is Outcome.DIVERGES
