"""References that are the same for every attempt of a step, as a good provider gives them."""

from __future__ import annotations

import hashlib

from lambda_durable import current_step


def reference(prefix: str) -> str:
    key = current_step().idempotency_key
    return f"{prefix}_{hashlib.sha256(key.encode()).hexdigest()[:12]}"
