"""A stack, as its user handles it: sam, aws and lambda-durable on the command line."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import boto3
from toolbox import ROOT, Clock, tool

from lambda_durable import Client
from lambda_durable.aws.clients import Clients
from lambda_durable.aws.settings import Settings
from lambda_durable.aws.world import connect
from lambda_durable.errors import RunNotFoundError
from lambda_durable.local import LocalCloud
from lambda_durable.runtime.executor import NoExecutor

T = TypeVar("T")

PARAMETERS = {"Architecture": "x86_64" if os.uname().machine == "x86_64" else "arm64", "Monitoring": "off"}
"""The Lambdas run here; and alarms on several metrics are more than ministack can."""

PATIENCE = 90.0
"""Seconds for whatever takes a few: ministack looks at its schedules each 10 seconds."""


OURS = [sys.executable, "-c", "from lambda_durable.cli import main; main()"]
"""`lambda-durable`, of this checkout."""


TOOK: list[tuple[str, float]] = []
"""What sam was asked for, and the seconds that it took."""


class InfrastructureError(Exception):
    """A tool failed in a way that says nothing about the product."""


class Deployment:
    """One stack on the cloud. `base` is the folder that its template's paths are relative to."""

    def __init__(
        self,
        cloud: LocalCloud,
        clock: Clock,
        name: str,
        template: Path,
        scratch: Path,
        *,
        base: Path = ROOT,
        parameters: Mapping[str, str] | None = None,
    ) -> None:
        self.cloud = cloud
        self.clock = clock
        self.name = name
        self.base = base
        self._template = template
        self._parameters = {**PARAMETERS, **(parameters or {})}
        self._built = scratch / "built"
        self._deployed = False

    # -- sam -----------------------------------------------------------------------------------------

    def deploy(self) -> Deployment:
        """`sam build` and `sam deploy`."""
        parameters = [f"{name}={value}" for name, value in self._parameters.items()]
        build = ["sam", "build", "-t", str(self._template), "-s", str(self.base), "-b", str(self._built)]
        self._run([*build, "--parameter-overrides", *parameters], tool("sam", "sam"))
        self._deployed = True
        deploy = ["sam", "deploy", "-t", str(self._built / "template.yaml"), "--stack-name", self.name]
        options = ["--capabilities", "CAPABILITY_IAM", "--resolve-s3", "--no-progressbar"]
        self._run([*deploy, *options, "--parameter-overrides", *parameters], tool("sam", "sam"))
        return self

    def delete(self) -> None:
        """`sam delete`, if it is there."""
        if self._deployed:
            self._run(["sam", "delete", "--stack-name", self.name, "--no-prompts"], tool("sam", "sam"))
            self._deployed = False

    # -- aws -----------------------------------------------------------------------------------------

    def aws(self, service: str) -> Any:
        """A client on the cloud."""
        session = boto3.Session(
            aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1"
        )
        return session.client(service, endpoint_url=self.cloud.endpoint)

    @cached_property
    def outputs(self) -> Mapping[str, str]:
        stack = self.aws("cloudformation").describe_stacks(StackName=self.name)["Stacks"][0]
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    @property
    def resources(self) -> dict[str, str]:
        """Physical ids by logical ones."""
        answer = self.aws("cloudformation").describe_stack_resources(StackName=self.name)
        return {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in answer["StackResources"]}

    def put_event(self, name: str, detail: Any) -> str:
        """`aws events put-events`; the event's id."""
        entry = {
            "EventBusName": self.outputs["Bus"],
            "DetailType": name,
            "Source": "e2e",
            "Detail": json.dumps(detail),
        }
        put = ["aws", "events", "put-events", "--entries", json.dumps([entry])]
        answer = json.loads(self._run(put, tool("aws", "aws")))
        assert answer["FailedEntryCount"] == 0, answer
        id: str = answer["Entries"][0]["EventId"]
        return id

    def put_event_file(self, path: Path) -> str:
        event = json.loads(path.read_text())
        return self.put_event(event["detail-type"], event["detail"])

    def schedules(self) -> dict[str, str]:
        """Expressions by names, of its own group."""
        scheduler, group = self.aws("scheduler"), self.outputs["ScheduleGroup"]
        found = {}
        for page in scheduler.get_paginator("list_schedules").paginate(GroupName=group):
            for name in (each["Name"] for each in page["Schedules"]):
                with contextlib.suppress(scheduler.exceptions.ResourceNotFoundException):  # it has just fired
                    found[name] = scheduler.get_schedule(Name=name, GroupName=group)["ScheduleExpression"]
        return found

    # -- lambda-durable ------------------------------------------------------------------------------

    @cached_property
    def client(self) -> Client:
        """A client in this process, for what is asked often. Its clock is the cloud's, as on AWS: a list of what runs
        looks no further than a minute ahead."""
        clients = Clients(stack=self.name)
        for service in ("cloudformation", "dynamodb", "events", "s3", "sqs"):
            vars(clients)[service] = self.aws(service)
        settings = Settings.from_stack(self.name, cloudformation=clients.cloudformation)
        return Client(world=connect(settings, NoExecutor(), clients=clients, clock=self.clock))

    def command(self, *arguments: str, status: int = 0) -> str:
        """`lambda-durable ... --stack NAME`, which exits with `status`; what it prints."""
        return self._run([*OURS, *arguments, "--stack", self.name], OURS[0], status)

    def show(self, run_id: str) -> dict[str, Any]:
        shown: dict[str, Any] = json.loads(self.command("show", run_id, "--json"))
        return shown

    def runs(self, function: str) -> list[dict[str, Any]]:
        """Newest first."""
        listed: list[dict[str, Any]] = json.loads(self.command("runs", function, "--json"))
        return listed

    # -- waiting -------------------------------------------------------------------------------------

    def wait(
        self,
        what: str,
        look: Callable[[], T | None],
        *,
        faster: float = 0,
        patience: float = PATIENCE,
    ) -> T:
        """What `look` finds, once it finds something. With `faster`, the cloud's clock gains so many seconds
        a second meanwhile."""
        deadline, looked = time.monotonic() + patience, time.monotonic()
        while not (found := look()):
            self.cloud.check()
            if time.monotonic() > deadline:
                tail = "\n".join(self.cloud.log.read_text(errors="replace").splitlines()[-30:])
                raise AssertionError(f"after {patience:.0f} s: not {what}\nthe cloud's log ends:\n{tail}")
            time.sleep(0.2)
            if faster:
                self.clock.advance(timedelta(seconds=(time.monotonic() - looked) * faster))
                looked = time.monotonic()
        return found

    def wait_for_run(self, function: str, event_id: str) -> str:
        """The id of the run that an event started."""

        def look() -> str | None:
            for run in self.client.runs(function):
                if self.client.get(run.run_id).event.id == event_id:
                    return run.run_id
            return None

        return self.wait(f"a run of {function} for event {event_id}", look)

    def wait_for_step(self, run_id: str, step: str, status: str = "waiting") -> dict[str, Any]:
        """The run, once a step is where it is wanted."""

        def look() -> bool:
            try:
                run = self.client.get(run_id)
            except RunNotFoundError:
                return False
            return step in run.steps and run.steps[step].status == status

        try:
            self.wait(f"{step} {status}", look)
        except AssertionError as error:
            error.add_note(self.command("show", run_id))
            raise
        return self.show(run_id)

    def wait_for_end(self, run_id: str, *, faster: float = 0) -> dict[str, Any]:
        self.wait(f"an end of run {run_id}", lambda: self.client.get(run_id).ended_at, faster=faster)
        return self.show(run_id)

    # -- helpers -------------------------------------------------------------------------------------

    def _run(self, command: list[str], program: str, status: int = 0) -> str:
        began = time.monotonic()
        path = os.pathsep.join([str(Path(tool("cloud", "python")).parent), os.environ["PATH"]])
        done = subprocess.run(
            [program, *command[1:]],
            cwd=self.base,
            env={**os.environ, **self.cloud.environ(), "PATH": path, "SAM_CLI_TELEMETRY": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
        if command[0] == "sam":
            TOOK.append((f"{' '.join(command[:2])} {self.name}", time.monotonic() - began))
        self.cloud.check()
        assert done.returncode == status, f"{' '.join(command)}\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
        return done.stdout


def printed_template(app: str, folder: Path) -> str:
    """What `lambda-durable template` prints."""
    done = subprocess.run(
        [*OURS, "template", app], cwd=folder, stdout=subprocess.PIPE, text=True, timeout=60, check=True
    )
    return done.stdout
