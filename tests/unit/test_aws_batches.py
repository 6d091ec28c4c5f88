"""What AWS refuses of a batch is sent again, and nothing else of it."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from lambda_durable.aws import batches as batching
from lambda_durable.aws.batches import PAUSES, PartlyRefusedError, batches
from lambda_durable.aws.eventbridge import EventBridgeBus
from lambda_durable.aws.sqs import SqsQueue
from lambda_durable.ports import Outgoing

MESSAGES = [Outgoing("a"), Outgoing("b", delay=5), Outgoing("c")]
EVENTS = [{"DetailType": name, "Source": "test", "Detail": "{}"} for name in "abc"]


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    """How long was waited between, which is left out."""
    waited: list[float] = []
    monkeypatch.setattr(batching.time, "sleep", waited.append)
    return waited


@pytest.fixture
def answers():
    """Makes a client that gets answers; all of them have to be asked for."""
    stubs: list[Stubber] = []

    def answers(service: Any, operation: str, *exchanges: tuple[Any, Any]) -> Any:
        client = boto3.client(
            service, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
        )
        stub = Stubber(client)
        for expected, answer in exchanges:
            stub.add_response(operation, answer, expected)
        stub.activate()
        stubs.append(stub)
        return client

    yield answers
    for stub in stubs:
        stub.assert_no_pending_responses()


def entries(*messages: Outgoing) -> dict[str, Any]:
    return {
        "QueueUrl": "url",
        "Entries": [
            {"Id": str(index), "MessageBody": message.body, "DelaySeconds": message.delay}
            for index, message in enumerate(messages)
        ],
    }


def refused(*ids: str) -> dict[str, Any]:
    return {
        "Successful": [],
        "Failed": [
            {"Id": id, "SenderFault": False, "Code": "InternalError", "Message": "oops"} for id in ids
        ],
    }


def test_messages_that_were_refused_are_sent_again(answers, pauses):
    client = answers(
        "sqs",
        "send_message_batch",
        (entries(*MESSAGES), refused("1", "2")),
        (entries(*MESSAGES[1:]), refused("0")),
        (entries(MESSAGES[1]), refused()),
    )
    SqsQueue(client, "url", "dead").send(MESSAGES)
    assert pauses == list(PAUSES[:2])


def test_messages_that_are_refused_to_the_end_are_an_error_that_says_why(answers):
    again = [(entries(MESSAGES[0], MESSAGES[2]), refused("0", "1"))] * len(PAUSES)
    client = answers("sqs", "send_message_batch", (entries(*MESSAGES), refused("0", "2")), *again)
    with pytest.raises(PartlyRefusedError, match=r"2 of 3 entries were refused.*InternalError: oops"):
        SqsQueue(client, "url", "dead").send(MESSAGES)


def put(*names: str) -> dict[str, Any]:
    return {"Entries": [{**event, "EventBusName": "bus"} for event in EVENTS if event["DetailType"] in names]}


def outcome(*accepted: bool) -> dict[str, Any]:
    results = [{"EventId": "id"} if good else {"ErrorCode": "InternalFailure"} for good in accepted]
    return {"FailedEntryCount": accepted.count(False), "Entries": results}


def test_events_that_were_refused_are_put_again(answers):
    client = answers(
        "events",
        "put_events",
        (put("a", "b", "c"), outcome(False, True, False)),
        (put("a", "c"), outcome(True, False)),
        (put("c"), outcome(True)),
    )
    EventBridgeBus(client, "bus").put(EVENTS)


def test_events_that_are_refused_to_the_end_are_an_error_that_says_why(answers):
    client = answers(
        "events",
        "put_events",
        *[(None, outcome(False, True, True))],
        *[(put("a"), outcome(False)) for _ in PAUSES],
    )
    with pytest.raises(PartlyRefusedError, match=r"1 of 3 entries were refused.*InternalFailure"):
        EventBridgeBus(client, "bus").put(EVENTS)


@pytest.mark.parametrize(
    ("sizes", "split"),
    [
        ([], []),
        ([1] * 10, [10]),
        ([1] * 21, [10, 10, 1]),
        ([60, 40], [2]),
        ([60, 41], [1, 1]),
        ([150, 1], [1, 1]),
        ([1, 150], [1, 1]),
        ([50, 50, 50, 50, 1], [2, 2, 1]),
    ],
)
def test_a_batch_has_ten_entries_and_so_many_bytes_at_most(sizes, split):
    assert [len(batch) for batch in batches(sizes, lambda size: size, 100)] == split
