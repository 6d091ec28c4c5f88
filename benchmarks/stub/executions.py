"""The API of AWS Lambda durable functions: executions, and the operations that were checkpointed."""

from __future__ import annotations

from typing import Any

_STATUS = {
    "START": "STARTED",
    "SUCCEED": "SUCCEEDED",
    "FAIL": "FAILED",
    "RETRY": "PENDING",
    "CANCEL": "CANCELLED",
}

NOW = 1_767_225_600.0
"""2026-01-01, in seconds. Nothing here depends on the time."""


class Executions:
    def __init__(self) -> None:
        self._operations: dict[str, dict[str, dict[str, Any]]] = {}
        self._tokens = 0

    def checkpoint(self, arn: str, request: dict[str, Any]) -> dict[str, Any]:
        """As CheckpointDurableExecution does."""
        known = self._operations.setdefault(arn, {})
        changed = [self._changed(known, update) for update in request.get("Updates", [])]
        self._tokens += 1
        return {"CheckpointToken": f"t{self._tokens}", "NewExecutionState": {"Operations": changed}}

    def all_of(self, arn: str) -> list[dict[str, Any]]:
        return list(self._operations.get(arn, {}).values())

    def state(self, arn: str, query: dict[str, str]) -> dict[str, Any]:
        """As GetDurableExecutionState does: a page of what is known."""
        known = list(self._operations.get(arn, {}).values())
        start, most = int(query.get("Marker") or 0), int(query.get("MaxItems") or 1000)
        page: dict[str, Any] = {"Operations": known[start : start + most]}
        return page if start + most >= len(known) else {**page, "NextMarker": str(start + most)}

    def _changed(self, known: dict[str, dict[str, Any]], update: dict[str, Any]) -> dict[str, Any]:
        kind, id = update["Type"], update["Id"]
        operation = known.get(id, {"StartTimestamp": NOW})
        names = ("Id", "Type", "SubType", "Name", "ParentId")
        operation = {
            **operation,
            **{name: update[name] for name in names if update.get(name) is not None},
            "Status": _STATUS[update["Action"]],
        }
        details: dict[str, Any] = {"Attempt": 0} if kind == "STEP" else {}
        if update.get("Payload") is not None:
            details["Result"] = update["Payload"]
        if kind in ("STEP", "CONTEXT"):
            operation[f"{kind.title()}Details"] = details
        elif kind == "WAIT":
            operation["WaitDetails"] = {"ScheduledEndTimestamp": NOW}
        known[id] = operation
        return operation
