"""The error of a command that was used wrongly."""

from __future__ import annotations


class UsageError(Exception):
    """A user's mistake: one line that says what is wrong and what to do. Exit status 2."""
