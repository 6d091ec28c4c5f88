"""Where an app's resources are: environment variables of a worker, outputs of a stack."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from ..errors import ConfigurationError

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

PREFIX: Final = "LAMBDA_DURABLE_"

CLIENT_NEEDS: Final = ("table", "bucket", "queue_url", "bus")
WORKER_NEEDS: Final = (
    *CLIENT_NEEDS,
    "queue_arn",
    "ingress_queue_arn",
    "failed_queue_arn",
    "dead_letter_url",
    "dead_letter_arn",
    "schedule_group",
    "scheduler_role_arn",
)

LONGEST_RETENTION: Final = 3650
"""Days."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Names of what the template makes. A client needs the first four, and has "" for the rest.

    `failed_queue_arn` is the queue of messages that were received too often, which the worker reads itself;
    `dead_letter_*` is the one that people look at.
    """

    table: str
    bucket: str
    queue_url: str
    bus: str
    queue_arn: str = ""
    ingress_queue_arn: str = ""
    failed_queue_arn: str = ""
    dead_letter_url: str = ""
    dead_letter_arn: str = ""
    schedule_group: str = ""
    scheduler_role_arn: str = ""
    retention: timedelta = timedelta(days=30)

    @classmethod
    def from_environment(cls, *, worker: bool = True) -> Settings:
        """From LAMBDA_DURABLE_TABLE, LAMBDA_DURABLE_QUEUE_URL and so on. Raises ConfigurationError."""
        return _settings(
            os.environ,
            WORKER_NEEDS if worker else CLIENT_NEEDS,
            variable,
            lambda names: (
                f"not set in the environment: {names}; "
                + (
                    "template.yaml sets them for the worker"
                    if worker
                    else "the outputs of the stack have their values, and Client(stack=...) reads them itself"
                )
            ),
        )

    @classmethod
    def from_stack(cls, name: str, *, cloudformation: CloudFormationClient | None = None) -> Settings:
        """From the outputs of a CloudFormation stack. Raises ConfigurationError."""
        if cloudformation is None:
            from .clients import Clients

            cloudformation = Clients(stack=name).cloudformation
        outputs = {
            output.get("OutputKey", ""): output.get("OutputValue", "")
            for output in cloudformation.describe_stacks(StackName=name)["Stacks"][0].get("Outputs", ())
        }
        return _settings(
            outputs,
            CLIENT_NEEDS,
            output_key,
            lambda names: (
                f"stack {name!r} has no output {names}: is it one of lambda_durable's, fully deployed?"
            ),
        )


def variable(field: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + field.upper()


def output_key(field: str) -> str:
    """The stack's output of a setting."""
    return "".join(word.capitalize() for word in field.split("_"))


def _settings(
    values: Mapping[str, str],
    needed: tuple[str, ...],
    name: Callable[[str], str],
    missing: Callable[[str], str],
) -> Settings:
    found = {field: values.get(name(field), "").strip() for field in WORKER_NEEDS}
    if absent := [name(field) for field in needed if not found[field]]:
        raise ConfigurationError(missing(", ".join(absent)))
    for field, value in found.items():
        if value and field.endswith("_arn") and not value.startswith("arn:"):
            raise ConfigurationError(f"{name(field)} is an ARN (arn:aws:...), and this is {value!r}")
        if value and field.endswith("_url") and not value.startswith(("https://", "http://")):
            raise ConfigurationError(f"{name(field)} is a queue's URL (https://...), and this is {value!r}")
    days = values.get(name("retention_days"), "30").strip()
    if not days.isascii() or not days.isdecimal() or not 1 <= int(days) <= LONGEST_RETENTION:
        raise ConfigurationError(
            f"{name('retention_days')} is a whole number of days, 1 to {LONGEST_RETENTION}, and this is {days!r}"
        )
    return Settings(**found, retention=timedelta(days=int(days)))
