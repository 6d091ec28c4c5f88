"""What the parser of CEL has to say of a text that is none, in one sentence."""

from __future__ import annotations

import re
from typing import Final

_SYNTAX: Final = re.compile(r"ERROR: <input>:(?P<line>\d+):(?P<column>\d+): Syntax error: (?P<what>.*)")
_INPUT: Final = re.compile(r"(?:mismatched|extraneous) input '(?P<text>.*?)' expecting")
_TOKEN: Final = re.compile(r"token recognition error at: '(?P<text>.*)'")


def explained(message: str, source: str) -> str:
    """Of the parser's message, which has several lines and the parser's own words, what is wrong and where."""
    found = _SYNTAX.search(message)
    if found is None:
        return f"{source!r} is no CEL: {' '.join(message.split())}"
    line, column = int(found["line"]), int(found["column"])
    at = f"character {column}" + (f" of line {line}" if "\n" in source.strip() else "")
    if (input_ := _INPUT.match(found["what"])) is not None:
        told = (
            "it ends too early" if input_["text"] == "<EOF>" else f"{input_['text']!r} does not belong there"
        )
    elif (token := _TOKEN.match(found["what"])) is not None:
        text = token["text"].strip()
        told = "CEL compares with ==" if text == "=" else f"{text!r} is not CEL's"
    else:
        told = found["what"]
    return f"{source!r} is no CEL: at {at}, {told}"
