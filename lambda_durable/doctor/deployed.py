"""A deployed app, to be examined."""

from __future__ import annotations

from ..aws.clients import Clients
from ..aws.dead_letters import SqsDeadLetters
from ..aws.inspection import Inspection
from ..aws.leftovers import Leftovers
from ..aws.settings import Settings
from ..aws.world import connect
from ..connected import SHARDS_AT_ONCE
from ..function import App
from ..runtime.executor import NoExecutor
from ..runtime.sealing import sealed
from .examination import Patient

WORKER = "WorkerArn"
"""The stack's output that has the worker's alias."""


def patient(stack: str | None, app: App | None = None) -> Patient:
    """The app of a stack, or of what the environment names: then its Lambda is not known, and is not looked at.

    Raises ConfigurationError.
    """
    if stack is None:
        settings, worker = Settings.from_environment(worker=False), ""
    else:
        cloudformation = Clients(stack=stack).cloudformation
        settings = Settings.from_stack(stack, cloudformation=cloudformation)
        outputs = cloudformation.describe_stacks(StackName=stack)["Stacks"][0].get("Outputs", ())
        worker = next((each["OutputValue"] for each in outputs if each.get("OutputKey") == WORKER), "")
    clients = Clients(settings)
    inspection = Inspection(clients, settings, worker)
    return Patient(
        world=sealed(connect(settings, NoExecutor(), clients=clients, at_once=SHARDS_AT_ONCE), app),
        letters=SqsDeadLetters(clients.sqs, settings.dead_letter_url) if settings.dead_letter_url else None,
        left=Leftovers(clients.dynamodb, settings.table, clients.scheduler, settings.schedule_group),
        setup=inspection,
        is_gone=inspection.is_gone,
        retention=settings.retention,
    )
