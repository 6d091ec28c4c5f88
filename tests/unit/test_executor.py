"""Steps' functions in threads and on the loop: side by side, each with the context that it was started in."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar

import pytest

from lambda_durable.runtime.executor import THREADS, ThreadExecutor

LONG = 30
"""Seconds that nothing here takes."""


@pytest.fixture
def executor():
    executor = ThreadExecutor()
    yield executor
    executor.close()


def raises(error):
    def call():
        raise error

    return call


def test_a_result_comes_with_the_name_of_its_call(executor):
    executor.start("a", lambda: 1)
    assert executor.wait(LONG) == ("a", 1, None)


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(1), KeyboardInterrupt()])
def test_an_error_of_any_kind_is_an_outcome(executor, error):
    executor.start("a", raises(error))
    assert executor.wait(LONG) == ("a", None, error)


def test_calls_run_side_by_side_and_end_in_their_own_order(executor):
    together = threading.Barrier(2, timeout=LONG)
    first_may_end = threading.Event()

    def first():
        together.wait()
        assert first_may_end.wait(LONG)

    executor.start("first", first)
    executor.start("second", together.wait)
    assert executor.wait(LONG)[0] == "second"
    first_may_end.set()
    assert executor.wait(LONG) == ("first", None, None)


def test_no_more_than_so_many_run_at_once_and_all_of_them_do():
    executor = ThreadExecutor(threads=3)
    lock, running, most = threading.Lock(), 0, 0
    full = threading.Barrier(3, timeout=LONG)

    def call():
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        full.wait()  # nine calls, three at a time
        with lock:
            running -= 1

    for index in range(9):
        executor.start(str(index), call)
    ended = [executor.wait(LONG) for _ in range(9)]
    assert {name for name, _, _ in ended} == {str(index) for index in range(9)}
    assert [error for _, _, error in ended] == [None] * 9
    assert most == 3


def test_nothing_ends_within_the_timeout(executor):
    may_end = threading.Event()
    executor.start("a", lambda: may_end.wait(LONG))
    assert executor.wait(0.01) is None
    may_end.set()
    assert executor.wait(LONG) == ("a", True, None)


def test_waiting_for_ever_for_nothing_is_an_error(executor):
    with pytest.raises(RuntimeError, match="nothing was started"):
        executor.wait(None)


variable: ContextVar[str] = ContextVar("variable", default="")


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_call_sees_the_context_it_was_started_in_and_keeps_its_changes(executor, kind):
    def sync():
        seen = variable.get()
        variable.set("changed")
        return seen

    async def coroutine():
        return sync()

    token = variable.set("caller's")
    try:
        executor.start("a", sync if kind == "sync" else coroutine)
        variable.set("changed since")
        assert executor.wait(LONG) == ("a", "caller's", None)
        assert variable.get() == "changed since"
    finally:
        variable.reset(token)


def test_coroutines_share_one_loop_that_outlives_the_delivery():
    loops = []

    async def note():
        loops.append(asyncio.get_running_loop())

    for _ in range(2):
        executor = ThreadExecutor()
        executor.start("a", note)
        executor.wait(LONG)
        executor.close()
    assert loops[0] is loops[1]
    assert loops[0].is_running()


def test_many_coroutines_need_no_threads(executor):
    at_once, started, everybody = THREADS * 3, 0, asyncio.Event()

    async def call():
        nonlocal started
        started += 1
        if started == at_once:
            everybody.set()
        await everybody.wait()

    for index in range(at_once):
        executor.start(str(index), call)
    assert len({executor.wait(LONG)[0] for _ in range(at_once)}) == at_once


def test_an_awaitable_that_is_no_coroutine_is_waited_for(executor):
    class Eventually:
        def __await__(self):
            yield from asyncio.sleep(0).__await__()
            return "done"

    executor.start("a", Eventually)
    assert executor.wait(LONG) == ("a", "done", None)


def test_the_outcome_of_what_was_abandoned_is_not_taken_for_that_of_its_successor(executor):
    first_may_end, first_ended = threading.Event(), threading.Event()

    def first():
        assert first_may_end.wait(LONG)
        first_ended.set()
        return "abandoned"

    executor.start("a", first)
    second_may_end = threading.Event()

    def second():
        assert second_may_end.wait(LONG)
        return "counts"

    executor.start("a", second)
    first_may_end.set()
    assert first_ended.wait(LONG)
    assert executor.wait(0.01) is None
    second_may_end.set()
    assert executor.wait(LONG) == ("a", "counts", None)


def test_after_the_delivery_coroutines_are_cancelled():
    cancelled, began = threading.Event(), threading.Event()

    async def call():
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    executor = ThreadExecutor()
    executor.start("a", call)
    assert began.wait(LONG)
    executor.close()
    assert cancelled.wait(LONG)


def test_after_the_delivery_nothing_begins_that_had_not():
    may_end, others = threading.Event(), []
    executor = ThreadExecutor(threads=1)
    executor.start("a", lambda: may_end.wait(LONG))
    executor.start("b", lambda: others.append("b"))
    executor.close()
    may_end.set()
    assert executor.wait(LONG) == ("a", True, None)
    assert executor.wait(0.05) is None
    assert others == []


def test_a_coroutine_that_is_made_after_the_delivery_never_begins():
    may_end, began = threading.Event(), []

    async def coroutine():
        began.append(1)

    def call():
        assert may_end.wait(LONG)
        return coroutine()

    executor = ThreadExecutor()
    executor.start("a", call)
    executor.close()
    may_end.set()
    assert executor.wait(0.05) is None
    assert began == []
