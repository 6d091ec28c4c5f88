"""The errors that end a command with one line on stderr."""

from __future__ import annotations


class UsageError(Exception):
    """A user's mistake: one line that says what is wrong and what to do. Exit status 2."""


class FailedError(Exception):
    """The command was right, and what it asked for could not be done. Exit status 1."""
