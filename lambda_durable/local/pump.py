"""What AWS does between the queues and the Lambda: event source mappings, and the reconciler's schedule."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..aws.settings import Settings
from .invoking import InvocationError, Invoker
from .stack import LAMBDA_TIMEOUT, VISIBILITY, Clients

RECONCILE = 300.0
"""Seconds, as in the template."""

_BETWEEN_LOOKS = 0.1

_AFTER_FAILURE = 1.0

_TO_BEGIN = 120
"""Seconds for the start of a process: a message is hidden for so much longer than its invocation may take, or it came
again meanwhile."""

logger = logging.getLogger(__name__)


class Pump:
    """Takes messages from the app's queues, and hands each to `invoker` with at most `concurrency` at once.

    What was done is deleted; what failed comes back after `VISIBILITY`. An invocation may take `timeout`
    seconds. `on_failure` is told why one failed.
    """

    def __init__(
        self,
        endpoint: str,
        settings: Settings,
        invoker: Invoker,
        *,
        concurrency: int,
        on_failure: Callable[[str], None],
        timeout: float = LAMBDA_TIMEOUT,
    ) -> None:
        self._sqs = Clients(endpoint)("sqs")
        self._invoker = invoker
        self._on_failure = on_failure
        self._hidden = round(timeout) + _TO_BEGIN
        self._room = threading.Semaphore(concurrency)
        self._pool = ThreadPoolExecutor(concurrency + 1, thread_name_prefix="invocation")
        self._stopped = threading.Event()
        self._going = threading.Event()
        self._threads = [
            threading.Thread(target=self._poll, args=(arn,), name=f"poll {arn}", daemon=True)
            for arn in (settings.queue_arn, settings.ingress_queue_arn, settings.failed_queue_arn)
        ]
        self._threads.append(threading.Thread(target=self._reconcile, name="reconciler", daemon=True))

    def start(self) -> None:
        self._going.set()
        for thread in self._threads:
            thread.start()

    def pause(self) -> None:
        """Take nothing more until `resume`: there is no code that could work on it."""
        self._going.clear()

    def resume(self) -> None:
        self._going.set()

    def stop(self) -> None:
        """Take nothing more, and end: what runs still has the time that its process has."""
        self._stopped.set()
        self._going.set()
        self._invoker.close()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _poll(self, arn: str) -> None:
        url = self._sqs.get_queue_url(QueueName=arn.rpartition(":")[2])["QueueUrl"]
        while not self._stopped.is_set():
            self._going.wait()
            self._room.acquire()
            message = None
            try:
                message = self._receive(url)
            finally:
                if message is None:
                    self._room.release()
            if message is None:
                self._stopped.wait(
                    _BETWEEN_LOOKS
                )  # without the room, which another queue's messages may need
            else:
                self._submit(url, arn, message)

    def _submit(self, url: str, arn: str, message: dict[str, Any]) -> None:
        try:
            self._pool.submit(self._work, url, arn, message)
        except RuntimeError:  # stopped meanwhile
            self._room.release()

    def _receive(self, url: str) -> dict[str, Any] | None:
        try:
            answer = self._sqs.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=1,
                WaitTimeSeconds=0,
                MessageSystemAttributeNames=["All"],
                VisibilityTimeout=self._hidden,
            )
        except Exception as error:
            if not self._stopped.wait(_AFTER_FAILURE):
                logger.debug("no messages can be received: %s", error)
            return None
        messages: list[dict[str, Any]] = answer.get("Messages", [])
        return messages[0] if messages else None

    def _work(self, url: str, arn: str, message: dict[str, Any]) -> None:
        try:
            record = {
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "body": message["Body"],
                "attributes": message.get("Attributes", {}),
                "messageAttributes": {},
                "eventSource": "aws:sqs",
                "eventSourceARN": arn,
                "awsRegion": arn.split(":")[3],
            }
            answer = self._invoke({"Records": [record]})
            if answer is not None and not answer.get("batchItemFailures"):
                self._sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            else:
                self._sqs.change_message_visibility(
                    QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=VISIBILITY
                )
        except Exception as error:
            self._failed(f"a message comes back: {error}")
        finally:
            self._room.release()

    def _invoke(self, event: dict[str, Any]) -> dict[str, Any] | None:
        """What the handler returned; None if it failed."""
        try:
            return self._invoker.invoke(event) or {}
        except InvocationError as error:
            self._failed(str(error))
            return None

    def _failed(self, why: str) -> None:
        if not self._stopped.is_set():
            self._on_failure(why)

    def _reconcile(self) -> None:
        due = time.monotonic() + RECONCILE
        while not self._stopped.wait(max(0.0, due - time.monotonic())):
            due += RECONCILE
            if self._going.is_set():
                with self._room:
                    self._invoke({"lambda_durable": "reconcile"})
