"""Attempts: what a step's function did becomes a record. Claims, retries and failures are decided here."""

from __future__ import annotations

import math
from contextvars import copy_context
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from heapq import heappush
from typing import Any

from ..config import Retry
from ..durations import in_millis, to_millis
from ..engine import paths
from ..engine.interrupts import Reload
from ..engine.journal import Claim, Payload, Record, State, Undoable
from ..engine.operations import Committed, Group, Operation, Poll, StepCall
from ..errors import (
    DurableError,
    ErrorInfo,
    PayloadTooLargeError,
    RetryAfterError,
    SerializationError,
    StepError,
    StepInterruptedError,
    StepTimeoutError,
)
from ..log_keys import bind
from ..serialization import Codec
from ..step_info import StepInfo, running_step
from .chain import Chain
from .effects import Effects
from .feeds import StepFeed
from .messages import tag
from .tallies import attempted
from .visit import Running
from .wakes import SKEW


@dataclass(slots=True)
class Attempts:
    """Runs the steps of one chain, as long as a message works on it."""

    chain: Chain
    _claims: bool = False

    def __post_init__(self) -> None:
        # The first delivery claims nothing, which is what makes a step cost one write; an attempt that
        # dies in it is not charged. From the second on, each claims what it starts with.
        self._claims = self.chain.visit.delivery.receive_count > 1 or self.chain.message.check

    # -- before --------------------------------------------------------------------------------------

    def begin(self, op: StepCall) -> None:
        """Start a step's function, unless it turns out to have an outcome, or another worker may be at it."""
        chain, record = self.chain, op.record
        charged = self.charged(record)
        before = record.checked if record is not None else 0
        claimed = record is not None and record.claim is not None
        if record is not None and claimed and charged - before >= op.retry.max_attempts:
            chain.commit(self._given_up(op, record, charged))
            return
        now = chain.now()
        began = record.began if record is not None else now
        always = op.at_most_once or op.undo is not None  # what undoes it is to know that it may have begun
        if (always or self._claims or claimed) and not self._claim(op, record, charged, now):
            return
        if op.undo is not None and not chain.still_runs():
            self._release(op)
            raise Reload
        chain.visit.abandoned.pop(op.path, None)
        since = chain.world.clock.monotonic()
        until = since + op.timeout / 1000 if op.timeout is not None else math.inf
        self.running[op.path] = Running(op, began, since, until)
        if op.timeout is not None:
            heappush(chain.visit.limits, (until, op.path))
        deadline = chain.visit.invocation.deadline
        info = StepInfo(
            chain.header.run_id,
            paths.shown(op.path),
            charged - before + 1,
            idempotency_key=f"{chain.journal_id}/{op.path}",
            _publish=StepFeed(chain.feed, f"{chain.journal_id}/{op.path}", paths.shown(op.path), charged + 1),
            _deadline=deadline,
            _monotonic=chain.world.clock.monotonic,
        )
        copy_context().run(self._start, op, info, charged + 1, now)

    def _start(self, op: StepCall, info: StepInfo, calls: int, now: int) -> None:
        running_step.set(info)
        bind(step_id=info.step_id, attempt=info.attempt)
        call = op.call if op.outside is None else partial(op.outside, Effects(self.chain, op.path))
        call = self.chain.hooks.around_step(self.chain.header, op, info, calls, now, call)
        self.chain.world.executor.start(op.path, call)

    def settled(self) -> None:
        """What was started first in this delivery has ended: it did not kill the worker, so the next step
        needs no claim."""
        self._claims = False

    def charged(self, record: Record | None) -> int:
        """How many attempts count: those that failed, and those that were claimed and never heard of."""
        if record is None:
            return 0
        return max(record.attempts, record.claim.attempt if record.claim is not None else 0)

    def free_at(self, record: Record) -> int | None:
        """When another worker's claim is over: not before its Lambda is surely gone."""
        return record.claim.deadline + SKEW if record.claim is not None else None

    def _claim(self, op: StepCall, record: Record | None, charged: int, now: int) -> bool:
        chain = self.chain
        deadline = now + round(chain.remaining() * 1000)
        wanted = Record(
            path=op.path,
            kind=op.kind,
            state=State.RUNNING,
            author=chain.author,
            began=record.began if record is not None else now,
            attempts=charged,
            checked=record.checked if record is not None else 0,
            claim=Claim(charged + 1, deadline, self._claimant),
            undo=self._undoable(op),
        )
        # By value: a response that was lost makes the same claim come back as one that was found.
        return chain.claim(wanted, record).claim == wanted.claim

    def _release(self, op: StepCall) -> None:
        """Take a claim back: what was to begin never does."""
        record = op.record
        assert record is not None
        self.chain.claim(replace(record, claim=None), record)

    def _undoable(self, op: Operation, *, unknown: bool = False) -> Undoable | None:
        """What a record says of a step's undo. `unknown`: an attempt has just died without telling."""
        record = op.record
        known = record.undo if record is not None else None
        if op.undo is None:
            return known  # a deploy took it away, and what has happened is still to be undone
        died = record is not None and record.claim is not None and not self._is_mine(record)
        return Undoable(op.undo.if_unknown, unknown or died or (known is not None and known.unknown))

    def _given_up(self, op: StepCall, record: Record, charged: int) -> Record:
        unknown = "; whether its effect happened is not known" if op.at_most_once else ""
        error = StepInterruptedError(
            f"attempt {charged} of step {op.path!r} began and was never heard of again: its Lambda was killed, ran "
            f"out of memory or out of time{unknown}. It is not tried again",
            step_id=op.path,
        )
        base = replace(record, undo=self._undoable(op, unknown=True))
        return self._final(base, charged, error=ErrorInfo.of(error, attempts=charged))

    @property
    def running(self) -> dict[str, Running]:
        """The steps whose functions run in this invocation, and when they began."""
        return self.chain.visit.running

    def wait(self, timeout: float | None) -> list[tuple[StepCall, Record]]:
        """Wait for a step that runs here, and commit how it ended. Nothing if none did in time; those whose own
        time is up, or all that run if the invocation's is."""
        clock, last_call = self.chain.world.clock, self.chain.visit.invocation.last_call
        left = max(min(last_call, self.chain.visit.first_limit) - clock.monotonic(), 0.0)
        ended = self.chain.world.executor.wait(left if timeout is None else min(timeout, left))
        if ended is not None:
            path, result, error = ended
            if path in self.running:
                op = self.running[path].op
                return [(op, self.end(op, result, error))]
            self._end_abandoned(path, result, error)
            return []
        now, running = clock.monotonic(), list(self.running.values())
        if now >= last_call:
            self.chain.visit.left = True
            return [(each.op, self._cut_short(each.op, self._interrupted(each.op))) for each in running]
        return [(each.op, self._time_out(each.op)) for each in running if each.until <= now]

    def drain(self) -> None:
        """Wait for all that runs here."""
        while self.running:
            self.wait(None)

    def abandon(self) -> None:
        """The code has ended without what still runs here. Leave a trace of it (a write each), since its
        effect may have happened. How one with an undo ends is written down when it does."""
        self.chain.visit.left |= bool(self.running)
        for path, running in self.running.items():
            if running.op.record is None:
                self.chain.register(self._blank(running.op, running.began))
            if running.op.undo is not None:
                self.chain.visit.abandoned[path] = (self, running)
        self.running.clear()

    def linger(self) -> bool:
        """Wait for what was abandoned and may have to be undone, as long as this invocation lasts. Whether there
        was something."""
        visit, clock = self.chain.visit, self.chain.world.clock
        waited = bool(visit.abandoned)
        while visit.abandoned and (left := visit.invocation.last_call - clock.monotonic()) > 0:
            if (ended := self.chain.world.executor.wait(left)) is not None:
                self._end_abandoned(*ended)
        visit.abandoned.clear()
        return waited

    def _end_abandoned(self, path: str, result: Any, error: BaseException | None) -> None:
        """What was abandoned may end, too; who began it writes that down."""
        attempts, running = self.chain.visit.abandoned.pop(path, (None, None))
        if attempts is not None and running is not None:
            attempts._commit(running, result, error)

    # -- after ---------------------------------------------------------------------------------------

    def end(self, op: StepCall, result: Any, error: BaseException | None) -> Record:
        """Commit how a step's function ended; the record that counts (the first outcome stays)."""
        return self._commit(self.running.pop(op.path), result, error)

    def _commit(self, running: Running, result: Any, error: BaseException | None) -> Record:
        op, began, since, _ = running
        visit = self.chain.visit
        took = self.chain.world.clock.monotonic() - since
        visit.longest_step = max(visit.longest_step, took)
        if isinstance(result, Committed):
            self.settled()
            attempted(self.chain.world.metrics, self.chain.header, result.record, took)
            return self.chain.take(result.record, result.found)
        attempt = self._this_attempt(op)
        base = self._blank(op, began)
        if error is not None:
            base = self._failed(base, op.retry, error, attempt)
        elif op.poll is not None:
            base = self._checked(base, op, op.poll, result, attempt)
        else:
            base = self._completed(base, op.codec, result, attempt)
        self.settled()
        return self._commit_attempt(base, took)

    def _checked(
        self, base: Record, op: StepCall, poll: Poll, found: tuple[bool, Any], attempt: int
    ) -> Record:
        """What a check of a poll becomes: the outcome, or the time of the next one. The last is at the
        deadline."""
        done, result = found
        now, deadline = self.chain.now(), base.began + poll.timeout
        if done:
            return self._completed(base, op.codec, result, attempt)
        if now >= deadline:
            error = StepTimeoutError(
                f"poll {op.path!r} was not done after {timedelta(milliseconds=poll.timeout)}", step_id=op.path
            )
            return self._final(base, attempt, error=ErrorInfo.of(error, attempts=attempt))
        wake_at = min(now + poll.every, deadline)
        return replace(base, state=State.RETRYING, attempts=attempt, checked=attempt, wake_at=wake_at)

    def _interrupted(self, op: StepCall) -> StepError:
        unknown = "; whether its effect happened is not known" if op.at_most_once else ""
        return StepInterruptedError(
            f"attempt {self._this_attempt(op)} of step {op.path!r} was interrupted, since its Lambda's time was up "
            f"({self.chain.visit.invocation.timeout:g} seconds){unknown}; raise the timeout of the Lambda, or make "
            "the step shorter",
            step_id=op.path,
        )

    def _time_out(self, op: StepCall) -> Record:
        """An attempt has taken as long as it may."""
        assert op.timeout is not None
        if not self.chain.world.executor.interrupt(op.path):
            self.chain.visit.stuck = True
        error = StepTimeoutError(
            f"attempt {self._this_attempt(op)} of step {op.path!r} took longer than "
            f"{timedelta(milliseconds=op.timeout)}",
            step_id=op.path,
        )
        return self._cut_short(op, error)

    def _cut_short(self, op: StepCall, error: StepError) -> Record:
        """Commit that an attempt ran out of time. That is none of the errors that a policy may give up on."""
        _, began, since, _ = self.running.pop(op.path)
        took = self.chain.world.clock.monotonic() - since
        attempt = self._this_attempt(op)
        info = ErrorInfo.of(error, attempts=attempt)
        base = replace(self._blank(op, began), undo=self._undoable(op, unknown=True))
        if attempt - base.checked >= op.retry.max_attempts:
            return self._commit_attempt(self._final(base, attempt, error=info), took)
        wake_at = self.retry_at(op.retry, error, attempt - base.checked, op.path)
        again = replace(base, state=State.RETRYING, attempts=attempt, error=info, wake_at=wake_at)
        return self._commit_attempt(again, took)

    def _commit_attempt(self, record: Record, took: float) -> Record:
        attempted(self.chain.world.metrics, self.chain.header, record, took)
        return self.chain.commit(record)

    def _this_attempt(self, op: StepCall) -> int:
        return self.charged(op.record) + (0 if self._is_mine(op.record) else 1)

    def end_group(self, op: Group, result: Any, error: Exception | None) -> Record:
        """Commit how a group's code ended."""
        error = what_left(error) if error is not None else None
        record = op.record
        began = record.began if record is not None else self.chain.now()
        attempt = (record.attempts if record is not None else 0) + 1
        base = self._blank(op, began)
        if error is None:
            return self.chain.commit_whole(self._completed(base, op.codec, result, attempt))
        return self.chain.commit_whole(self._failed(base, op.retry, error, attempt))

    @property
    def _claimant(self) -> str:
        """This delivery of this message: neither a second one at the same time must take its claim for its own, nor
        another message that stands for the same one."""
        visit = self.chain.visit
        own = "" if visit.stands_for is None else f"{tag(visit.delivery.message_id)}/"
        return f"{self.chain.tag}/{own}{visit.delivery.receive_count}"

    def _is_mine(self, record: Record | None) -> bool:
        return record is not None and record.claim is not None and record.claim.tag == self._claimant

    def _blank(self, op: Operation, began: int) -> Record:
        return Record(
            path=op.path,
            kind=op.kind,
            state=State.RUNNING,
            author=self.chain.author,
            began=began,
            checked=op.record.checked if op.record is not None else 0,
            undo=self._undoable(op),
        )

    def _completed(self, base: Record, codec: Codec, result: Any, attempt: int) -> Record:
        try:
            text = codec.encode(result)
            output = self.chain.keep(text, f"the output of step {base.path!r}", limit=self.chain.max_output)
        except (SerializationError, PayloadTooLargeError) as error:
            return self._final(base, attempt, error=ErrorInfo.of(_at(error, base.path), attempts=attempt))
        return self._final(base, attempt, output=output)

    def _failed(self, base: Record, retry: Retry, error: BaseException, attempt: int) -> Record:
        info = ErrorInfo.of(error)
        if info.step_id in (None, base.path):
            info = replace(info, attempts=attempt)
        if attempt - base.checked >= retry.max_attempts or not retry.wants(error):
            return self._final(base, attempt, error=info)
        wake_at = self.retry_at(retry, error, attempt - base.checked, base.path)
        return replace(base, state=State.RETRYING, attempts=attempt, error=info, wake_at=wake_at)

    def _final(
        self, base: Record, attempts: int, *, output: Payload | None = None, error: ErrorInfo | None = None
    ) -> Record:
        state = State.FAILED if error is not None else State.COMPLETED
        return replace(
            base,
            state=state,
            author=self.chain.author,
            ended=self.chain.now() if base.undo is None else self.chain.moment(),
            attempts=attempts,
            output=output,
            error=error,
            claim=None,
            wake_at=None,
        )

    def joined(self, base: Record, outcome: str | ErrorInfo) -> Record:
        """The final record of a fan-out. Its parts were small enough one by one, so the whole has no limit."""
        if isinstance(outcome, ErrorInfo):
            return self._final(base, 1, error=outcome)
        return self._final(base, 1, output=self.chain.keep(outcome, base.path))

    def retry_at(self, retry: Retry, error: BaseException, attempt: int, path: str) -> int:
        """When the next attempt is due."""
        now = self.chain.now()
        if isinstance(error, RetryAfterError):
            after = error.after
            return to_millis(after) if isinstance(after, datetime) else now + in_millis(after)
        # Seeded, so that doing it again sets the same time.
        return now + in_millis(retry.delay(attempt, f"{self.chain.journal_id}/{path}/{attempt}"))


def _at(error: SerializationError | PayloadTooLargeError, path: str) -> StepError:
    what = f"the output of step {path!r}"
    message = error.message if error.message.startswith(what) else f"{what}: {error.message}"
    return type(error)(message, step_id=path)


def what_left(error: Exception) -> Exception:
    """The error that left some code. Of a TaskGroup's, which are an ExceptionGroup, it is the first one, if
    all are ours: a step that failed for good, say, is not tried again for being in a group."""
    if not isinstance(error, ExceptionGroup):
        return error
    _, others = error.split(DurableError)
    first: Exception = error
    while isinstance(first, ExceptionGroup):
        first = first.exceptions[0]
    return error if others is not None else first
