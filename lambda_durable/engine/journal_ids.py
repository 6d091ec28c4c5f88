"""Ids of journals. A run's first journal has the run's own id; each time that it continues as new it gets
another one, `<run id>#1`, `<run id>#2`: state and messages go by them, so that nothing of an old journal is
taken for something of the present one."""

from __future__ import annotations

SEPARATOR = "#"
"""What a run's own id does not hold."""


def journal_id(run_id: str, number: int) -> str:
    return f"{run_id}{SEPARATOR}{number}" if number else run_id


def split(journal_id: str) -> tuple[str, int]:
    """The run's id, and the number of its journal."""
    run_id, separator, number = journal_id.rpartition(SEPARATOR)
    if separator and number.isascii() and number.isdecimal():
        return run_id, int(number)
    return journal_id, 0


def run_of(journal_id: str) -> str:
    return split(journal_id)[0]
