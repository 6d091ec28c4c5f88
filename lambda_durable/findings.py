"""Findings: what a look at a deployed app has found, told so that a person can act on it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    STUCK = "stuck"  # nothing brings it on by itself, or not in time
    WAITS = "waits"  # as it should
    ENDED = "ended"  # is over
    LEFT = "left over"  # does no harm
    UNSEEN = "unseen"  # could not be looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was found: of which `kind`, what it is about, and why it is so.

    `done` says what was done about it, `way_out` what a person can do where nothing was.
    """

    level: Level
    kind: str
    subject: str
    why: str
    way_out: str = ""
    done: str = ""

    @property
    def open(self) -> bool:
        """Whether something is stuck, and still is."""
        return self.level is Level.STUCK and not self.done
