"""Pauses: what is held back of a function, or of one run, and what a process knows of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol

Events = Literal["hold", "skip"]
Runs = Literal["hold", "cancel"]

EFFECT = timedelta(seconds=10)
"""How old a process lets what it knows of paused functions become: as long as a pause takes to have its effect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """A pause of a function: its `number` counts them, `at` is when it began (milliseconds). New `events` are held
    or skipped, `runs` that have begun go on when it is `over`, or are cancelled."""

    number: int
    at: int
    events: Events = "hold"
    runs: Runs = "hold"
    over: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Where messages are kept during a pause: that of a function, or of a run, with its number."""

    number: int
    function: str = ""
    run: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """How much is held of a function: `events` that become runs, and `messages` of its runs; at least so many, if there
    is `more` than was counted."""

    events: int = 0
    messages: int = 0
    more: bool = False


class KnowsPauses(Protocol):
    """What is read of the store."""

    def pauses(self, *, latest: bool = False) -> Mapping[str, Pause]: ...


class Pauses:
    """What one process knows of paused functions. It reads that when it needs it, and what it knows has become too
    old: so a pause costs who never uses it half a read unit in ten seconds, and a cold start nothing (its first look
    at the table is this one)."""

    def __init__(self) -> None:
        self._known: Mapping[str, Pause] = {}
        self._read: datetime | None = None

    def of(self, store: KnowsPauses, now: datetime, function_id: str) -> Pause | None:
        """The pause that a function is in."""
        if self._read is None or not timedelta() <= now - self._read < EFFECT:
            self.learn(store.pauses(), now)
        pause = self._known.get(function_id)
        return None if pause is None or pause.over else pause

    def learn(self, known: Mapping[str, Pause], now: datetime) -> None:
        self._known, self._read = known, now

    def forget(self) -> None:
        """Something has changed: it is read anew."""
        self._read = None
