"""How messages reach an invocation, and what becomes of those that fail."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from fake_worker import Bench

from lambda_durable.ports import Outgoing
from lambda_durable.testing import Faults
from lambda_durable.testing.fakes import Misuse

START = datetime(2025, 1, 1, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_a_message_is_delivered_when_its_delay_is_over():
    seen = []
    rt = Bench(lambda world, delivery, _: seen.append((delivery.body, world.clock.now())))
    rt.message("late", delay=900)
    rt.message("now")

    rt.advance("0s")
    assert seen == [("now", START)]
    rt.advance("899s")
    assert len(seen) == 1
    rt.drain()
    assert seen[1] == ("late", after(900))
    assert rt.now() == after(900)
    assert rt.invocations == 2
    assert rt.calls["sqs:SendMessage"] == 2


def test_a_failed_message_comes_back_when_its_visibility_timeout_runs_out():
    seen = []

    def worker(world, delivery, _):
        seen.append((world.clock.now(), delivery.message_id, delivery.receive_count))
        if len(seen) < 3:
            raise ValueError("no")

    rt = Bench(worker)
    rt.message("x")
    rt.drain()

    assert [(when, count) for when, _, count in seen] == [(START, 1), (after(960), 2), (after(1920), 3)]
    assert len({message_id for _, message_id, _ in seen}) == 1


def test_a_message_that_fails_every_time_becomes_a_dead_letter():
    def worker(world, delivery, _):
        raise ValueError("no such run")

    rt = Bench(worker)
    rt.message("x")
    rt.drain()

    (letter,) = rt.dead_letters
    assert (letter.body, letter.receive_count) == ("x", 21)
    assert letter.reason.startswith("the message is no JSON")
    assert letter.reason.endswith("; the last time, it failed: ValueError: no such run")
    assert rt.invocations == 21  # the last one is that of the dead-letter queue


def test_the_worker_can_put_a_message_aside():
    rt = Bench(lambda world, delivery, _: world.queue.dead_letter(delivery, "gibberish"))
    rt.message("x")
    rt.drain()

    assert [(letter.body, letter.reason) for letter in rt.dead_letters] == [("x", "gibberish")]
    assert rt.invocations == 1


def test_an_invocation_that_outlives_its_timeout_is_killed():
    events = []

    def worker(world, delivery, invocation):
        events.append(("begins", world.clock.now()))
        if delivery.receive_count == 1:
            assert invocation.deadline - world.clock.monotonic() == 60
            world.executor.start("slow", lambda: None)
            world.executor.wait(None)
            events.append("never")

    rt = Bench(worker, lambda_timeout="60s")
    rt.stub("slow", takes="2h")
    rt.message("x")
    rt.drain()

    assert events == [("begins", START), ("begins", after(120))]


@pytest.mark.parametrize("delay", [-1, 901, 1.5])
def test_a_delay_that_sqs_refuses_ends_the_test(delay):
    rt = Bench(lambda world, delivery, _: world.queue.send([Outgoing("y", delay)]))
    rt.message("x")
    with pytest.raises(Misuse, match="DelaySeconds"):
        rt.drain()


@pytest.mark.parametrize("body", ["x" * (1024 * 1024 + 1), "", "\x00", "\uffff"])
def test_a_body_that_sqs_refuses_ends_the_test(body):
    rt = Bench(lambda world, delivery, _: None)
    with pytest.raises(Misuse, match="SQS"):
        rt.message(body)


def test_batches_have_at_most_ten_messages_and_one_mebibyte():
    rt = Bench(lambda world, delivery, _: None)
    rt._queue.send([Outgoing("x")] * 11)
    assert rt.calls["sqs:SendMessageBatch"] == 2
    rt._queue.send([Outgoing("x" * 600_000)] * 3)
    assert rt.calls["sqs:SendMessageBatch"] == 5
    rt._queue.send([])
    rt.drain()
    assert rt.invocations == 14


def test_a_schedule_fires_at_the_start_of_its_minute_and_is_forgotten():
    seen = []

    def worker(world, delivery, _):
        seen.append((delivery.body, world.clock.now()))
        if delivery.body == "go":
            for _ in range(2):
                world.scheduler.schedule("s", after(3 * 3600 + 47), "wake")
            with pytest.raises(ValueError, match="exists"):
                world.scheduler.schedule("s", after(3 * 3600 + 48), "wake")

    rt = Bench(worker)
    rt.message("go")
    rt.drain()
    assert seen == [("go", START), ("wake", after(3 * 3600))]
    assert rt.calls["scheduler:CreateSchedule"] == 3

    rt._scheduler.schedule("s", rt.now(), "again")
    rt.drain()
    assert seen[-1] == ("again", after(3 * 3600))


@pytest.mark.parametrize("seed", range(20))
def test_with_faults_a_schedule_fires_within_its_minute(seed):
    seen = []
    rt = Bench(lambda world, delivery, _: seen.append(world.clock.now()), seed=seed, faults=Faults(crash=0.0))
    rt._scheduler.schedule("s", after(600 + 47), "wake")
    rt.drain()
    assert after(600) <= seen[0] < after(660)


def test_schedules_are_as_strict_as_the_service():
    rt = Bench(lambda world, delivery, _: None)
    for name in ("", "x" * 65, "a/b", "a b", "é"):
        with pytest.raises(Misuse, match="name"):
            rt._scheduler.schedule(name, after(60), "x")
    rt.advance("2m")
    with pytest.raises(ValueError, match="past"):
        rt._scheduler.schedule("s", after(59), "x")


def test_an_event_arrives_as_eventbridge_sends_it():
    seen = []
    rt = Bench(lambda world, delivery, _: seen.append(json.loads(delivery.body)))
    rt._bus.put([{"DetailType": f"order.{n}", "Source": "shop", "Detail": '{"n": 1}'} for n in range(11)])
    rt.drain()

    assert rt.calls["events:PutEvents"] == 2
    assert [event["detail-type"] for event in seen] == [f"order.{n}" for n in range(11)]
    assert len({uuid.UUID(event.pop("id")) for event in seen}) == 11
    assert seen[0] == {
        "version": "0",
        "detail-type": "order.0",
        "source": "shop",
        "account": "123456789012",
        "time": "2025-01-01T00:00:00Z",
        "region": "us-east-1",
        "resources": [],
        "detail": {"n": 1},
    }


def test_messages_that_never_end_are_an_error_that_shows_them(monkeypatch):
    monkeypatch.setattr("lambda_durable.testing.local_runtime._MOST_INVOCATIONS", 50)
    rt = Bench(lambda world, delivery, _: world.queue.send([Outgoing(delivery.body + "!")]))
    rt.message("round and round")
    with pytest.raises(RuntimeError, match=r"50 invocations, and no end(.|\n)*round and round!!!"):
        rt.drain()


def test_time_is_not_advanced_from_inside_an_invocation():
    rt = Bench(lambda world, delivery, _: rt.drain())
    rt.message("x")
    rt.drain()
    assert "advanced from inside an invocation" in rt.dead_letters[0].reason
