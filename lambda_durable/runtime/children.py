"""Runs that were invoked by a step of another: how they begin, how their end gets back, how they are cancelled."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from ..durations import from_millis, to_millis
from ..engine.journal import Author, Header, Kind, Parent, Partition, Payload, Record, RunStatus
from ..engine.operations import Invoke
from ..errors import (
    ErrorInfo,
    InvokeError,
    PayloadTooLargeError,
    RunSkippedError,
    StepTimeoutError,
    type_name,
)
from ..event_json import dump_event
from ..ports import Delivery, Outgoing, World
from ..store import Waiter
from . import starting
from .chain import Chain
from .messages import Continuation, Start, tag
from .resolution import end, ended, is_long_over
from .versions import pin

_FAILED = r"run \S+ of function \S+ failed: "
_BETWEEN = re.compile(f"^(?:{_FAILED})+(?={_FAILED})")

DEEPEST = 50
"""Runs that may invoke one another in a row: one that invokes itself comes to an end."""


def begin(chain: Chain, op: Invoke, record: Record) -> ErrorInfo | None:
    """Start the run that a step invokes; again, if an earlier delivery may have died before. An error if it may
    not be."""
    parent = chain.header.parent
    depth = parent.depth + 1 if parent is not None else 1
    if depth > DEEPEST:
        return ErrorInfo.of(
            InvokeError(
                f"{DEEPEST} runs have invoked one another in a row; does a function invoke itself for ever?",
                step_id=op.path,
            )
        )
    assert record.waits is not None
    try:
        message = starting.start_message(
            chain.world,
            op.function_id,
            record.waits.names[0],
            op.data,
            from_millis(record.began),
            limit=chain.max_output,
            parent=Parent(chain.journal_id, op.path, record.waits.resume, depth),
            pin=pin(chain.world, chain.header),
            carried=chain.hooks.carry(chain.header, op.path),
        )
    except PayloadTooLargeError as error:
        return ErrorInfo.of(error)
    chain.world.queue.send([Outgoing(message.body())])
    return None


def give_up(chain: Chain, record: Record) -> None:
    """End a step that has waited long enough, and then what it invoked."""
    assert record.waits is not None
    error = StepTimeoutError(f"function {record.waits.function!r} did not end in time", step_id=record.path)
    found = chain.commit(ended(chain, record, error=ErrorInfo.of(error)))
    cancel_given_up(chain.world, [found])


def give_up_again(chain: Chain, scope: str) -> None:
    """An earlier delivery of the message in hand may have died between the two."""
    if chain.repeats:
        records = chain.journal.partitions[scope].records.values()
        cancel_given_up(chain.world, (record for record in records if record.author.tag == chain.tag))


def give_up_for_others(world: World, partition: Partition, tag: str) -> None:
    """Another message than that of the `tag` may have died between the two, and finds the scope over when it comes
    again: who ends that does it in its place."""
    given_up = filter(_timed_out, partition.records.values())
    cancel(world, (each for each in given_up if each.author.tag != tag and not is_long_over(world, each)))


def cancel_given_up(world: World, records: Iterable[Record]) -> None:
    """Cancel the runs that steps have invoked and did not wait for any longer."""
    cancel(world, filter(_timed_out, records))


def tell_parent(world: World, header: Header, tag: str) -> None:
    """Give the outcome of a run that has ended to the step that invoked it."""
    parent = header.parent
    if parent is None:
        return
    waiter = Waiter(name=header.run_id, run_id=parent.run_id, path=parent.path, resume=parent.resume)
    if header.status is RunStatus.COMPLETED:
        end(world, waiter, tag, output=header.output)
        return
    what = f"run {header.run_id} of function {header.function_id!r}"
    error = header.error
    if header.status is RunStatus.SKIPPED:
        why = header.queueing.skipped if header.queueing is not None else ""
        info = ErrorInfo(type=type_name(RunSkippedError), message=f"{what} was skipped: {why}")
    elif error is None:
        info = ErrorInfo(type=type_name(InvokeError), message=f"{what} was {header.status}")
    else:
        info = replace(error, message=f"{what} {header.status}: {_innermost(error.message)}", step_id=None)
    end(world, waiter, tag, error=info)


def _innermost(message: str) -> str:
    """Why a run failed. Where runs have invoked one another, the innermost says so; each of those between has an
    error of its own."""
    return _BETWEEN.sub("", message)


def cancel_left_over(world: World, records: Iterable[Record]) -> None:
    """Cancel the runs that steps wait for, or have given up, in a journal that is over."""
    cancel(world, (record for record in records if _was_waited_for(record) or _timed_out(record)))


def cancel(world: World, records: Iterable[Record]) -> None:
    """Cancel the runs that steps have invoked, but for those that are to be left."""
    for record in records:
        if record.waits is None or record.waits.leave:
            continue
        child = record.waits.names[0]
        found = world.store.begin_cancel(child)
        if found is None:
            _never_begin(world, child, record.waits.function, record.author)
        elif not found.status.ended:
            world.queue.send([Outgoing(Continuation(run=child, forced=True).body())])


def is_over(world: World, record: Record) -> bool:
    """Whether a run that was invoked is over, and nobody tells the step that waits for it: it never began, or is
    none of its business."""
    assert record.waits is not None
    if record.waits.leave:
        return True
    child = world.store.get_header(record.waits.names[0])
    return child is None or (child.status.ended and child.parent is None)


def may_begin(world: World, message: Start, delivery: Delivery) -> bool:
    """Whether a run may begin that a step has invoked. One whose parent was over before the step was written
    down has nobody who cancels it."""
    by = message.invoker
    if by is None:
        return True
    parent = world.store.get_header(by.run)
    if parent is not None and parent.runs_in(by.run):
        return True
    record = world.store.get_record(by.run, by.path)
    if record is not None and record.waits is not None and record.waits.leave:
        return True
    _never_begin(world, message.run, message.function, Author(0, tag(delivery.message_id)))
    return False


def refuse(world: World, message: Start, delivery: Delivery, why: str) -> None:
    """A run that a step has invoked can't begin: the step fails. One that has begun after all goes on."""
    by = message.invoker
    if by is None:
        return
    author = Author(0, tag(delivery.message_id))
    error = ErrorInfo(type=type_name(InvokeError), message=why)
    parent = Parent(by.run, by.path, by.resume, by.depth)
    header = _never_begin(world, message.run, message.function, author, error=error, parent=parent)
    if header.ended_by == author:
        tell_parent(world, header, author.tag)


def _never_begin(
    world: World,
    run: str,
    function_id: str,
    author: Author,
    *,
    error: ErrorInfo | None = None,
    parent: Parent | None = None,
) -> Header:
    """A run whose first message is still on its way finds its place taken. The header that is there."""
    now = to_millis(world.clock.now())
    header = Header(
        run_id=run,
        function_id=function_id,
        status=RunStatus.CANCELLED if error is None else RunStatus.FAILED,
        event=Payload(text=dump_event(starting.invoked_event({}, run, from_millis(now)))),
        author=author,
        created=now,
        ended=now,
        ended_by=author,
        error=error,
        parent=parent,
    )
    return world.store.create_run(header) or header


def _was_waited_for(record: Record) -> bool:
    return record.kind is Kind.INVOKE and not record.final


def _timed_out(record: Record) -> bool:
    if record.kind is not Kind.INVOKE or record.error is None:
        return False
    return record.error.type == type_name(StepTimeoutError)
