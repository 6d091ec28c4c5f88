"""How a run ends, and what follows: its parent is told, its failure handled, its children cancelled."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from ..durations import from_millis
from ..engine import paths
from ..engine.interrupts import Reload
from ..engine.journal import Author, Header, Partition, Record, RunStatus
from ..event_json import load_event
from ..function import App, failure_data
from ..pauses import Hold
from ..ports import Outgoing, World
from . import children, payloads, starting
from .admission import Admission
from .arrivals import cancelling
from .chain import Chain
from .holding import forget
from .hooks import Hooks
from .interrupts import GoOn
from .keeping import NOBODY
from .letting_go import let_go
from .messages import compensation
from .run_ids import run_id
from .tallies import over
from .versions import pin

failed_runs = logging.getLogger("lambda_durable.failed_runs")


@dataclass(frozen=True, slots=True)
class Endings:
    """Ends the runs of an app."""

    _app: App
    _world: World

    def end(self, chain: Chain, status: RunStatus, **outcome: Any) -> None:
        """Write how the run ended. Whoever comes first decides."""
        chain.leave_a_stand_in()
        author: Author = chain.author
        ended = replace(chain.header, status=status, ended=chain.now(), ended_by=author, **outcome)
        found = self._end(ended)
        if found is not None and found.status is RunStatus.CANCELLING and status is not RunStatus.CANCELLED:
            ended = replace(chain.header, status=RunStatus.CANCELLED, ended=chain.now(), ended_by=author)
            found = self._end(ended)
        if found is not None and found.status is RunStatus.COMPENSATING:
            raise GoOn(compensation(found.journal_id))
        if found is not None and not found.status.ended and found.journal_id != chain.journal_id:
            raise Reload  # it has continued as new meanwhile
        self.follow_up(found or ended, chain.journal.partitions[""], chain.tag)

    def _end(self, ended: Header) -> Header | None:
        """Write the end, or, where there is something to undo, its beginning. The header that is there instead."""
        completes = ended.status is RunStatus.COMPLETED
        if completes or not ended.undoes:
            found = self._world.store.end_run(ended)
            if found is None:
                over(self._world.metrics, ended)
            if completes or found is None or not found.undoes or found.status is RunStatus.COMPENSATING:
                return found
        begun = replace(ended, status=RunStatus.COMPENSATING, ends_as=ended.status, ended=None)
        return self._world.store.begin_undo(begun) or begun

    def undone(self, chain: Chain, failed: Sequence[Record]) -> None:
        """End a run whose steps were undone, but for those whose undo `failed`."""
        chain.leave_a_stand_in()
        header = chain.header
        assert header.ends_as is not None
        ended = replace(header, status=header.ends_as, ended=chain.now(), ended_by=chain.author)
        found = self._world.store.end_run(ended)
        if found is None:
            over(self._world.metrics, ended)
            for record in failed:
                _log_failed_undo(header, record)
        self.follow_up(found or ended, chain.journal.partitions[""], chain.tag)

    def follow_up(self, header: Header, top: Partition, tag: str) -> None:
        """What follows the end of a run. Done again by every delivery of the message that ended it."""
        if header.ended_by is None or header.ended_by.tag != tag:
            return
        children.tell_parent(self._world, header, tag)
        hooks = Hooks.of(self._app)
        if header.ended is not None:
            hooks.steps_ended(header, header.journal_id, top.records.values(), header.ended)
        hooks.run_ended(header)
        self._forget_cancelling(header)
        if header.status is RunStatus.FAILED:
            _log_failure(header)
            self._handle_failure(header)
        let_go(self._world, header.journal_id, top, tag)
        if header.pauses > 0:
            forget(self._world, Hold(number=header.pauses, run=header.run_id))
        Admission(self._app, self._world).leave(header, tag)

    def _forget_cancelling(self, header: Header) -> None:
        """Let no event find a run any more that it could cancel."""
        function = self._app.functions.get(header.function_id)
        if function is not None and function.cancel_on:
            event = load_event(payloads.read(self._world.blobs, header.event))
            for waiter in cancelling(function, header, event):
                self._world.store.remove_waiter(waiter)

    def _handle_failure(self, header: Header) -> None:
        """Start the function's `on_failure`, if it has one. Its run id follows from the failed run."""
        function = self._app.functions.get(header.function_id)
        if function is None or function.failure_handler is None:
            return
        assert header.ended is not None
        assert header.error is not None
        event = payloads.read(self._world.blobs, header.event)
        message = starting.start_message(
            self._world,
            function.failure_handler.id,
            run_id(header.ended, header.run_id, "on_failure"),
            failure_data(event, header.error, header.run_id, header.function_id),
            from_millis(header.ended),
            limit=self._app.max_output + starting.ROOM_FOR_FAILURE,
            pin=pin(self._world, header),
            carried=Hooks.of(self._app).carry(header),
        )
        self._world.queue.send([Outgoing(message.body())])


def _log_failure(header: Header) -> None:
    """Say that a run has failed, and with what kind of error: its text may hold what is in the event."""
    assert header.error is not None
    where = f" in step {header.error.step_id!r}" if header.error.step_id else ""
    failed_runs.error(
        "run %s of function %r failed%s: %s",
        header.run_id,
        header.function_id,
        where,
        header.error.type,
        extra={"run_id": header.run_id, "function_id": header.function_id},
    )


def _log_failed_undo(header: Header, record: Record) -> None:
    assert record.error is not None
    failed_runs.error(
        "run %s of function %r is not undone whole: %r failed for good: %s",
        header.run_id,
        header.function_id,
        paths.shown(record.path),
        record.error.type,
        extra={"run_id": header.run_id, "function_id": header.function_id},
    )


def too_late(chain: Chain) -> str | None:
    """Why a run has timed out, if it has."""
    header, now = chain.header, chain.now()
    what = f"run {header.run_id} of function {header.function_id!r}"
    begun = header.starts or header.created
    if header.finish_by is not None and now >= header.finish_by:
        return f"{what} was not over after {timedelta(milliseconds=header.finish_by - begun)}"
    top = chain.journal.partitions[""]
    authors = {record.author for record in top.records.values()} | {entry.author for entry in top.log}
    new = header.renewal is None and authors <= {NOBODY} and top.failure is None
    if new and header.start_by is not None and now >= header.start_by:
        return f"{what} had not begun after {timedelta(milliseconds=header.start_by - begun)}"
    return None
