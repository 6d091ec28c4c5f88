"""Callbacks: a wait that ends by a token.

The token has the run, the path of the wait and a nonce, which was drawn when the wait was registered, and which
nobody but the run and those it tells knows. So there is no key to manage, and a token of another app, run
or step fits nowhere. The wait is registered before `submit` runs: a token that is out can be handed back.

A heartbeat moves the time at which the wait is given up. Whoever was sent to give it up finds that out, and goes
back for the rest.
"""

from __future__ import annotations

import hmac
import secrets
from datetime import timedelta

from ..callbacks import Address, no_token, read_token, token_of
from ..durations import to_millis
from ..engine.journal import Record, WaitPlan
from ..engine.journal_ids import run_of
from ..engine.operations import CallbackWait
from ..errors import ErrorInfo, StepTimeoutError
from ..ports import World
from ..store import Waiter
from . import payloads
from .chain import Chain
from .resolution import end_from_outside, still_waits

NONCE = 16
"""Bytes."""


def plan(op: CallbackWait, now: int, resume: str) -> WaitPlan:
    return WaitPlan(
        names=(),
        resume=resume,
        nonce=secrets.token_urlsafe(NONCE),
        heartbeat=op.heartbeat or 0,
        deadline=now + op.lasts,
    )


def token(journal_id: str, record: Record) -> str:
    assert record.waits is not None
    return token_of(Address(journal_id, record.path, record.waits.nonce))


def give_up(chain: Chain, record: Record, why: ErrorInfo | None = None) -> None:
    """End a wait that nobody was told of, and `why`; or one whose time is over, unless a heartbeat has just moved
    that."""
    chain.leave_a_stand_in()
    _, found = chain.world.store.resolve(
        chain.journal_id,
        record.path,
        author=chain.author,
        ended=chain.now(),
        error=why or _too_late(record),
        due=None if why else record.wake_at,
    )
    assert found is not None
    chain.take(found, None if found.author == chain.author else found)


def _too_late(record: Record) -> ErrorInfo:
    plan, wake_at = record.waits, record.wake_at
    assert plan is not None
    assert wake_at is not None
    if wake_at < plan.deadline:
        said = f"had no heartbeat for {timedelta(milliseconds=plan.heartbeat)}"
    else:
        said = f"was not completed within {timedelta(milliseconds=plan.deadline - record.began)}"
    return ErrorInfo.of(StepTimeoutError(f"callback {record.path!r} {said}", step_id=record.path))


# From outside


def complete(world: World, token: str, text: str, tag: str) -> bool:
    """End the wait of a token with a result (JSON). Whether it did. Raises CallbackTokenError."""
    waiter = _open(world, *_find(world, token))
    if waiter is None:
        return False
    output = payloads.store(world.blobs, run_of(waiter.run_id), text, inline=payloads.INLINE_OUTPUT)
    return end_from_outside(world, waiter, tag, output=output)


def fail(world: World, token: str, error: ErrorInfo, tag: str) -> bool:
    """End the wait of a token with an error. Whether it did. Raises CallbackTokenError."""
    waiter = _open(world, *_find(world, token))
    return waiter is not None and end_from_outside(world, waiter, tag, error=error)


def heartbeat(world: World, token: str) -> bool:
    """Say that the outside world is still at it. Whether the run still waits. Raises CallbackTokenError."""
    journal_id, record = _find(world, token)
    if not still_waits(world, journal_id, record):
        return False
    plan = record.waits
    assert plan is not None
    until = min(to_millis(world.clock.now()) + plan.heartbeat, plan.deadline)
    if not plan.heartbeat or (record.wake_at is not None and record.wake_at >= until):
        return True
    return world.store.put_off(journal_id, record.path, until)


def _find(world: World, token: str) -> tuple[str, Record]:
    journal_id, path, nonce = read_token(token)
    record = world.store.get_record(journal_id, path) if run_of(journal_id) else None
    drawn = record.waits.nonce if record is not None and record.waits is not None else ""
    if record is None or not drawn or not hmac.compare_digest(drawn.encode(), nonce.encode()):
        raise no_token("it is forged, or another app's, or its run was too long ago to be kept")
    return journal_id, record


def _open(world: World, journal_id: str, record: Record) -> Waiter | None:
    """The wait, for who ends it; None if it is over."""
    if not still_waits(world, journal_id, record):
        return None
    assert record.waits is not None
    return Waiter(name="", run_id=journal_id, path=record.path, resume=record.waits.resume)
