"""How a wait ends: once, by a conditional write, and then its run is woken."""

from __future__ import annotations

from typing import Any

from ..durations import to_millis
from ..engine.journal import Author, Kind, Payload, Record, State
from ..errors import ErrorInfo
from ..parsing import read_json
from ..ports import Outgoing, World
from ..store import Waiter
from .chain import Chain
from .messages import Continuation

SAFETY = 300
"""Seconds after which a run is looked after whose wait was ended: who did may have died before saying so."""

A_DAY = 24 * 3600 * 1000

OUTSIDE = "~"
"""Begins the tag of whoever ended a wait and sends a message that goes on. It sorts after all digests: who is at work
on the run meanwhile, in a message of the same generation, finds itself overtaken, and leaves the run to that one."""


def end(
    world: World, waiter: Waiter, tag: str, *, output: Payload | None = None, error: ErrorInfo | None = None
) -> bool:
    """End a wait, and wake its run. Whether it was this, or an earlier call of the same `tag`, that did."""
    if output is not None and output.key is not None:
        _keep(world, waiter.run_id, output.key)
    woken = read_json(Continuation, waiter.resume)
    done, record = world.store.resolve(
        waiter.run_id,
        waiter.path,
        author=Author(max(woken.generation - 1, 0), f"{OUTSIDE}{tag}"),
        ended=to_millis(world.clock.now()),
        output=output,
        error=error,
    )
    ours = done or was_ended_by(record, tag)
    if ours:
        world.queue.send([Outgoing(waiter.resume)])
    if record is not None and record.waits is not None and (ours or is_long_over(world, record)):
        forget(world, waiter.run_id, record)  # until then, who ended it must find the waiter
    return ours


def end_from_outside(
    world: World, waiter: Waiter, tag: str, *, output: Payload | None = None, error: ErrorInfo | None = None
) -> bool:
    """As `end`, for one who may die in between, and is not called again: a check goes first."""
    resume = read_json(Continuation, waiter.resume)
    world.queue.send([Outgoing(resume.as_check().body(), SAFETY)])
    return end(world, waiter, tag, output=output, error=error)


def was_ended_by(record: Record | None, tag: str) -> bool:
    """Whether it was `end` with this tag that ended a wait. Earlier releases wrote down the tag alone."""
    return record is not None and record.author.tag.removeprefix(OUTSIDE) == tag


def is_long_over(world: World, record: Record) -> bool:
    """Whether a wait ended so long ago that who ended it has seen to what follows, if in a later delivery."""
    return record.ended is not None and record.ended + A_DAY < to_millis(world.clock.now())


def still_waits(world: World, journal_id: str, record: Record | None) -> bool:
    """Whether a wait is open, in a journal that its run is still at work in."""
    if record is None or record.final:
        return False
    header = world.store.get_header(journal_id)
    return header is not None and header.runs_in(journal_id)


def _keep(world: World, run_id: str, key: str) -> None:
    """An object that came from elsewhere lives as long as the run that now refers to it."""
    world.store.get_header(run_id)
    if world.store.lives_longer(run_id):
        world.blobs.extend(key)


def ended(chain: Chain, record: Record, **outcome: Any) -> Record:
    return Record(
        path=record.path,
        kind=record.kind,
        state=State.FAILED if "error" in outcome else State.COMPLETED,
        author=chain.author,
        began=record.began,
        ended=chain.now(),
        attempts=1,
        waits=record.waits,
        undo=record.undo,
        **outcome,
    )


def waiters_of(run_id: str, record: Record) -> list[Waiter]:
    plan = record.waits
    assert plan is not None
    assert record.wake_at is not None or record.final
    if plan.path and plan.match is None:
        return []  # there is nothing to be equal to
    return [
        Waiter(
            name=name,
            run_id=run_id,
            path=record.path,
            resume=plan.resume,
            match_path=plan.path,
            match=plan.match or "",
            condition=plan.condition,
            since=plan.since,
            until=record.wake_at or 0,
            taken=plan.taken,
        )
        for name in plan.names
    ]


def forget(world: World, run_id: str, record: Record) -> None:
    """Let nobody find a wait any more that has ended."""
    if record.kind in (Kind.INVOKE, Kind.WAIT_FOR_CALLBACK):
        return
    for waiter in waiters_of(run_id, record):
        if record.kind is Kind.WAIT_FOR_SIGNAL:
            world.store.release_signal(waiter)
        else:
            world.store.remove_waiter(waiter)
