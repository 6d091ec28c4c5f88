"""The contract of `EventBus`."""

from __future__ import annotations

import json

import pytest


def entry(number, data=""):
    detail = json.dumps({"number": number, "data": data}, ensure_ascii=False)
    return {"DetailType": "test/happened", "Source": "test", "Detail": detail}


def test_an_event_arrives_as_eventbridge_has_it(services):
    services.bus.put([entry(1, "💥")])
    (body,) = services.events(1)
    event = json.loads(body)
    assert (event["detail-type"], event["source"]) == ("test/happened", "test")
    assert event["detail"] == {"number": 1, "data": "💥"}
    assert event["id"]
    assert event["time"]


@pytest.mark.parametrize("count", [0, 10, 23])
def test_each_of_several_events_arrives_once(services, count):
    services.bus.put([entry(number) for number in range(count)])
    arrived = [json.loads(body)["detail"]["number"] for body in services.events(count)]
    assert sorted(arrived) == list(range(count))


def test_events_that_are_too_large_for_one_call_arrive_all(services):
    services.bus.put([entry(number, "x" * 300_000) for number in range(5)])
    arrived = [json.loads(body)["detail"]["number"] for body in services.events(5)]
    assert sorted(arrived) == list(range(5))
