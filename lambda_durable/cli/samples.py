"""Data for estimates: as large as it is said to be, and as JSON is, since what is kept may be packed."""

from __future__ import annotations

import json
from random import Random
from typing import Any

WORDS = (
    "black chair",
    "blue desk",
    "cotton sheet",
    "glass lamp",
    "oak shelf",
    "paper",
    "steel table",
    "white wool",
)


def sample(size: int, seed: int = 0) -> Any:
    """A value with so many bytes of JSON: the lines of an order, with ids and prices of their own; the same each time.
    It gets smaller by about half when it is packed."""
    random, lines = Random(seed), list[dict[str, Any]]()
    while len(_json(lines)) < size:
        lines.append(
            {
                "sku": f"{random.getrandbits(40):010x}",
                "title": f"{random.choice(WORDS)} {random.getrandbits(16):x}",
                "quantity": random.randint(1, 9),
                "price": random.randint(100, 99_999) / 100,
            }
        )
    made = {"lines": lines, "note": ""}
    while lines and len(_json(made)) > size:
        lines.pop()
    missing = size - len(_json(made))
    if missing < 0:
        return "x" * max(size - 2, 0)
    made["note"] = f"{random.getrandbits(4 * missing):0{missing}x}"[:missing] if missing else ""
    return made


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
