"""The client's calls that put right what went wrong: runs that are done again, or cancelled, one by one or in bulk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

from .connected import Connected, check_count, check_run_id, millis
from .durations import to_millis
from .engine.journal import Header, RunStatus
from .errors import ConfigurationError
from .event_json import dump_event, load_events
from .events import Event
from .expressions import compile_search
from .function import Function
from .ports import Outgoing
from .runs import Portion, Run, Status
from .runtime import bulk, payloads, rerunning
from .runtime.run_ids import run_id as make_run_id
from .runtime.searching import position
from .serialization import plain_data

PER_SECOND = 10.0
"""Runs that a replay begins, unless it is told otherwise."""

SLOWEST = 0.00001
"""Runs that a replay begins in a second, at least: about one a day."""

LATEST = 10**13
"""Milliseconds: when a replay has begun its last run, in the year 2286."""

PORTION = 200
"""Runs that one portion of a bulk call looks at, unless it is told otherwise."""


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
        found = self._replaying(function, status, since, until, per_second=per_second, id=id)
        return (run for some in found for run in some.runs)

    def replay_portion(
        self,
        function: Function[Any, Any] | str,
        status: Status = "failed",
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        per_second: float = PER_SECOND,
        id: str | None = None,
        look_at: int = PORTION,
        cursor: str | None = None,
    ) -> Portion:
        """As `replay`, for who has little time: looks at so many runs at most, and goes on from the `cursor` of the
        portion before, at the same pace."""
        after, begun = (None, (None, 0)) if cursor is None else _place_of_replay(cursor)
        began = begun[0] or to_millis(self._world.clock.now())
        found = self._replaying(
            function,
            status,
            since,
            until,
            per_second=per_second,
            id=id,
            after=after,
            began=began,
            count=begun[1],
        )
        if began + begun[1] * 1000 / per_second > LATEST:
            raise ConfigurationError(f"cursor= is that of an earlier portion, and this is {cursor!r}")
        return _portion(found, look_at, lambda count: f"{began}/{begun[1] + count}/")

    def _replaying(
        self,
        function: Function[Any, Any] | str,
        status: Status,
        since: datetime | None,
        until: datetime | None,
        *,
        per_second: float,
        id: str | None,
        **place: Any,
    ) -> Iterator[bulk.Some]:
        if status not in ENDED:
            raise ConfigurationError(f"replay(status=) is one of {', '.join(ENDED)}, and this is {status!r}")
        paced = isinstance(per_second, int | float) and not isinstance(per_second, bool)
        if not (paced and per_second >= SLOWEST):
            raise ConfigurationError(
                f"replay(per_second=) is a number above 0, at least {SLOWEST:f}, and this is {per_second!r}"
            )
        if id is not None and (not isinstance(id, str) or not id or id.startswith("#")):
            raise ConfigurationError(f"replay(id=) is a text of your own, and this is {id!r}")
        return bulk.replay(
            self._world,
            self.function_id_of(function, "replay"),
            status,
            since=millis(since, "replay(since=)"),
            until=millis(until, "replay(until=)"),
            per_second=per_second,
            name=id or "",
            **place,
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
        return (run for some in self._cancelling(function, since, until, if_exp) for run in some.runs)

    def cancel_portion(
        self,
        function: Function[Any, Any] | str,
        since: datetime | None = None,
        until: datetime | None = None,
        if_exp: str | Callable[[Any], object] | None = None,
        *,
        look_at: int = PORTION,
        cursor: str | None = None,
    ) -> Portion:
        """As `cancel_all`, for who has little time: looks at so many runs at most, and goes on from the `cursor` of the
        portion before."""
        after = None if cursor is None else position(cursor)
        return _portion(self._cancelling(function, since, until, if_exp, after), look_at)

    def _cancelling(
        self,
        function: Function[Any, Any] | str,
        since: datetime | None,
        until: datetime | None,
        if_exp: str | Callable[[Any], object] | None,
        after: tuple[int, str] | None = None,
    ) -> Iterator[bulk.Some]:
        condition = None if if_exp is None else compile_search(if_exp, "cancel_all(if_exp=)", output=False)
        return bulk.cancel(
            self._world,
            self.function_id_of(function, "cancel_all"),
            since=millis(since, "cancel_all(since=)"),
            until=millis(until, "cancel_all(until=)"),
            condition=condition,
            after=after,
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


def _portion(found: Iterator[bulk.Some], look_at: int, told: Callable[[int], str] = lambda _: "") -> Portion:
    """What comes of the first runs that are looked at. What is `told` of so many goes into the cursor."""
    check_count(look_at, "look_at=")
    runs: list[str] = []
    looked_at, last = 0, None
    for some in found:
        runs += some.runs
        looked_at += some.looked_at
        last = some.last if some.looked_at == bulk.AT_ONCE else None
        if looked_at >= look_at:
            break
    else:
        last = None
    cursor = f"{told(len(runs))}{last.created}/{last.run_id}" if last is not None else None
    return Portion(runs=tuple(runs), looked_at=looked_at, cursor=cursor)


def _place_of_replay(cursor: str) -> tuple[tuple[int, str], tuple[int | None, int]]:
    """The run that was looked at last; when the replay began, and how many it has done again."""
    began, _, rest = cursor.partition("/")
    count, _, last = rest.partition("/")
    if not all(each.isascii() and each.isdecimal() and len(each) < 15 for each in (began, count)):
        raise ConfigurationError(f"cursor= is that of an earlier portion, and this is {cursor!r}")
    return position(last), (int(began), int(count))
