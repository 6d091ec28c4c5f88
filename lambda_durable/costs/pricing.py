"""What a run would cost on AWS. Dollars, us-east-1, on demand, without the free tier."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

PRICES = {
    "lambda_request": 2.0e-7,
    "lambda_gb_second_arm64": 1.33334e-5,
    "sqs_request": 4.0e-7,
    "dynamodb_write_unit": 6.25e-7,
    "dynamodb_read_unit": 1.25e-7,
    "scheduler_invocation": 1.0e-6,
    "eventbridge_custom_event": 1.0e-6,
    "aws_durable_operation": 8.0e-6,
    "aws_durable_gb_written": 0.25,
    "aws_durable_gb_month": 0.15,
    "step_functions_standard_transition": 2.5e-5,
    # For one request of S3 Standard.
    "s3_put": 5.0e-6,
    "s3_get": 4.0e-7,
}
LOOKED_UP = "2026-11"

STANDING = {"polling three queues": 0.80, "the reconciler": 0.05, "alarms and dashboard": 3.50}
"""Of a stack in which nothing happens, a month, but for what its state takes: docs/deploy.md."""

ASSUMED_MILLISECONDS = 50
"""Of billed time, for one Lambda invocation: what steps really take is not known here."""
ASSUMED_MEGABYTES = 256


@dataclass(frozen=True, slots=True)
class Charge:
    """One line of the bill."""

    what: str
    count: float
    dollars: float
    note: str = ""


def bill(
    calls: Mapping[str, int],
    *,
    invocations: int,
    read_units: float,
    write_units: float,
    index_units: float,
    events: int,
    schedules: int,
    milliseconds: float | None = None,
    megabytes: int = ASSUMED_MEGABYTES,
) -> list[Charge]:
    """What was used, line by line. `calls` are those that the runtime counted, the sender's included; `milliseconds` is
    what Lambda bills in all, unless that is to be assumed for each invocation."""
    # EventBridge and Scheduler put their messages on the queue, and each is a request like ours.
    sent = calls.get("sqs:SendMessage", 0) + calls.get("sqs:SendMessageBatch", 0) + events + schedules
    note = "" if milliseconds is not None else f"assumed: {ASSUMED_MILLISECONDS} ms each, "
    seconds = (invocations * ASSUMED_MILLISECONDS if milliseconds is None else milliseconds) / 1000
    charges = [
        _charge(
            "DynamoDB write units",
            write_units + index_units,
            "dynamodb_write_unit",
            f"{index_units:,g} for the indexes",
        ),
        _charge("DynamoDB read units", read_units, "dynamodb_read_unit"),
        _charge("SQS requests", sent + 2 * invocations, "sqs_request", "send, receive, delete"),
        _charge("Lambda requests", invocations, "lambda_request"),
        _charge(
            "Lambda GB-seconds",
            seconds * megabytes / 1024,
            "lambda_gb_second_arm64",
            f"{note}{megabytes} MB, arm64",
        ),
        _charge("Scheduler invocations", schedules, "scheduler_invocation"),
        _charge("EventBridge events", events, "eventbridge_custom_event"),
        _charge("S3 writes", calls.get("s3:PutObject", 0), "s3_put"),
        _charge("S3 reads", calls.get("s3:GetObject", 0), "s3_get"),
    ]
    return [charge for charge in charges if charge.count]


def total(charges: Iterable[Charge]) -> float:
    return sum(charge.dollars for charge in charges)


def _charge(what: str, count: float, price: str, note: str = "") -> Charge:
    return Charge(what, count, count * PRICES[price], note)
