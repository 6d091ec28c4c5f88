"""The published versions of the worker's Lambda."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from ..durations import to_millis
from ..ports import Clock, Delivery, Invocation, VersionGoneError

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

UNPUBLISHED: Final = "$LATEST"

LEEWAY: Final = 2.0
"""Seconds that an invocation keeps for the answer of the one that it hands a message over to."""


class LambdaVersions:
    """The `Versions` port. `present` is what Lambda says of the code that runs; `live` is another one where that
    has handed over."""

    def __init__(
        self, client: LambdaClient, function: str, present: str, queue_arn: str, clock: Clock, live: str = ""
    ) -> None:
        self.present = "" if present == UNPUBLISHED else present
        self.live = live or self.present
        self._client = client
        self._function = function
        self._queue_arn = queue_arn
        self._clock = clock

    def told(self, live: str) -> LambdaVersions:
        """The same, with what is known of the live one."""
        return LambdaVersions(
            self._client, self._function, self.present, self._queue_arn, self._clock, live=live
        )

    def hand_over(self, version: str, delivery: Delivery, invocation: Invocation) -> None:
        left = invocation.deadline - self._clock.monotonic() - LEEWAY
        if left <= 0:
            raise RuntimeError(f"there is no time left to hand the message over to version {version}")
        until = to_millis(self._clock.now()) + round(left * 1000)
        event = {"Records": [self._record(delivery)], "lambda_durable": {"until": until, "live": self.live}}
        try:
            answer = self._client.invoke(
                FunctionName=self._function, Qualifier=version, Payload=json.dumps(event).encode()
            )
        except self._client.exceptions.ResourceNotFoundException as error:
            raise VersionGoneError(version) from error
        said = answer["Payload"].read()
        if "FunctionError" in answer or not _is_done(said):
            raise RuntimeError(f"version {version} of the worker did not get done with the message")

    def _record(self, delivery: Delivery) -> dict[str, Any]:
        """The message, as SQS gave it."""
        attributes = {"ApproximateReceiveCount": str(delivery.receive_count)}
        if delivery.first_received is not None:
            attributes["ApproximateFirstReceiveTimestamp"] = str(delivery.first_received)
        if delivery.sent is not None:
            attributes["SentTimestamp"] = str(delivery.sent)
        return {
            "messageId": delivery.message_id,
            "receiptHandle": delivery.receipt,
            "body": delivery.body,
            "attributes": attributes,
            "eventSource": "aws:sqs",
            "eventSourceARN": self._queue_arn,
        }


def _is_done(answer: bytes) -> bool:
    try:
        return bool(json.loads(answer)["batchItemFailures"] == [])
    except (ValueError, KeyError, TypeError):
        return False
