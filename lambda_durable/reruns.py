"""Reruns, as the runtime needs them of the state (store.py)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from .engine.journal import Header, Record


class Reruns(Protocol):
    """The part of the `Store` port by which a run begins with what another one has."""

    def link_rerun(self, run_id: str, rerun: str) -> None:
        """Note a rerun of a run, if that is still there, and has not too many of them. Idempotent."""
        ...

    def keep_all(self, run_id: str, records: Sequence[Record]) -> None:
        """Write each record where there is none. Idempotent; a transaction for each hundred of them."""
        ...

    def all_kept(self, header: Header, *, undoes: bool) -> Header | None:
        """Note that a run has all that it keeps of its `origin`, if it is running or queued; and whether something of
        that has an undo. Otherwise nothing changes and the header that is there is returned."""
        ...
