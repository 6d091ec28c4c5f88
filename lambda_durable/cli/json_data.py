"""What a person hands to a command as `--data JSON`."""

from __future__ import annotations

import json
from typing import Any

from .usage_error import UsageError


def read_data(text: str | None, *, otherwise: Any = None) -> Any:
    """Its value; `otherwise` where it was not given. Raises UsageError."""
    try:
        return otherwise if text is None else json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--data is no JSON: {error}") from None
