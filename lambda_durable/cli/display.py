"""How it looks: in colour on a terminal, plain and unwrapped elsewhere."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Mapping
from typing import IO, Any

from rich.console import Console
from rich.text import Text

from ..costs.pricing import LOOKED_UP, Charge
from ..errors import ErrorInfo
from .timeline import Line, stamp
from .visible import visible

_NAME = 28
_ASCII = str.maketrans({"✓": "+", "✗": "x", "▶": ">", "■": "=", "┬": "|", "…": "~", "·": "-", "×": "x"})
_FRAME = re.compile(r'^  File "(?P<file>.*)", line (?P<line>\d+), in (?P<name>.*)$', re.MULTILINE)


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Who reads has seen enough (`| head`). The run goes on, for its exit status."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Display:
    """Writes the report of a command to a stream, which may know no more than ASCII."""

    def __init__(self, stream: IO[str]) -> None:
        # soft_wrap: a line that is too long is the terminal's to wrap, and nobody's in a pipe.
        self._console = _Console(file=stream, highlight=False, soft_wrap=True, markup=False, emoji=False)
        self._ascii = not _writes_unicode(stream)

    def line(self, line: Line) -> None:
        text = Text()
        text.append(f"{stamp(line.time)}  ", "dim")
        text.append(f"{line.mark} ", line.style)
        text.append(f"{line.name:<{_NAME}} ", "bold" if line.style.startswith("bold") else "")
        text.append(line.text, line.style if line.style in ("red", "yellow", "dim") else "")
        self._print(text)

    def heading(self, title: str) -> None:
        self._print(Text())
        self._print(Text(title, "bold"))

    def gap(self) -> None:
        self._print(Text())

    def fields(self, fields: Iterable[tuple[str, str]]) -> None:
        """Names and what they are, one a line."""
        rows = list(fields)
        width = max((len(name) for name, _ in rows), default=0)
        for name, value in rows:
            self._print(Text(f"  {name:<{width}}  ", "dim").append(value, "default"))

    def columns(self, cells: Iterable[tuple[str, int, str]]) -> None:
        """One row of a list: texts, the widths that they fill, their styles."""
        row = Text()
        for text, width, style in cells:
            row.append(f"{text:<{width}}  ", style)
        row.rstrip()
        self._print(row)

    def words(self, words: Iterable[tuple[str, str]]) -> None:
        """One line: texts and their styles, a blank between them."""
        line = Text()
        for text, style in words:
            line.append(f"{text} ", style)
        line.rstrip()
        self._print(line)

    def value(self, value: Any) -> None:
        shown = json.dumps(value, ensure_ascii=False, indent=2)
        self._print(Text("\n".join(f"  {line}" for line in shown.split("\n"))), lines=True)

    def error(self, error: ErrorInfo) -> None:
        where = f" (step {error.step_id})" if error.step_id else ""
        message = error.message.replace("\n", "\n    ")
        self._print(Text(f"  {visible(f'{error.type}{where}')}: {message}", "red"), lines=True)
        if place := _raised_at(error.traceback):
            self._print(Text(f"  raised at {place}", "dim"))

    def calls(self, calls: Mapping[str, int], invocations: int) -> None:
        for name, count in sorted(calls.items()):
            self._print(Text(f"  {count:>6,}  {name}"))
        self._print(Text(f"  {invocations:>6,}  Lambda invocations"))

    def bill(self, charges: Iterable[Charge]) -> None:
        total = 0.0
        for charge in charges:
            total += charge.dollars
            note = f"  ({charge.note})" if charge.note else ""
            count = f"{charge.count:,.0f}" if charge.count == int(charge.count) else f"{charge.count:,.2f}"
            row = Text(f"  {count:>8}  {charge.what:<23} ${charge.dollars:.7f}")
            self._print(row.append(note, "dim"))
        million = total * 1_000_000
        self._print(Text(f"  {'':>8}  {'in all':<23} ${total:.7f}  = ${million:,.2f} for a million", "bold"))
        note = f"  us-east-1, on demand, no free tier, {LOOKED_UP}; storage and data transfer not included"
        self._print(Text(note, "dim"))

    def _print(self, text: Text, *, lines: bool = False) -> None:
        text.plain = visible(text.plain, lines=lines)
        if self._ascii:
            text = Text(text.plain.translate(_ASCII).encode("ascii", "backslashreplace").decode())
        self._console.print(text)


def _writes_unicode(stream: IO[str]) -> bool:
    try:
        "✓■┬".encode(getattr(stream, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _raised_at(traceback: str) -> str | None:
    """The innermost place in a kept traceback that is not this library's."""
    ours = __file__.rpartition("cli")[0]
    for frame in reversed(list(_FRAME.finditer(traceback))):
        if not frame["file"].startswith((ours, sys.base_prefix, sys.prefix, "<")):
            return f"{frame['file']}:{frame['line']}, in {frame['name']}"
    return None
