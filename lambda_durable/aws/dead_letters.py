"""The dead-letter queue that people look at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

TAKEN_FOR: Final = 120
"""Seconds for which nobody else sees what is looked at."""

MOST: Final = 1_000
"""Letters that are looked at in one go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A message that was given up. `sent` is when it was sent at first, in milliseconds; `attributes` are those that
    the service set which gave it up, and `source` the ARN of the queue that it was moved from."""

    body: str
    message_id: str
    sent: int = 0
    attributes: Mapping[str, str] = field(default_factory=dict)
    source: str = ""
    receipt: str = field(default="", repr=False, compare=False)


class SqsDeadLetters:
    """Letters are taken, so that two who look do not act on one; what is not removed is there again afterwards. Threads
    wait for each other: to who looks meanwhile there would be no letters."""

    def __init__(self, client: SQSClient, url: str) -> None:
        self._client = client
        self._url = url
        self._looking = Lock()

    @contextmanager
    def taken(self) -> Iterator[list[Letter]]:
        """All letters there are, up to MOST."""
        found: dict[str, Letter] = {}
        with self._looking:
            try:
                while len(found) < MOST and (page := self._receive()):
                    found |= {letter.message_id: letter for letter in page}
                yield list(found.values())
            finally:
                self._put_back([letter.receipt for letter in found.values()])

    def remove(self, letter: Letter) -> None:
        self._client.delete_message(QueueUrl=self._url, ReceiptHandle=letter.receipt)

    def _receive(self) -> list[Letter]:
        answer = self._client.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=10,
            VisibilityTimeout=TAKEN_FOR,
            WaitTimeSeconds=1,
            MessageAttributeNames=["All"],
            AttributeNames=["All"],
        )
        return [
            Letter(
                body=message["Body"],
                message_id=message["MessageId"],
                sent=int(message.get("Attributes", {}).get("SentTimestamp", 0)),
                attributes={
                    name: attribute.get("StringValue", "")
                    for name, attribute in message.get("MessageAttributes", {}).items()
                },
                source=message.get("Attributes", {}).get("DeadLetterQueueSourceArn", ""),
                receipt=message["ReceiptHandle"],
            )
            for message in answer.get("Messages", ())
        ]

    def _put_back(self, receipts: list[str]) -> None:
        """One that was removed is refused in the answer, and that is fine."""
        for start in range(0, len(receipts), 10):
            self._client.change_message_visibility_batch(
                QueueUrl=self._url,
                Entries=[
                    {"Id": str(number), "ReceiptHandle": receipt, "VisibilityTimeout": 0}
                    for number, receipt in enumerate(receipts[start : start + 10])
                ],
            )
