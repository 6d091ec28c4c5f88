"""The client's calls that put right what went wrong: runs that are done again, or cancelled, one by one or in bulk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

from .connected import Connected, check_run_id, millis
from .durations import to_millis
from .engine.journal import Header, RunStatus
from .errors import ConfigurationError
from .event_json import dump_event, load_events
from .events import Event
from .expressions import compile_search
from .function import Function
from .ports import Outgoing
from .runs import Run, Status
from .runtime import bulk, payloads, rerunning
from .runtime.run_ids import run_id as make_run_id
from .serialization import plain_data

PER_SECOND = 10.0
"""Runs that a replay begins, unless it is told otherwise."""


class Repeats(Connected):
    """Does runs again, and cancels them in bulk."""

    def rerun(
        self, run_id: str, *, from_step: str | None = None, data: Any = None, new_run_id: str | None = None
    ) -> Run[Any]:
        """Do a run again on the present code: a new run with the same event, or with other `data` in it. With
        `from_step`, what had ended before that step did is kept, and that step and what came after it is done anew;
        what was undone is so too. The run may still be going on. Flow control is as for `start`, but that of an
        idempotency key. With a `new_run_id` of your own, doing it twice starts nothing twice.

        Raises RunNotFoundError, and ConfigurationError for a step that the run does not have."""
        header = self._header(run_id, "do again")
        id = self._function_id(header.function_id, "rerun")
        now = self._world.clock.now()
        new = make_run_id(to_millis(now), Event("x").id) if new_run_id is None else check_run_id(new_run_id)
        if new == run_id:
            raise ConfigurationError(
                f"rerun(new_run_id=) names a new run, and {run_id!r} is the one to do again"
            )
        step = "" if from_step is None else rerunning.step_of(self._world, header, from_step)
        edited = None if data is None else self._edited(header, data)
        message = rerunning.message(self._world, header, new, step=step, text=edited)
        self._world.queue.send([Outgoing(message.body())])
        return Run(
            run_id=new,
            function_id=id,
            status="queued",
            created_at=now,
            rerun_of=run_id,
            rerun_from=step or None,
        )

    def replay(
        self,
        function: Function[Any, Any] | str,
        status: Status = "failed",
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        per_second: float = PER_SECOND,
        id: str | None = None,
    ) -> list[str]:
        """Do again, whole and on the present code, all runs of a function that ended like this, `per_second` at most;
        the ids of the new runs.

        Who calls again finishes what was begun: a run that was done again, one by one or in a replay, and goes on or
        has ended otherwise, is left out; not so one whose rerun was skipped. With an `id` for the replay, a run is done
        again in it once, however that ended."""
        return list(self.replaying(function, status, since, until, per_second=per_second, id=id))

    def replaying(
        self,
        function: Function[Any, Any] | str,
        status: Status = "failed",
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        per_second: float = PER_SECOND,
        id: str | None = None,
    ) -> Iterator[str]:
        """As `replay`, run by run as it is iterated."""
        if status not in ENDED:
            raise ConfigurationError(f"replay(status=) is one of {', '.join(ENDED)}, and this is {status!r}")
        if isinstance(per_second, bool) or not isinstance(per_second, int | float) or not per_second > 0:
            raise ConfigurationError(f"replay(per_second=) is a number above 0, and this is {per_second!r}")
        if id is not None and (not isinstance(id, str) or not id or id.startswith("#")):
            raise ConfigurationError(f"replay(id=) is a text of your own, and this is {id!r}")
        return bulk.replay(
            self._world,
            self._function_id(function, "replay"),
            status,
            since=millis(since, "replay(since=)"),
            until=millis(until, "replay(until=)"),
            per_second=per_second,
            name=id or "",
        )

    def cancel_all(
        self,
        function: Function[Any, Any] | str,
        since: datetime | None = None,
        until: datetime | None = None,
        if_exp: str | Callable[[Any], object] | None = None,
    ) -> list[str]:
        """Cancel the runs of a function that have not ended: those begun in that time, and for whose event an
        expression holds (CEL over `event`, or a callable on it; one that fails does not). The ids of those that this
        call cancelled; calling it again cancels those that are left."""
        return list(self.cancelling(function, since, until, if_exp))

    def cancelling(
        self,
        function: Function[Any, Any] | str,
        since: datetime | None = None,
        until: datetime | None = None,
        if_exp: str | Callable[[Any], object] | None = None,
    ) -> Iterator[str]:
        """As `cancel_all`, run by run as it is iterated."""
        condition = None if if_exp is None else compile_search(if_exp, "cancel_all(if_exp=)", output=False)
        return bulk.cancel(
            self._world,
            self._function_id(function, "cancel_all"),
            since=millis(since, "cancel_all(since=)"),
            until=millis(until, "cancel_all(until=)"),
            condition=condition,
        )

    def _edited(self, header: Header, data: Any) -> str:
        """The event of a run with other data (JSON)."""
        if self._app is None:
            self._check_plain(header.run_id)
        text = payloads.read(self._world.blobs, header.event)
        first, *more = load_events(text, f"the event of run {header.run_id!r}")
        if more:
            raise ConfigurationError(
                f"run {header.run_id} has a batch of {len(more) + 1} events: rerun(data=) is for a run of one; "
                "send or start what is to be done instead"
            )
        edited = dump_event(replace(first, data=plain_data(data)))
        payloads.check_size(edited, self._limit, f"the data of function {header.function_id!r}")
        return edited


ENDED = tuple(status.value for status in RunStatus if status.ended)
