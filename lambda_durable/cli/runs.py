"""`lambda-durable runs` and `events`: what a deployed app has, newest first."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from ..client import Client
from ..durations import parse_duration, spell
from ..errors import ConfigurationError
from ..runs import EventRecord, Page, RunSummary, Status
from .deployed import deployed
from .display import Display
from .plain import plain_value, summary_as_plain, write_json
from .remarks import remark
from .timeline import brief_value, stamp
from .usage_error import UsageError

POLL = 2.0
"""Seconds between two looks at a list that is watched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What of runs is asked for, as it was typed."""

    function: str | None
    app: str | None
    status: str | None
    label: str | None
    since: str | None
    until: str | None
    where: str | None
    look_at: int
    cursor: str | None
    limit: int
    stack: str | None


def list_runs(asked: Asked, *, as_json: bool, watch: bool) -> None:
    """Print them. Raises UsageError and FailedError."""
    if watch and as_json:
        raise UsageError("--watch is for people: with --json, call it again")
    for given, option in ((asked.since, "--since"), (asked.until, "--until")):
        moment(given, option)
    with deployed(asked.stack, asked.app) as client:
        page = _find(client, asked)
        if watch:
            _watch(client, asked, page)
            return
    if as_json:
        shown: Any = [summary_as_plain(run) for run in page.runs]
        if asked.where is not None:
            shown = {**page.model_dump(mode="json", exclude={"runs"}), "runs": shown}
        write_json(shown, sys.stdout)
        return
    _show(page.runs, asked, Display(sys.stdout))
    if asked.where is not None:
        remark("runs", _how_far(page))
    elif not page.runs:
        remark("runs", _none(asked))


def list_events(
    name: str,
    *,
    since: str | None,
    until: str | None,
    limit: int,
    app: str | None,
    stack: str | None,
    as_json: bool,
) -> None:
    """Print them. Raises UsageError and FailedError."""
    first, last = moment(since, "--since"), moment(until, "--until")
    with deployed(stack, app) as client:
        found = list(client.events(name, first, last, limit))
    if as_json:
        write_json([_event_as_plain(event) for event in found], sys.stdout)
        return
    display = Display(sys.stdout)
    for event in found:
        display.columns(
            [(stamp(event.received_at), 19, "dim"), (event.id, 36, "bold"), (brief_value(event.data), 0, "")]
        )
        for function, run_id in event.runs.items():
            display.columns([("", 19, ""), (function, 24, ""), (run_id or "with others, as one run", 0, "")])
    if not found:
        remark("events", "there are none such")


def moment(text: str | None, option: str) -> datetime | None:
    """A time, or how long ago it was. Without an offset it is the local time of this machine."""
    if text is None:
        return None
    try:
        return datetime.now(UTC) - parse_duration(text, option)
    except ConfigurationError:
        pass
    try:
        return datetime.fromisoformat(text).astimezone()
    except ValueError:
        raise UsageError(
            f'{option} is a time ("2026-11-22T09:00") or how long ago ("2h"), and this is {text!r}'
        ) from None


def _find(client: Client, asked: Asked) -> Page:
    status = cast("Status | None", asked.status)
    since, until = moment(asked.since, "--since"), moment(asked.until, "--until")
    if asked.where is None:
        if asked.cursor is not None:
            raise UsageError("--cursor is for a search: say --where too")
        found = client.runs(asked.function, status, asked.label, since=since, until=until, limit=asked.limit)
        return Page(runs=tuple(found))
    return client.search(
        asked.function,
        asked.where,
        status=status,
        label=asked.label,
        since=since,
        until=until,
        limit=asked.limit,
        look_at=asked.look_at,
        cursor=asked.cursor,
    )


def _watch(client: Client, asked: Asked, page: Page) -> None:
    """Show runs as they change, one line for each change, until it is interrupted."""
    display = Display(sys.stdout)
    seen: dict[str, RunSummary] = {}
    try:
        while True:
            changed = [run for run in reversed(page.runs) if seen.get(run.run_id) != run]
            seen |= {run.run_id: run for run in changed}
            _show(changed, asked, display)
            time.sleep(POLL)
            page = _find(client, asked)
    except KeyboardInterrupt:
        return


def _show(runs: Iterable[RunSummary], asked: Asked, display: Display) -> None:
    for run in runs:
        whose = [] if asked.function is not None else [(run.function_id, 16, "")]
        display.columns([(stamp(run.created_at), 19, "dim"), *whose, *_columns(run)])


def _columns(run: RunSummary) -> list[tuple[str, int, str]]:
    took = f" after {spell(run.ended_at - run.created_at)}" if run.ended_at is not None else ""
    style = {"completed": "green", "running": "blue"}.get(run.status, "red")
    return [(run.run_id, 32, "bold"), (run.status + took, 28, style), (", ".join(run.labels), 0, "")]


def _none(asked: Asked) -> str:
    """Nothing says which functions a stack has: it may be a slip."""
    if asked.function is None or asked.status or asked.label or asked.since or asked.until:
        return "there are none such"
    return f"there is no run of a function {asked.function!r}"


def _how_far(page: Page) -> str:
    """What a search has looked at, and how it goes on."""
    told = "looked at 1 run" if page.looked_at == 1 else f"looked at {page.looked_at:,} runs"
    if page.until is not None:
        told += f", back to {stamp(page.until)}"
    if page.failed:
        told += f"; the expression failed on {page.failed:,} of them"
    return f"{told}; there are more: --cursor '{page.cursor}'" if page.cursor is not None else f"{told}: all"


def _event_as_plain(event: EventRecord) -> dict[str, Any]:
    return {**event.model_dump(mode="json", exclude={"data"}), "data": plain_value(event.data)}
