"""The app's own queue on SQS."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from ..ports import Delivery, Outgoing
from .batches import batches, send_all

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

LARGEST_BATCH: Final = 1024 * 1024
"""Bytes of a message, and of all messages of a batch together."""

LONGEST_REASON: Final = 1024

NOT_IN_SQS: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""Characters that SQS refuses: those that XML has not. (A set of what it takes is ten times as slow to compile.)"""


class SqsQueue:
    """The `Queue` port. `dead_letter_url` is the queue that people look at."""

    def __init__(self, client: SQSClient, url: str, dead_letter_url: str) -> None:
        self._client = client
        self._url = url
        self._dead_letter_url = dead_letter_url

    def send(self, messages: Sequence[Outgoing]) -> None:
        if len(messages) == 1:
            (message,) = messages
            self._client.send_message(
                QueueUrl=self._url, MessageBody=message.body, DelaySeconds=message.delay
            )
            return
        for batch in batches(messages, lambda message: len(message.body.encode()), LARGEST_BATCH):
            send_all(batch, self._send_batch)

    def dead_letter(self, delivery: Delivery, reason: str) -> None:
        self._client.send_message(
            QueueUrl=self._dead_letter_url,
            MessageBody=delivery.body,
            MessageAttributes={
                "reason": {"DataType": "String", "StringValue": _attribute(reason)},
                "message_id": {"DataType": "String", "StringValue": delivery.message_id},
            },
        )

    def delete(self, receipt: str) -> None:
        """Acknowledge a message at once, in the place of Lambda, which does so when an invocation has ended."""
        self._client.delete_message(QueueUrl=self._url, ReceiptHandle=receipt)

    def backlog(self) -> int:
        found = self._client.get_queue_attributes(
            QueueUrl=self._url, AttributeNames=["ApproximateNumberOfMessages"]
        )
        return int(found["Attributes"]["ApproximateNumberOfMessages"])

    def _send_batch(self, batch: list[Outgoing]) -> tuple[list[Outgoing], str]:
        entries: list[SendMessageBatchRequestEntryTypeDef] = [
            {"Id": str(index), "MessageBody": message.body, "DelaySeconds": message.delay}
            for index, message in enumerate(batch)
        ]
        failed = self._client.send_message_batch(QueueUrl=self._url, Entries=entries).get("Failed", [])
        why = ", ".join(sorted({f"{entry['Code']}: {entry.get('Message', '')}" for entry in failed}))
        return [batch[int(entry["Id"])] for entry in failed], why


def _attribute(text: str) -> str:
    """What SQS takes for an attribute's value, which is not empty either."""
    return NOT_IN_SQS.sub("�", text)[:LONGEST_REASON] or "unknown"
