"""Recordings as JSON files: one for each run, made to be read by people and kept in a repository.

    format     "lambda_durable.journal/1"        run_id function_id status created ended labels ...   the run as a whole
    event      the event, or those of its batch  output error                                         how it ended
    steps      in the order in which they were written: id kind status began ended attempts output error undo ...
    log        which outcome the handler saw first, where several pended; by scope
    failure    the newest failed attempt of the handler's own code

Times are ISO 8601, in UTC. What the protocol alone needs is left out (messages, claims), and so is what a callback
could be answered with. Values are those that the run had, as JSON, however the app encodes what it keeps.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from ..durations import from_millis, to_millis
from ..engine import paths
from ..engine.code import Code
from ..engine.journal import (
    Author,
    Failure,
    FanPlan,
    Header,
    Kind,
    LogEntry,
    Origin,
    Partition,
    Payload,
    Record,
    Renewal,
    RunStatus,
    State,
    Undoable,
    WaitPlan,
)
from ..errors import ConfigurationError, ErrorInfo
from ..parsing import as_plain, read
from .recording import Recording

FORMAT: Final = "lambda_durable.journal/"
VERSION: Final = 1

NOBODY = Author(0, "")

LONGEST_NAME = 200
"""Of a file. Most file systems: 255 bytes."""


def dump(recording: Recording) -> str:
    """A recording as text; the same for the same recording."""
    header = recording.header
    found = {
        "format": f"{FORMAT}{VERSION}",
        "run_id": header.run_id,
        "function_id": header.function_id,
        "status": header.status.value,
        "created": _time(header.created),
        "starts": _time(header.starts),
        "ended": _time(header.ended),
        "ends_as": header.ends_as.value if header.ends_as is not None else None,
        "continued": header.renewal.number if header.renewal is not None else None,
        "continued_at": _time(header.renewal.at) if header.renewal is not None else None,
        "rerun_of": _origin(header.origin),
        "labels": list(header.labels),
        "event_id": header.event_id,
        "version": header.code.label,
        "lambda_version": header.code.release,
        "pinned": header.pinned,
        "unused": list(header.unused),
        "error": _error(header.error),
        "failure": _failure(recording.top.failure),
        "event": _value(header.event),
    }
    kept = {key: value for key, value in found.items() if value not in (None, "", [], False)}
    if header.output is not None:
        kept["output"] = _value(header.output)
    kept["log"] = {
        each.scope: [_entry(entry) for entry in each.log] for each in _by_scope(recording) if each.log
    }
    records = sorted(recording.records(), key=lambda record: (record.time, record.rank, record.path))
    kept["steps"] = [_step(record) for record in records]
    text = json.dumps(kept, indent=1, ensure_ascii=False) + "\n"
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate, which an event from outside may hold
        text = json.dumps(kept, indent=1) + "\n"
    return text


def load(text: str, of: str) -> Recording:
    """The recording of a text, which is that `of` a file. Raises ConfigurationError for any other text."""
    try:
        kept = json.loads(text)
        version = kept["format"].removeprefix(FORMAT)
        if version != str(VERSION):
            raise ConfigurationError(
                f"{of} has the format {kept['format']!r}, and this release reads {FORMAT}{VERSION}: was it written by "
                "a newer one? Export the run again"
            )
        return Recording(_header(kept), _partitions(kept))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        if isinstance(error, ConfigurationError):
            raise
        raise ConfigurationError(
            f"{of} is no journal that `lambda-durable export` wrote ({type(error).__name__}: {error})"
        ) from error


def save(recording: Recording, where: str | Path) -> Path:
    """Write a recording, and return where: a file whose name ends with `.json`, or else one named by the run in a
    folder named by its function. Only its owner may read a new file: it holds what the run was told and found out."""
    path = Path(where)
    if path.suffix != ".json":
        path = path / _name(recording.header.function_id) / f"{_name(recording.header.run_id)}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(dump(recording), encoding="utf-8", newline="\n")
    return path


def read_files(where: str | Path) -> Iterator[tuple[Path, Recording]]:
    """The recordings in a file, or in all files of a folder and those in it that end with `.json`; lazy.

    Raises ConfigurationError for what is none.
    """
    path = Path(where)
    if not path.exists():
        raise ConfigurationError(f"there is no file or folder {path}")
    for each in sorted(path.rglob("*.json")) if path.is_dir() else [path]:
        try:
            text = each.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{each} can't be read: {error}") from error
        yield each, load(text, str(each))


def _name(id: str) -> str:
    """An id as the name of a file, wherever that may lie."""
    name = quote(id, safe="")
    if len(name) <= LONGEST_NAME and not name.startswith("."):
        return name
    return f"{name[:100].lstrip('.')}-{hashlib.sha256(id.encode('utf-8', 'replace')).hexdigest()[:16]}"


def _by_scope(recording: Recording) -> list[Partition]:
    return sorted(recording.partitions, key=lambda partition: partition.scope)


# Writing


def _step(record: Record) -> dict[str, Any]:
    found = {
        "id": record.path,
        "kind": record.kind.value,
        "status": record.state.value,
        "began": _time(record.began),
        "ended": _time(record.ended),
        "wake_at": _time(record.wake_at),
        "attempts": record.attempts,
        "checked": record.checked,
        "rank": record.rank,
        "code": str(record.code) if record.code is not None else None,
        "undo": _undo(record.undo),
        "plan": _plan(record.plan),
        "waits": _waits(record.waits),
        "error": _error(record.error),
    }
    kept = {key: value for key, value in found.items() if value not in (None, 0)}
    if record.output is not None:
        kept["output"] = _value(record.output)
    return kept


def _origin(origin: Origin | None) -> dict[str, str] | None:
    if origin is None:
        return None
    found = {"run_id": origin.run_id, "step": origin.step, "seed": origin.seed}
    return {key: value for key, value in found.items() if value}


def _undo(undo: Undoable | None) -> dict[str, bool] | None:
    return {"if_unknown": undo.if_unknown, "unknown": undo.unknown} if undo is not None else None


def _plan(plan: FanPlan | None) -> dict[str, Any] | None:
    if plan is None:
        return None
    found = {
        "keys": list(plan.keys),
        "lanes": plan.lanes,
        "fingerprint": plan.fingerprint,
        "tolerant": plan.tolerant,
    }
    return {key: value for key, value in found.items() if key == "keys" or value}


def _waits(waits: WaitPlan | None) -> dict[str, Any] | None:
    if waits is None:
        return None
    found = {
        "names": list(waits.names),
        "function": waits.function,
        "deadline": _time(waits.deadline or None),
    }
    return {key: value for key, value in found.items() if value}


def _entry(entry: LogEntry) -> dict[str, Any]:
    found = {"time": _time(entry.time), "order": entry.order, "dispatched": list(entry.dispatched)}
    return {key: value for key, value in found.items() if value}


def _failure(failure: Failure | None) -> dict[str, Any] | None:
    if failure is None:
        return None
    found = {"attempts": failure.attempts, "seen": failure.seen, "wake_at": _time(failure.wake_at)}
    return {**found, "error": _error(failure.error)}


def _error(error: ErrorInfo | None) -> dict[str, Any] | None:
    return as_plain(error) if error is not None else None


def _value(payload: Payload) -> Any:
    assert payload.text is not None
    return json.loads(payload.text)


def _time(millis: int | None) -> str | None:
    return None if millis is None else from_millis(millis).isoformat(timespec="milliseconds")


# Reading


def _header(kept: Mapping[str, Any]) -> Header:
    renewal = None
    if "continued" in kept:
        renewal = Renewal(kept["continued"], NOBODY, _needed(kept["continued_at"]))
    return Header(
        run_id=kept["run_id"],
        function_id=kept["function_id"],
        status=RunStatus(kept["status"]),
        event=_payload(kept["event"]),
        author=NOBODY,
        created=_needed(kept["created"]),
        starts=_millis(kept, "starts"),
        ended=_millis(kept, "ended"),
        output=_payload(kept["output"]) if "output" in kept else None,
        error=_read_error(kept),
        labels=tuple(kept.get("labels", ())),
        event_id=kept.get("event_id", ""),
        unused=tuple(kept.get("unused", ())),
        ends_as=RunStatus(kept["ends_as"]) if "ends_as" in kept else None,
        renewal=renewal,
        origin=Origin(**kept["rerun_of"]) if "rerun_of" in kept else None,
        code=Code(kept.get("version", ""), kept.get("lambda_version", "")),
        pinned=kept.get("pinned", False),
    )


def _partitions(kept: Mapping[str, Any]) -> list[Partition]:
    found = {"": Partition("")}
    if "failure" in kept:
        failure = kept["failure"]
        found[""].failure = Failure(
            attempts=failure["attempts"],
            seen=failure["seen"],
            error=read(ErrorInfo, failure["error"]),
            wake_at=_needed(failure["wake_at"]),
            author=NOBODY,
        )
    for step in kept["steps"]:
        scope = paths.parent(step["id"])
        found.setdefault(scope, Partition(scope)).records[step["id"]] = _record(step)
    for scope, entries in kept["log"].items():
        found.setdefault(scope, Partition(scope)).log.extend(
            LogEntry(
                position=position,
                author=NOBODY,
                time=_millis(entry, "time") or 0,
                order=entry.get("order", {}),
                dispatched=tuple(entry.get("dispatched", ())),
            )
            for position, entry in enumerate(entries)
        )
    return list(found.values())


def _record(step: Mapping[str, Any]) -> Record:
    plan, waits, undo = step.get("plan"), step.get("waits"), step.get("undo")
    return Record(
        path=step["id"],
        kind=Kind(step["kind"]),
        state=State(step["status"]),
        author=NOBODY,
        began=_needed(step["began"]),
        ended=_millis(step, "ended"),
        attempts=step.get("attempts", 0),
        output=_payload(step["output"]) if "output" in step else None,
        error=_read_error(step),
        wake_at=_millis(step, "wake_at"),
        plan=None
        if plan is None
        else FanPlan(
            tuple(plan["keys"]),
            plan.get("lanes", 0),
            plan.get("fingerprint", ""),
            plan.get("tolerant", False),
        ),
        waits=None
        if waits is None
        else WaitPlan(
            tuple(waits.get("names", ())),
            "",
            function=waits.get("function", ""),
            deadline=_millis(waits, "deadline") or 0,
        ),
        checked=step.get("checked", 0),
        rank=step.get("rank", 0),
        undo=None if undo is None else Undoable(undo["if_unknown"], undo["unknown"]),
        code=Code.parse(step["code"]) if "code" in step else None,
    )


def _payload(value: Any) -> Payload:
    return Payload(text=json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def _read_error(kept: Mapping[str, Any]) -> ErrorInfo | None:
    return read(ErrorInfo, kept["error"]) if "error" in kept else None


def _millis(kept: Mapping[str, Any], name: str) -> int | None:
    return _needed(kept[name]) if name in kept else None


def _needed(text: str) -> int:
    return to_millis(datetime.fromisoformat(text))
