"""The Lambda handler: which part of us an invocation is for.

The loop over a batch is our own: importing that of Powertools was measured at 57 ms of CPU in each cold start,
and what it would save is twenty lines.
"""

from __future__ import annotations

import json
import logging
import math
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeGuard, cast

from .durations import to_millis
from .engine.journal_ids import run_of
from .errors import ConfigurationError
from .events import from_eventbridge
from .log_keys import RUN_KEYS, bound
from .metrics import MESSAGES_FAILED
from .ports import Clock, Delivery, Invocation, World
from .runtime.executor import ThreadExecutor
from .runtime.hooks import Hooks
from .runtime.interrupts import ComesAgain
from .runtime.messages import PoisonError
from .runtime.sealing import sealed
from .runtime.worker import Worker

if TYPE_CHECKING:
    from .aws.emf import MetricLines
    from .aws.versions import LambdaVersions
    from .function import App

MARGIN: Final = 0.1
"""The part of an invocation's time in which no further message of its batch is begun: it comes back instead."""

LONGEST_ID: Final = 512
"""Characters of a run's id that is named in the log: a message may say anything."""

logger = logging.getLogger(__name__)


class LambdaHandler:
    """What the worker's Lambda calls: `handler(event, context)`.

    On Lambda it connects when it is made, in the time that Lambda gives a cold start; elsewhere (a test
    imports the module, say) when it is first called.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._world: World | None = None
        self._versions: LambdaVersions | None = None
        self._failed_queue = ""
        self._metrics: MetricLines | None = None
        self._acknowledge: Callable[[str], None] = lambda _: None
        self._mistake: ConfigurationError | None = None
        self._on_lambda = "AWS_LAMBDA_FUNCTION_NAME" in os.environ
        if self._on_lambda:
            for handler in logging.getLogger().handlers:
                handler.addFilter(RUN_KEYS)
            try:
                self._connect()
            except ConfigurationError as error:
                self._mistake = error  # for the invocation to tell: nobody reads what a cold start says

    def __call__(self, event: Any, context: Any) -> dict[str, Any] | None:
        """Handle a batch of SQS messages, an EventBridge event, a call of the reconciler's schedule, or a
        deployment's request to register the app's schedules. Raises ConfigurationError for anything else, and
        where a setting is missing or wrong."""
        if not self._on_lambda:
            return self._handle(event, context)
        sys.tracebacklimit = 1000
        try:
            return self._handle(event, context)
        except ConfigurationError:
            sys.tracebacklimit = 0  # it says what to change, and where in our code it was raised says nothing
            raise

    def _handle(self, event: Any, context: Any) -> dict[str, Any] | None:
        kind = event if isinstance(event, dict) else {}
        if "RequestType" in kind and "ResponseURL" in kind:
            self._register(kind, context)
            return None
        world = self._connected()
        try:
            return self._work(world, kind, context)
        finally:
            self._tell(_remaining(context))

    def _work(self, world: World, kind: dict[str, Any], context: Any) -> dict[str, Any] | None:
        if _is_batch(kind.get("Records")):
            return self._batch(world, kind, _invocation(context, world.clock))
        if "detail-type" in kind:
            return self._event(world, kind, _invocation(context, world.clock), context.aws_request_id)
        if kind.get("lambda_durable") == "reconcile":
            from .runtime.reconciler import reconcile

            until = world.clock.monotonic() + _remaining(context) / 2
            return {"overdue": reconcile(world, self._app.functions, until)}
        raise ConfigurationError(
            "the worker takes messages of its SQS queues and EventBridge events, and this Lambda event is "
            f"neither: it has {', '.join(map(repr, list(kind)[:5])) or 'nothing that tells what it is'}"
        )

    def _tell(self, seconds: float) -> None:
        """What was counted and measured goes to the log, when all else is done; so does what middleware has in hand,
        wherever that goes, in the seconds that are left."""
        if self._metrics is not None:
            self._metrics.write()
        Hooks.of(self._app).invocation_ended(seconds)

    def _connected(self) -> World:
        mistake, self._mistake = self._mistake, None
        if mistake is not None:
            raise mistake
        if self._world is None:
            self._connect()
        assert self._world is not None
        return self._world

    def _connect(self) -> None:
        from .aws.clients import Clients, Lazy
        from .aws.emf import metric_lines, or_unmeasured
        from .aws.settings import Settings
        from .aws.sqs import SqsQueue
        from .aws.versions import LambdaVersions
        from .aws.world import check, connect

        settings = Settings.from_environment()
        clients = Clients(settings)
        world = sealed(connect(settings, ThreadExecutor(), clients=clients), self._app)
        self._versions = LambdaVersions(
            cast("Any", Lazy(lambda: clients.lambda_)),
            os.environ.get("AWS_LAMBDA_FUNCTION_NAME", ""),
            os.environ.get("AWS_LAMBDA_FUNCTION_VERSION", ""),
            settings.queue_arn,
            world.clock,
        )
        check(world, settings, clients)
        self._failed_queue = settings.failed_queue_arn
        self._acknowledge = SqsQueue(clients.sqs, settings.queue_url, settings.dead_letter_url).delete
        self._metrics = metric_lines(self._app.id, world.clock)
        self._world = replace(world, versions=self._versions, metrics=or_unmeasured(self._metrics))

    def _batch(self, world: World, event: Mapping[str, Any], invocation: Invocation) -> dict[str, Any]:
        """Messages of a queue; or one that another version of the worker hands over, whose run is pinned to this."""
        given = event.get("lambda_durable")
        if _is_handed_over(given) and self._versions is not None:
            left = (given["until"] - to_millis(world.clock.now())) / 1000
            deadline = min(invocation.deadline, world.clock.monotonic() + left)
            invocation = replace(invocation, deadline=deadline)
            world = replace(world, versions=self._versions.told(given["live"]))
        return self._messages(world, event["Records"], invocation)

    # -- messages ------------------------------------------------------------------------------------

    def _messages(
        self, world: World, records: list[Mapping[str, Any]], invocation: Invocation
    ) -> dict[str, Any]:
        """Work on each message; those that failed come back, and the others don't."""
        failed = []
        for record in records:
            with bound(message_id=record["messageId"]):
                if not self._message(world, record, invocation, last=record is records[-1]):
                    failed.append(record["messageId"])
        return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}

    def _message(
        self, world: World, record: Mapping[str, Any], invocation: Invocation, *, last: bool
    ) -> bool:
        """Whether a message is done with."""
        if invocation.deadline - world.clock.monotonic() < invocation.timeout * MARGIN:
            return False
        attributes = record.get("attributes", {})
        delivery = Delivery(
            body=record["body"],
            message_id=record["messageId"],
            receive_count=_count(attributes, "ApproximateReceiveCount") or 1,
            first_received=_count(attributes, "ApproximateFirstReceiveTimestamp"),
            sent=_count(attributes, "SentTimestamp"),
            receipt=record.get("receiptHandle") or "",
        )
        executor = ThreadExecutor()
        worker = Worker(self._app, replace(world, executor=executor))
        done = True
        try:
            if record.get("eventSourceARN") == self._failed_queue:
                worker.dead_letter(delivery, invocation)
            else:
                worker.handle(delivery, invocation, last=last)
        except ComesAgain as again:
            logger.info("%s (message %s)", again, delivery.message_id)
            done = False
        except Exception as error:
            _log_failure(delivery, error)
            world.metrics.add(MESSAGES_FAILED)
            done = False
        self._close(executor, world.clock, invocation, delivery, done=done)
        return done

    def _close(
        self,
        executor: ThreadExecutor,
        clock: Clock,
        invocation: Invocation,
        delivery: Delivery,
        *,
        done: bool,
    ) -> None:
        """What a handler has abandoned may end in the time that is left."""
        now = clock.monotonic()
        outlived = executor.close(max(invocation.last_call - now, (invocation.deadline - now) / 4, 0))
        if outlived:
            left = max(invocation.deadline - clock.monotonic(), 0)
            self._exit(delivery, outlived, delivery.receipt if done else "", left)

    def _exit(self, delivery: Delivery, outlived: list[str], receipt: str, seconds: float) -> None:
        """End the process: frozen and thawed, a thread would go on with its effect during a later invocation.

        Lambda then counts the invocation as failed, so the message is acknowledged here, if it is done with:
        else it came back and ran the step beside its next attempt.
        """
        logger.error(
            "the process exits, since Python can't stop a thread, and these steps outlived their Lambda's time: %s; "
            "what comes next for them is on its way (message %s, run %s)",
            ", ".join(outlived),
            delivery.message_id,
            _run_of(delivery.body),
        )
        try:
            if receipt:
                self._acknowledge(receipt)
            self._tell(seconds)
        finally:
            logging.shutdown()
            os._exit(1)

    # -- an event, given directly --------------------------------------------------------------------

    def _event(
        self, world: World, event: dict[str, Any], invocation: Invocation, request_id: str
    ) -> dict[str, Any]:
        """Start what an event starts; a retry of the same invocation starts nothing twice. Nothing may bring it back,
        so it is treated as a message's redelivery: before it writes an outcome, it sends what goes on in its place."""
        delivery = Delivery(json.dumps(event), request_id, receive_count=2)
        executor = ThreadExecutor()
        worker = Worker(self._app, replace(world, executor=executor))
        try:
            with bound():
                runs = worker.event(event, delivery, invocation, eagerly=True)
        except PoisonError as error:
            raise ConfigurationError(str(error)) from None
        finally:
            self._close(executor, world.clock, invocation, delivery, done=True)
        return {"event": from_eventbridge(event).id, "runs": runs}

    # -- a deployment --------------------------------------------------------------------------------

    def _register(self, event: dict[str, Any], context: Any) -> None:
        """CloudFormation waits for an answer, so a missing setting is one, too: it shows when the scheduler is
        used."""
        from .aws.clients import Lazy
        from .aws.cloudformation import put_answer
        from .runtime import registration

        scheduler: Any = Lazy(lambda: self._connected().scheduler)
        registration.handle(
            event,
            self._app,
            scheduler,
            put_answer,
            publish=lambda told: self._connected().store.publish(told),
            remaining=lambda: _remaining(context),
        )


def _remaining(context: Any) -> float:
    """Seconds until this invocation is killed."""
    milliseconds: int = context.get_remaining_time_in_millis()
    return milliseconds / 1000


def _is_batch(records: object) -> bool:
    """Whether these are messages of SQS, and not the records of another service."""
    return isinstance(records, list) and all(
        isinstance(record, dict)
        and isinstance(record.get("messageId"), str)
        and isinstance(record.get("body"), str)
        and isinstance(record.get("attributes", {}), dict)
        for record in records
    )


def _is_handed_over(given: Any) -> TypeGuard[dict[str, Any]]:
    """Whether this is what another version of the worker says beside a message (aws/versions.py)."""
    return (
        isinstance(given, dict) and isinstance(given.get("until"), int) and isinstance(given.get("live"), str)
    )


def _count(attributes: Mapping[str, Any], name: str) -> int | None:
    """A number among a message's attributes, which SQS gives as text."""
    found = attributes.get(name)
    return int(found) if isinstance(found, str) and found.isdecimal() and len(found) < 20 else None


def _invocation(context: Any, clock: Clock) -> Invocation:
    remaining = _remaining(context)
    # Lambda: a timeout is whole seconds, of which the runtime has used some milliseconds.
    return Invocation(deadline=clock.monotonic() + remaining, timeout=float(math.ceil(remaining)))


def _log_failure(delivery: Delivery, error: Exception) -> None:
    """Say that a message comes back, and why; never what is in it."""
    run = _run_of(delivery.body)
    which = f"message {delivery.message_id} (delivery {delivery.receive_count}, run {run or 'none yet'})"
    named = {"message_id": delivery.message_id, "run_id": run}
    from .aws.errors import is_throttling

    if is_throttling(error):
        logger.warning("%s comes back, AWS asks for patience: %s", which, error, extra=named)
    elif isinstance(error, ConfigurationError):
        logger.error("%s comes back: %s", which, error, extra=named)
    else:
        logger.error("%s comes back: %s", which, type(error).__name__, exc_info=error, extra=named)


def _run_of(body: str) -> str | None:
    try:
        run = json.loads(body).get("run")
    except (ValueError, AttributeError, RecursionError):
        return None
    return run_of(run) if isinstance(run, str) and len(run) <= LONGEST_ID and run.isprintable() else None
