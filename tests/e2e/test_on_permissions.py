"""Every IAM statement of the template is there for a reason: what a real run calls needs all of them, and nothing
more."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from busy_app import LIMITS
from cloudformation import Stack, load
from permissions import examine, of_logical_ids, recorded_calls, service_calls, statements_of
from toolbox import ROOT

APP = Path(__file__).with_name("busy_app.py")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("busy")
    (folder / "app.py").write_text(APP.read_text())
    (folder / "requirements.txt").write_text(f"{ROOT}\n-c {ROOT / 'constraints.txt'}\n")
    program = [sys.executable, "-c", "from lambda_durable.cli import main; main()"]
    printed = subprocess.run([*program, "template", "app.py"], cwd=folder, capture_output=True, check=True)
    (folder / "template.yaml").write_bytes(printed.stdout)
    return folder


@pytest.fixture(scope="module")
def findings(deploy, calls, project):
    """Of a run with a large output and a long sleep, runs that limits and a pause keep waiting, a poison message, and a
    second deploy with other crons, after which a pinned run goes on."""
    stack = deploy("busy", project / "template.yaml", base=project).deploy()
    stack.client.pause("once")
    stack.client.start("patient")
    stack.wait("a run that sleeps", lambda: list(stack.client.runs("patient", status="running")))
    stack.client.pause("patient", runs="cancel")  # the worker looks for its runs
    stack.wait("its cancellation", lambda: ended(stack, "patient"))
    stack.put_event("busy/began", {})
    stack.aws("sqs").send_message(QueueUrl=stack.outputs["QueueUrl"], MessageBody='{"kind": "poison"}')
    reconcile = {"FunctionName": stack.outputs["WorkerArn"], "Payload": b'{"lambda_durable": "reconcile"}'}
    assert "FunctionError" not in stack.aws("lambda").invoke(**reconcile)
    stack.wait("a schedule for the sleep", lambda: [name for name in stack.schedules() if "-" not in name])
    stack.wait("the poison put aside", lambda: dead_letters(stack))
    stack.client.resume("once")
    stack.wait("an end of all that is limited", lambda: all(ended(stack, name) for name in LIMITS))

    app = project / "app.py"
    app.write_text(
        app.read_text().replace('"changed": "0 9 * * *", "removed": "0 9 * * *"', '"changed": "0 8 * * *"')
    )
    stack.deploy()
    (loyal,) = stack.client.runs("loyal")
    stack.put_event("busy/deployed", {})
    assert stack.wait_for_end(loyal.run_id)["lambda_version"] == "1"

    resources = stack.resources
    lines = calls.read_text().splitlines()
    ours = [line for line in lines if json.loads(line)["function"] == resources["Worker"]]
    template = Stack(load(project / "template.yaml"))
    done = recorded_calls(template, of_logical_ids(ours, [resources]))
    return examine(statements_of(template), [*service_calls(template), *done])


def ended(stack, function):
    runs = list(stack.client.runs(function))
    return bool(runs) and all(run.ended_at for run in runs)


def dead_letters(stack):
    attributes = stack.aws("sqs").get_queue_attributes(
        QueueUrl=stack.outputs["DeadLetterUrl"], AttributeNames=["ApproximateNumberOfMessages"]
    )
    return int(attributes["Attributes"]["ApproximateNumberOfMessages"])


def test_nothing_is_called_that_is_not_allowed(findings):
    assert findings.missing == []


def test_nothing_is_allowed_that_is_not_needed(findings):
    assert findings.unused == []
