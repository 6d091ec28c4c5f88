"""Text of others on a terminal: it may come from who sent an event, and is to do nothing but be read."""

from __future__ import annotations

from typing import Final

_UNSEEN: Final = {
    **{code: chr(0x2400 + code) for code in range(0x20)},
    0x7F: "\u2421",
    **dict.fromkeys([*range(0x80, 0xA0), 0x61C, 0x200E, 0x200F, 0x2028, 0x2029], "\ufffd"),
    **dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)], "\ufffd"),
}
_UNSEEN_IN_LINES: Final = {code: seen for code, seen in _UNSEEN.items() if code != ord("\n")}


def visible(text: str, *, lines: bool = False) -> str:
    """The text with a character that is seen for each that moves a terminal's cursor, ends a line (unless it may
    have `lines`), or turns the order of letters round."""
    return text.translate(_UNSEEN_IN_LINES if lines else _UNSEEN)
