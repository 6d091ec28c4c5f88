"""Payloads that are packed: a text that would make a write of its item dearer is kept compressed, where that helps.

DynamoDB charges a write by the KiB of its item, begun ones in full. A text that fits beside the others of its item into
the first one stays as it is, for whoever looks at the table; so does one that would cost as much packed. A packed one
is binary (zlib, which checks itself), and every reader of the table unpacks it.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from ..serialization import byte_length

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

UNIT = 1024
"""Bytes of an item for which a write unit is paid (DynamoDB)."""

SHORT = 128
"""Characters up to which no text is packed, however full its item is."""

LARGEST = 4 * 1024 * 1024
"""Bytes that a packed text may have, far above what is kept in an item: whoever changes the table can't have more
unpacked."""


def packed(value: str, beside: int) -> AttributeValueTypeDef:
    """The attribute for a text, in an item that has so many bytes beside it."""
    if len(value) > SHORT and beside + (size := byte_length(value)) > UNIT:
        less = zlib.compress(value.encode())
        if units(beside + len(less)) < units(beside + size):
            return {"B": less}
    return {"S": value}


def unpacked(attribute: AttributeValueTypeDef) -> str:
    """Raises ValueError where it is damaged."""
    if "B" not in attribute:
        return attribute["S"]
    unpacker = zlib.decompressobj()
    try:
        value = unpacker.decompress(attribute["B"], LARGEST)
    except zlib.error as error:
        raise ValueError(f"what is packed is damaged: {error}") from error
    if not unpacker.eof:
        raise ValueError("what is packed is cut off, or larger than anything that was")
    return value.decode()


def units(size: int) -> int:
    """Write units of an item of so many bytes."""
    return -(-size // UNIT)
