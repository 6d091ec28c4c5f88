"""DynamoDB's answers to reads, parsed as the plain JSON that they are.

botocore walks an answer along the model of its shape, which takes longer than all else that it is to load a journal.
What it comes to is the JSON itself, but for binary values, which come as base64. Errors, and what is no JSON, are left
to it, and so are retries, which look at the response (its CRC-32, too) and not at what was made of it.
"""

from __future__ import annotations

import json
from base64 import b64decode
from typing import Any, Final

READS: Final = ("Query", "GetItem")


def parse_plainly(client: Any) -> None:
    """Have a client of DynamoDB answer reads as before, only sooner."""
    for operation in READS:
        client.meta.events.register(
            f"before-parse.dynamodb.{operation}", _parse, unique_id=f"plain-{operation}"
        )


def _parse(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any) -> None:
    body = response_dict["body"]
    if response_dict["status_code"] != 200:
        return
    binary = b'"B"' in body or b'"BS"' in body
    try:
        answer = json.loads(body.decode(), object_hook=_with_bytes if binary else None)
    except ValueError:
        return
    if isinstance(answer, dict):
        customized_response_dict.update((name, value) for name, value in answer.items() if value is not None)
        response_dict["body"] = b"{}"  # nothing is left of it but the headers


def _with_bytes(found: dict[str, Any]) -> dict[str, Any]:
    """A value of an attribute; or anything else, as it is."""
    match found:
        case {"B": str(text)}:
            return {"B": b64decode(text)}
        case {"BS": [*texts]}:
            return {"BS": [b64decode(text) for text in texts]}
    return found
