"""What a command says beside its result: on stderr, in one form."""

from __future__ import annotations

import sys

from .visible import visible


def remark(command: str, text: str) -> None:
    """One remark, behind the command that makes it."""
    sys.stderr.write(visible(f"lambda-durable {command}: {text}\n", lines=True))
    sys.stderr.flush()
