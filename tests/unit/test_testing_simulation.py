"""The simulation by itself: time, processes, crashes, threads."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from lambda_durable.testing.simulation import Crashed, Simulation, seconds

START = datetime(2025, 1, 1, tzinfo=UTC)


def after(number):
    return START + timedelta(seconds=number)


def test_events_happen_in_order_of_time_then_of_asking():
    sim = Simulation(0, START)
    log = []
    for number, name in ((2, "c"), (1, "a"), (1, "b")):
        sim.at(after(number), lambda name=name: log.append((name, sim.now)))
    sim.run_until(after(1))
    assert log == [("a", after(1)), ("b", after(1))]
    sim.run_until_idle()
    assert log[2:] == [("c", after(2))]
    sim.run_until(after(10))
    assert sim.now == after(10)
    assert sim.monotonic() == 10


def test_what_was_due_in_the_past_is_due_now():
    sim = Simulation(0, START)
    sim.run_until(after(5))
    sim.at(after(1), lambda: None)
    sim.run_until_idle()
    assert sim.now == after(5)


def test_processes_sleep_side_by_side():
    sim = Simulation(0, START)
    log = []

    def body(name, *naps):
        def run(process):
            for nap in naps:
                process.sleep_until(sim.now + timedelta(seconds=nap))
                log.append((name, sim.monotonic()))

        return run

    sim.spawn(body("a", 1, 3))
    sim.spawn(body("b", 2, 1))
    sim.run_until_idle()
    assert log == [("a", 1), ("b", 2), ("b", 3), ("a", 4)]


def test_a_process_asleep_at_its_deadline_is_killed():
    sim = Simulation(0, START)
    ends = []
    process = sim.spawn(
        lambda process: process.sleep_until(after(100)),
        deadline=after(60),
        ended=lambda error: ends.append((sim.now, error)),
    )
    sim.run_until_idle()
    ((when, error),) = ends
    assert when == after(60)
    assert isinstance(error, Crashed)
    with pytest.raises(Crashed):
        process.check()


def test_who_ends_before_the_deadline_is_not_killed():
    sim = Simulation(0, START)
    ends = []
    sim.spawn(lambda process: process.sleep_until(after(59)), deadline=after(60), ended=ends.append)
    sim.run_until_idle()
    assert ends == [None]


def test_what_a_process_raises_is_told_and_no_event_is_lost():
    sim = Simulation(0, START)
    ends = []

    def fails(process):
        raise ValueError("x")

    sim.spawn(fails, ended=ends.append)
    assert repr(ends) == "[ValueError('x')]"


def test_closing_lets_paused_processes_die():
    sim = Simulation(0, START)
    log = []

    def body(process):
        try:
            process.sleep_until(after(5))
        finally:
            log.append("unwound")

    for _ in range(3):
        sim.spawn(body)
    assert log == []
    sim.close()
    assert log == ["unwound"] * 3


def test_threads_are_used_again():
    used = set()
    for _ in range(50):
        sim = Simulation(0, START)
        sim.spawn(lambda process: used.add(threading.get_ident()))
    assert len(used) == 1


def test_current_is_the_process_of_this_thread():
    sim = Simulation(0, START)
    seen = []

    def body(process):
        seen.append(sim.current() is process)
        other = threading.Thread(target=lambda: seen.append(sim.current()))
        other.start()
        other.join()

    sim.spawn(body)
    assert seen == [True, None]
    assert sim.current() is None


def test_interleaving_is_random_and_follows_the_seed():
    def trace(seed, interleave=True):
        sim = Simulation(seed, START, interleave=interleave)
        log = []

        def body(name):
            def run(process):
                for _ in range(4):
                    log.append(name)
                    process.yield_()

            return run

        for name in "ab":
            sim.at(START, lambda name=name: sim.spawn(body(name)))
        sim.run_until_idle()
        return "".join(log)

    assert trace(1) == trace(1)
    assert len({trace(seed) for seed in range(30)}) > 10
    assert trace(1, interleave=False) == "aaaabbbb"


def test_seconds_are_rounded_up_to_microseconds():
    assert seconds(1.5) == timedelta(seconds=1.5)
    assert seconds(1e-9) == timedelta(microseconds=1)
    assert seconds(0) == timedelta()
