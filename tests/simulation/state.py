"""What must be true of the table's items at each moment: as they change, and when they expire."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lambda_durable.aws import keys
from lambda_durable.engine.journal_ids import journal_id
from lambda_durable.store import Store

TABLE_NAME = "lambda-durable"

OTHERS = ("e#", "h#", "w#", "s#", "k#")
"""How the partitions begin that are no run's."""

ENDED = ("completed", "failed", "cancelled", "skipped")

Image = dict[str, dict[str, Any]] | None
"""An item as DynamoDB has it; None for none."""


def changed(before: Image, after: Image) -> Iterator[tuple[str, str]]:
    """What is wrong with a change of an item: the name of the check, and why."""
    if before is None:
        return
    pk, sk = before["pk"]["S"], before["sk"]["S"]
    if pk.startswith(OTHERS):
        return
    if sk == keys.HEADER:
        yield from _header_changed(pk, before, after)
        return
    final = sk.startswith(keys.LOG) or (sk.startswith((keys.RECORD, keys.HASHED_RECORD)) and "t" in before)
    if final and _lasting(before) != _lasting(after):
        yield "what_was_committed_never_changes", f"{pk} {sk} was {before}, and became {after}"


def committed(before: Image, after: Image) -> str | None:
    """The path of a record that has just become final."""
    if after is None or "t" not in after or (before is not None and "t" in before):
        return None
    pk, sk = after["pk"]["S"], after["sk"]["S"]
    if pk.startswith(OTHERS) or not sk.startswith(keys.RECORD):
        return None
    scope = pk.partition("/")[2]
    if scope.startswith(":") and scope[1:2].isdecimal():  # a journal after the first
        scope = scope.partition("/")[2]
    return keys.path(scope, sk)


def _header_changed(pk: str, before: Any, after: Image) -> Iterator[tuple[str, str]]:
    if after is None:
        yield "an_end_is_final", f"the header of {pk} was deleted: {before}"
        return
    if before["s"]["S"] in ENDED and _lasting(before) != _lasting(after):
        yield "an_end_is_final", f"run {pk} had ended: {before}, and then became {after}"
    if _number(after, "J") < _number(before, "J"):
        yield "journals_go_forward", f"run {pk} went from journal {before['J']} back to {after.get('J')}"
    if after["s"]["S"] in ENDED and not {"k", "kp", "ks"}.isdisjoint(after):
        yield "who_has_ended_is_not_looked_after", f"run {pk} is {after['s']['S']}, and to be looked after"


def _lasting(item: Image) -> Any:
    """An item, but for when it expires, and what repeats its run."""
    return item and {name: value for name, value in item.items() if name not in ("x", "R")}


def _number(item: Any, name: str) -> int:
    return int(item[name]["N"]) if name in item else 0


def alive(store: Store, item: Any) -> str | None:
    """Why an item that has expired should not have; None if all is well."""
    pk, sk = item["pk"]["S"], item["sk"]["S"]
    if pk.startswith(("w#", "s#")):
        record = store.get_record(item["u"]["S"], item["p"]["S"])
        header = store.get_header(item["u"]["S"])
        open_ = record is not None and not record.final
        return (
            f"{pk} {sk} expired, and the wait is open"
            if open_ and header and not header.status.ended
            else None
        )
    if pk.startswith(OTHERS):
        return None
    run, _, rest = pk.partition("/")
    header = store.get_header(run)
    if header is None or header.status.ended:
        return None
    number = rest[1:].partition("/")[0] if rest.startswith(":") and rest[1:2].isdecimal() else "0"
    if journal_id(header.run_id, int(number)) != header.journal_id and sk != keys.HEADER:
        return None
    return f"{pk} {sk} expired, and its run is {header.status}"
