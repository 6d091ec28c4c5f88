"""The contract of `Store`: waits that the outside world ends, or puts off."""

from __future__ import annotations

from dataclasses import replace

import pytest
from samples import BOOM, NOW, OTHER, RUN, pending

from lambda_durable.engine.journal import Kind, Payload, Record, State, WaitPlan
from lambda_durable.store import Store

EVENT = WaitPlan(
    ("paid", "bounced"), "{}", path="data.id", match='"é"', condition="true", since=NOW, taken=("e",)
)
CALLBACK = WaitPlan((), "{}", nonce="x" * 22, heartbeat=60_000, deadline=NOW + 900_000)
INVOKE = WaitPlan(("01J",), "{}", leave=True, function="f")


def wait(plan: WaitPlan = CALLBACK, kind: Kind = Kind.WAIT_FOR_CALLBACK) -> Record:
    return pending("wait", State.WAITING, kind=kind, waits=plan, wake_at=NOW + 60_000)


@pytest.mark.parametrize(
    "waiting",
    [
        wait(),
        wait(EVENT, Kind.WAIT_FOR_EVENT),
        wait(INVOKE, Kind.INVOKE),
        wait(WaitPlan(("go",), "{}", match=None)),
    ],
)
def test_a_wait_comes_back_as_it_was(store: Store, waiting: Record) -> None:
    assert store.register(RUN, waiting) is None
    assert store.get_record(RUN, "wait") == waiting


def test_a_wait_ends_once_with_what_came_first(store: Store) -> None:
    store.register(RUN, wait())
    output = Payload(text='"yes"')
    over = replace(
        wait(), state=State.COMPLETED, author=OTHER, ended=NOW + 5, output=output, wake_at=None, attempts=1
    )
    assert store.resolve(RUN, "wait", author=OTHER, ended=NOW + 5, output=output) == (True, over)
    assert store.resolve(RUN, "wait", author=OTHER, ended=NOW + 6, error=BOOM) == (False, over)
    assert store.get_record(RUN, "wait") == over


def test_a_wait_ends_with_an_error(store: Store) -> None:
    store.register(RUN, wait())
    done, over = store.resolve(RUN, "wait", author=OTHER, ended=NOW, error=BOOM)
    assert done
    assert over is not None
    assert (over.state, over.error, over.waits) == (State.FAILED, BOOM, CALLBACK)


def test_a_wait_that_is_not_there_does_not_end(store: Store) -> None:
    assert store.resolve(RUN, "wait", author=OTHER, ended=NOW, error=BOOM) == (False, None)
    assert store.put_off(RUN, "wait", NOW) is False
    assert store.get_record(RUN, "wait") is None


def test_a_wait_that_was_put_off_is_not_given_up_at_its_old_time(store: Store) -> None:
    store.register(RUN, wait())
    later = NOW + 90_000
    assert store.put_off(RUN, "wait", later) is True
    assert store.get_record(RUN, "wait") == replace(wait(), wake_at=later)
    given_up = store.resolve(RUN, "wait", author=OTHER, ended=later, error=BOOM, due=NOW + 60_000)
    assert given_up == (False, replace(wait(), wake_at=later))
    assert store.resolve(RUN, "wait", author=OTHER, ended=later, error=BOOM, due=later)[0] is True


def test_a_wait_is_never_put_off_to_an_earlier_time(store: Store) -> None:
    store.register(RUN, wait())
    assert store.put_off(RUN, "wait", NOW) is True
    assert store.get_record(RUN, "wait") == wait()


def test_a_wait_that_has_ended_is_not_put_off(store: Store) -> None:
    store.register(RUN, wait())
    _, over = store.resolve(RUN, "wait", author=OTHER, ended=NOW, output=Payload(text="1"))
    assert store.put_off(RUN, "wait", NOW + 90_000) is False
    assert store.get_record(RUN, "wait") == over
