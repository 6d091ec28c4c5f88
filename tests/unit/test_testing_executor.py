"""Steps in virtual time: they overlap, in the order in which they end."""

from __future__ import annotations

import asyncio
import functools
import threading
from contextvars import ContextVar
from datetime import UTC, datetime

import pytest

from lambda_durable.runtime.executor import NoExecutor
from lambda_durable.testing.executor import Stub, Stubs, VirtualExecutor
from lambda_durable.testing.faults import Dice
from lambda_durable.testing.simulation import Simulation, seconds
from lambda_durable.testing.traffic import Traffic

START = datetime(2025, 1, 1, tzinfo=UTC)


def run(body, **takes):
    """Run `body(executor, log)`; `log(x)` notes x and the second at which it was."""
    sim = Simulation(0, START)
    stubs = Stubs({path: Stub(takes=seconds(number)) for path, number in takes.items()})
    noted, errors = [], []

    def log(what):
        noted.append((what, sim.monotonic()))

    def process_body(process):
        executor = VirtualExecutor(sim, process, Traffic(sim, Dice(sim, None)), stubs)
        try:
            body(executor, log)
        finally:
            executor.close()

    sim.spawn(process_body, ended=errors.append)
    sim.run_until_idle()
    if errors[0] is not None:
        raise errors[0]
    return noted


def test_steps_overlap_and_are_called_when_they_begin():
    def body(executor, log):
        for name in "abc":
            executor.start(name, lambda name=name: log(f"called {name}"))
        for _ in "abc":
            log(executor.wait(None)[0])

    assert run(body, a=5, b=2, c=2) == [
        ("called a", 0),
        ("called b", 0),
        ("called c", 0),
        ("b", 2),
        ("c", 2),
        ("a", 5),
    ]


def test_waiting_ends_at_the_timeout():
    def body(executor, log):
        log(executor.wait(1.5))
        executor.start("a", lambda: 7)
        log(executor.wait(3))
        log(executor.wait(0))
        log(executor.wait(7))

    assert run(body, a=10) == [(None, 1.5), (None, 4.5), (None, 4.5), (("a", 7, None), 11.5)]


def test_what_coroutines_take_to_begin_counts_for_the_timeout():
    def body(executor, log):
        async def slow():
            executor._process.sleep_until(START + seconds(3))

        executor.start("a", slow)
        log(executor.wait(4))

    assert run(body, a=5) == [(None, 4)]


def test_errors_are_handed_out():
    def body(executor, log):
        executor.start("a", lambda: 1 / 0)
        _, result, error = executor.wait(None)
        log((result, type(error)))

    assert run(body) == [((None, ZeroDivisionError), 0)]


def test_coroutines_run_side_by_side_on_one_loop_that_lives_on():
    loops = []

    async def step(turns, mine, other):
        loops.append((asyncio.get_running_loop(), threading.current_thread()))
        mine.set()
        await other.wait()
        if turns > 1:
            raise ValueError("x")
        return turns

    def body(executor, log):
        a, b = asyncio.Event(), asyncio.Event()
        executor.start("a", functools.partial(step, 1, a, b))
        executor.start("b", functools.partial(step, 2, b, a))
        for _ in "ab":
            name, result, error = executor.wait(None)
            log((name, result, repr(error)))

    for _ in range(2):
        assert run(body, a=3) == [(("b", None, "ValueError('x')"), 0), (("a", 1, "None"), 3)]
    assert len(set(loops)) == 1
    assert loops[0][1] is not threading.current_thread()


def test_coroutines_that_a_crash_left_behind_are_closed():
    async def step():
        raise AssertionError

    def body(executor, log):
        executor.start("a", step)

    assert run(body) == []  # a coroutine never awaited would be a warning, and that an error


def test_a_call_sees_the_context_in_which_it_was_started():
    variable = ContextVar("variable", default=0)

    async def asynchronous():
        return variable.get()

    def body(executor, log):
        for value, call in ((1, variable.get), (2, asynchronous)):
            token = variable.set(value)
            executor.start(str(value), call)
            variable.reset(token)
        log(executor.wait(None)[1])
        log(executor.wait(None)[1])

    assert run(body) == [(1, 0), (2, 0)]


def test_waiting_for_nothing_for_ever_is_an_error():
    with pytest.raises(RuntimeError, match="nothing was started"):
        run(lambda executor, log: executor.wait(None))
    with pytest.raises(RuntimeError, match="outside"):
        NoExecutor().wait(1)
    with pytest.raises(RuntimeError, match="'a' was started outside"):
        NoExecutor().start("a", lambda: None)


def test_a_stub_is_called_with_the_arguments_of_the_step():
    stub = Stub(lambda *args, **kwargs: (args, kwargs))
    assert stub.instead_of(functools.partial(int, "1", base=2))() == (("1",), {"base": 2})
    assert stub.instead_of(lambda: 3)() == ((), {})
    assert Stub().instead_of(lambda: 3)() == 3


def test_a_map_is_stubbed_for_all_its_items():
    one, every, grouped = Stub(takes=seconds(1)), Stub(takes=seconds(2)), Stub(takes=seconds(3))
    stubs = Stubs({"m[1]": one, "m": every, "g/m:1": grouped})
    assert stubs.of("m[1]") is one
    assert stubs.of("m[0]") is stubs.of("m[key]") is stubs.of("m") is every
    assert stubs.of("g/m:1[x]") is grouped
    assert stubs.of("g/m[x]") == stubs.of("mm") == stubs.of("m[1]/x") == Stub()
