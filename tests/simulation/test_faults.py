"""Faults: each does what it says, and the same seed does the same."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from fake_worker import Bench

from lambda_durable.ports import Outgoing
from lambda_durable.testing import Faults

START = datetime(2025, 1, 1, tzinfo=UTC)


def put(rt, key):
    return rt.aws("dynamodb").put_item(TableName="lambda-durable", Item={"pk": {"S": key}, "sk": {"S": "-"}})


def chatter(seed, faults):
    """A busy worker: what it did, in order, as far as anyone can see."""
    log = []

    def worker(world, delivery, invocation):
        log.append((world.clock.now(), delivery.message_id, delivery.body, delivery.receive_count))
        put(rt, delivery.body)
        world.executor.start(f"step[{delivery.body}]", lambda: log.append("step"))
        world.executor.wait(None)
        if len(delivery.body) < 6:
            world.queue.send([Outgoing(delivery.body + c, delay=len(delivery.body)) for c in "ab"])
        log.append(("done", delivery.body))

    rt = Bench(worker, seed=seed, faults=faults)
    rt.stub("step", takes="3s")
    for start in range(3):
        rt.message(str(start))
    rt.drain()
    return log, rt.calls, rt.now()


@pytest.mark.parametrize("faults", [None, Faults(), Faults(interleave=True), Faults(crash=0.3)])
def test_the_same_seed_is_the_same_run(faults):
    assert chatter(1, faults) == chatter(1, faults)


def test_another_seed_is_another_run():
    assert chatter(1, Faults())[0] != chatter(2, Faults())[0]
    assert chatter(1, None)[2] == chatter(2, None)[2]


def test_with_a_duplicate_the_same_message_is_delivered_twice():
    seen = Counter()
    rt = Bench(lambda world, delivery, _: seen.update([delivery.message_id]), faults=Faults(duplicate=1.0))
    for _ in range(5):
        rt.message("x")
    rt.drain()
    assert list(seen.values()) == [2] * 5


def test_a_copy_can_come_while_the_first_is_worked_on():
    working, overlaps = [], []

    def worker(world, delivery, _):
        overlaps.append(bool(working))
        working.append(delivery)
        world.executor.start("slow", lambda: None)
        world.executor.wait(None)
        working.pop()

    for seed in range(10):
        rt = Bench(worker, seed=seed, faults=Faults(duplicate=1.0))
        rt.stub("slow", takes="10s")
        rt.message("x")
        rt.drain()
    assert True in overlaps


def test_late_messages_are_overtaken():
    seen = []
    rt = Bench(lambda world, delivery, _: seen.append(delivery.body), faults=Faults(late=0.5))
    bodies = [str(n) for n in range(20)]
    for body in bodies:
        rt.message(body)
    rt.drain()
    assert sorted(seen) == sorted(bodies)
    assert seen != bodies
    assert timedelta(seconds=1) < rt.now() - START < timedelta(minutes=11)


def test_crashes_kill_invocations_whose_messages_come_back_and_are_bounded():
    finished, begun = [], []

    def worker(world, delivery, _):
        begun.append(delivery)
        put(rt, "a")
        put(rt, "b")
        finished.append(delivery.body)

    rt = Bench(worker, faults=Faults(crash=0.5))
    for n in range(200):
        rt.message(str(n))
    rt.drain()
    assert len(begun) == 200 + 40
    assert set(finished) == {str(n) for n in range(200)}
    assert not rt.dead_letters


def test_what_a_crash_kills_does_nothing_more():
    log = []

    def worker(world, delivery, _):
        if delivery.receive_count > 1:
            return
        try:
            while True:
                put(rt, "a")
        except BaseException:
            for attempt in (
                lambda: put(rt, "b"),
                lambda: world.queue.send([Outgoing("y")]),
                lambda: world.executor.start("s", lambda: log.append("step")),
                lambda: world.executor.wait(5),
            ):
                with pytest.raises(BaseException, match=r"(before|after) dynamodb"):
                    attempt()
            log.append("swallowed")

    rt = Bench(worker, faults=Faults(crash=1.0))
    rt.message("x")
    rt.drain()
    assert log == ["swallowed"]
    assert rt.invocations == 2, "a crash that was swallowed is a crash"
    assert rt.calls["sqs:SendMessage"] == 1


def test_a_lost_response_was_applied_and_is_repeated_or_raises():
    from botocore.exceptions import ReadTimeoutError

    outcomes = Counter()

    def worker(world, delivery, _):
        before = rt.calls["dynamodb:PutItem"]
        try:
            put(rt, delivery.message_id)
        except ReadTimeoutError:
            outcomes["raised"] += 1
        else:
            outcomes["repeated"] += rt.calls["dynamodb:PutItem"] - before - 1

    rt = Bench(worker, faults=Faults(lose_response=1.0))
    for _ in range(40):
        rt.message("x")
    rt.drain()
    assert outcomes["raised"] + outcomes["repeated"] == 40
    assert min(outcomes.values()) > 5
    assert rt.aws("dynamodb").scan(TableName="lambda-durable")["Count"] == 40


def test_an_object_whose_put_is_repeated_is_whole():
    def worker(world, delivery, _):
        world.blobs.put(f"run/{delivery.body}", "x" * 1000)

    bench = Bench(worker, faults=Faults(lose_response=0.5))
    for number in range(30):
        bench.message(str(number))
    bench.drain()

    s3 = bench.aws("s3")
    objects = s3.list_objects_v2(Bucket=bench._bucket)["Contents"]
    assert {found["Size"] for found in objects} == {1000}
    assert bench.calls["s3:PutObject"] > 30


def test_calls_from_outside_are_counted_and_undisturbed():
    rt = Bench(lambda world, delivery, _: None, faults=Faults(crash=1.0, lose_response=1.0))
    for _ in range(20):
        put(rt, "x")
    assert rt.calls == {"dynamodb:PutItem": 20}


def interleaved(seed, faults):
    """Two invocations at once, each of which makes its calls inside a running event loop."""
    log = []

    def worker(world, delivery, _):
        async def handler():
            for _ in range(5):
                log.append(delivery.body)
                assert asyncio.get_running_loop() is loops.setdefault(
                    delivery.body, asyncio.get_running_loop()
                )
                put(rt, delivery.body)
                await asyncio.sleep(0)

        asyncio.run(handler())

    loops = {}
    rt = Bench(worker, seed=seed, faults=faults)
    rt.message("a")
    rt.message("b")
    rt.drain()
    assert rt.invocations == 2
    assert len(set(loops.values())) == 2
    return "".join(log)


def test_invocations_interleave_inside_their_event_loops():
    logs = {interleaved(seed, Faults(interleave=True)) for seed in range(20)}
    assert len(logs) > 10
    assert all(sorted(log) == list("aaaaabbbbb") for log in logs)


def test_without_interleaving_one_invocation_follows_the_other():
    assert interleaved(1, Faults(duplicate=0.0)) == "aaaaabbbbb"
    assert interleaved(1, None) == "aaaaabbbbb"


def test_skewed_clocks_disagree_by_less_than_five_seconds():
    seen = []
    rt = Bench(lambda world, delivery, _: seen.append(world.clock.now() - rt.now()), faults=Faults(skew=True))
    for _ in range(20):
        rt.message("x")
    rt.drain()
    assert timedelta(seconds=1) < max(seen) - min(seen) < timedelta(seconds=5)
