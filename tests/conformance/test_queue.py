"""The contract of `Queue`."""

from __future__ import annotations

import pytest

from lambda_durable.ports import Delivery, Outgoing


@pytest.mark.parametrize("body", ["a", '{"run":"💥"}', "two\nlines\tand a tab", "x" * 900_000])
def test_a_message_comes_as_it_was_sent(services, body):
    services.queue.send([Outgoing(body)])
    assert services.receive(1) == [body]


@pytest.mark.parametrize("count", [0, 2, 10, 11, 25])
def test_each_of_several_messages_comes_once(services, count):
    bodies = [f"message {number}" for number in range(count)]
    services.queue.send([Outgoing(body) for body in bodies])
    assert sorted(services.receive(count)) == sorted(bodies)


def test_messages_that_are_too_large_for_one_batch_come_all(services):
    bodies = [letter * 600_000 for letter in "abc"]
    services.queue.send([Outgoing(body) for body in bodies])
    assert sorted(services.receive(3)) == bodies


@pytest.mark.parametrize("beside", [[], [Outgoing("now")]], ids=["alone", "in a batch"])
def test_a_delayed_message_does_not_come_at_once(services, beside):
    services.queue.send([Outgoing("later", delay=900), *beside])
    assert services.receive(len(beside)) == [message.body for message in beside]


@pytest.mark.parametrize("reason", ["none of ours", "two\nlines", "💥 and so on"])
def test_a_dead_letter_is_put_aside_with_its_reason(services, reason):
    services.queue.dead_letter(Delivery("body", "id-1", receive_count=3), reason)
    assert services.dead_letters(1) == [("body", reason)]
    assert services.receive(0) == []


@pytest.mark.parametrize("reason", ["", "\x00", "\ud83d", "\uffff", "x" * 300_000])
def test_a_dead_letter_is_put_aside_whatever_its_reason(services, reason):
    services.queue.dead_letter(Delivery("body", "id-1", receive_count=3), reason)
    ((body, _),) = services.dead_letters(1)
    assert body == "body"
