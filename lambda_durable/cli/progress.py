"""How far long work has come, on a terminal; elsewhere nothing is shown of it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console

T = TypeVar("T")


def counted(items: Iterable[T], what: str) -> Iterator[T]:
    """The same items, with how many there were so far on stderr."""
    if not sys.stderr.isatty():
        yield from items
        return
    with Console(stderr=True).status(f"0 {what}") as status:
        for count, item in enumerate(items, 1):
            yield item
            status.update(f"{count:,} {what}")
