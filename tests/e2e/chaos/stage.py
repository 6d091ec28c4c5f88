"""The app deployed to a cloud of its own, with microburst between the two where there are to be faults."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from functools import cached_property
from pathlib import Path

from deployment import Deployment, printed_template
from toolbox import ROOT, TOOLS, Clock, sam_cloud

from chaos.log import Log, fresh_log
from chaos.proxy import Proxy
from lambda_durable import Client
from lambda_durable.local import LocalCloud

NAME = "chaos"
PAYMENTS = "chaos-payments"
TIMEOUT = 30
VISIBILITY = 90
"""Seconds, as the template has it for that timeout."""

QUIET = 2.5
"""Seconds without a sign of life, after which nothing is at work: a worker that starts takes less."""


class EndlessError(Exception):
    """What runs on the stack does not come to an end."""


def under_the_clock() -> None:
    """Start this process again with the clock of the cloud, which may jump: else what it writes would seem old.
    From then on, SIGTERM ends it in order."""
    assert TOOLS is not None
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    if not (TOOLS / "clock.so").exists():
        sys.exit("there is no clock that can be moved: it takes a C compiler, cc")
    if "CLOCK_OFFSET_FILE" not in os.environ:
        clock = Clock(Path(tempfile.mkdtemp(prefix="chaos-")) / "offset")
        os.execve(sys.executable, sys.orig_argv, {**os.environ, **clock.environment})


@contextmanager
def stage(
    *,
    seed: int,
    concurrency: int,
    patience: float,
    faults: bool = True,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Stage]:
    """Deploys; on the way out everything that was started is stopped, and nothing is left. What takes longer than
    `patience` seconds from then on is an EndlessError. `environment` is for the app."""
    file = Path(os.environ["CLOCK_OFFSET_FILE"])
    folder, port = file.parent, _free_port()
    clock, log = Clock(file), fresh_log(folder)
    proxied = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"} if faults else {}
    variables = {
        **clock.environment,
        **proxied,
        "CHAOS_LOG": str(log.path),
        "CHAOS_TABLE": PAYMENTS,
        "LAMBDA_WARM_TTL_SECONDS": "1000000000",  # a jump of the clock is no reason to end a worker
        **(environment or {}),
    }
    with ExitStack() as ends:
        ends.callback(shutil.rmtree, folder, ignore_errors=True)
        cloud = ends.enter_context(sam_cloud(variables))
        proxy = Proxy(cloud.endpoint, port, folder, seed=seed) if faults else None
        if proxy is not None:
            ends.callback(proxy.stop)
        deployment = _deployed(cloud, clock, folder, {"MaximumConcurrency": str(concurrency)})
        yield Stage(cloud, clock, log, proxy, deployment, patience)


def _deployed(cloud: LocalCloud, clock: Clock, folder: Path, parameters: Mapping[str, str]) -> Deployment:
    project = folder / "project"
    project.mkdir()
    shutil.copy(Path(__file__).with_name("app.py"), project)
    (project / "requirements.txt").write_text(f"{ROOT}\n-c {ROOT / 'constraints.txt'}\n")
    template = project / "template.yaml"
    printed = printed_template("app.py", project)
    template.write_text(
        printed.replace("Handler: app._worker", "Handler: app.handler")
    )  # which keeps the log
    parameters = {"Timeout": str(TIMEOUT), **parameters}
    deployment = Deployment(cloud, clock, NAME, template, folder, base=project, parameters=parameters)
    deployment.deploy()
    key = {"AttributeName": "account", "KeyType": "HASH"}
    deployment.aws("dynamodb").create_table(
        TableName=PAYMENTS,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[key],
        AttributeDefinitions=[{"AttributeName": "account", "AttributeType": "S"}],
    )
    return deployment


class Stage:
    def __init__(
        self,
        cloud: LocalCloud,
        clock: Clock,
        log: Log,
        proxy: Proxy | None,
        deployment: Deployment,
        patience: float,
    ) -> None:
        self.cloud = cloud
        self.clock = clock
        self.log = log
        self._proxy = proxy
        self.deployment = deployment
        self._patience = patience
        self._until = time.monotonic() + patience

    @property
    def proxy(self) -> Proxy:
        assert self._proxy is not None, "nothing fails on this stage"
        return self._proxy

    @cached_property
    def client(self) -> Client:
        """One that has to live with the faults, too."""
        os.environ.update({**self.cloud.environ(), "AWS_ENDPOINT_URL": self.proxy.endpoint})
        client = Client(stack=NAME)
        list(client.runs("sequential", limit=1))
        return client

    # -- what happens ----------------------------------------------------------------------------------

    def workers(self) -> list[int]:
        """The processes of the Lambda: children of the cloud's."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == self.cloud.pid and b"_worker.py" in (folder / "cmdline").read_bytes():
                    found.append(int(folder.name))
            except (OSError, IndexError):
                continue  # it has ended
        return found

    def kill(self, pid: int) -> None:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self.log.note_killed(pid)

    def look(self) -> None:
        """Learn what has happened."""
        self.cloud.check()
        if self._proxy is not None:
            self._proxy.check()
        self.log.read()
        if time.monotonic() > self._until:
            raise EndlessError(
                f"no end after {self._patience:.0f} s: {len(self.log.busy)} workers are busy, and the queues have "
                f"{self.depths()} messages that wait, that were received, that are delayed"
            )

    def idle(self) -> bool:
        """Whether nothing is at work, and no message waits to be received."""
        self.look()
        if time.monotonic() - self.log.changed < QUIET:
            return False
        workers = set(self.workers())
        self.log.bury(workers)
        return (
            not self.log.busy and workers <= self.log.began and not any(q[0] for q in self.depths().values())
        )

    def set_workers(self, most: int) -> None:
        """Have so many at once work on continuations."""
        mappings = self.deployment.aws("lambda")
        (mapping,) = (
            each["UUID"]
            for page in mappings.get_paginator("list_event_source_mappings").paginate()
            for each in page["EventSourceMappings"]
            if each["EventSourceArn"].endswith(self.queues["ContinuationQueue"].rpartition("/")[2])
        )
        mappings.update_event_source_mapping(UUID=mapping, ScalingConfig={"MaximumConcurrency": most})

    def jump(self, by: timedelta) -> None:
        """Move the clock of everything that takes part, while nothing is at work."""
        self.clock.advance(by)
        self.log.changed = time.monotonic()

    # -- what there is ---------------------------------------------------------------------------------

    @cached_property
    def queues(self) -> dict[str, str]:
        """URLs by the template's names."""
        return {name: id for name, id in self.deployment.resources.items() if name.endswith("Queue")}

    def depths(self) -> dict[str, tuple[int, int, int]]:
        """Of each queue, the messages that wait, that were received, and that are delayed."""
        return {name: self._depth(url) for name, url in self.queues.items()}

    def pending(self) -> bool:
        """Whether a message is anywhere, or a schedule will send one."""
        schedules = self.deployment.schedules().values()
        return any(map(any, self.depths().values())) or any(when.startswith("at(") for when in schedules)

    def backlog(self) -> int:
        return sum(self._depth(self.queues[name])[0] for name in ("ContinuationQueue", "IngressQueue"))

    def dead_letters(self) -> list[str]:
        received = self._sqs.receive_message(
            QueueUrl=self.queues["DeadLetterQueue"], MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        )
        return [
            json.dumps({"body": each["Body"], "why": each.get("MessageAttributes")}, default=str)
            for each in received.get("Messages", ())
        ]

    def _depth(self, url: str) -> tuple[int, int, int]:
        names = ("", "NotVisible", "Delayed")
        found = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        waits, received, delayed = (int(found[f"ApproximateNumberOfMessages{name}"]) for name in names)
        return waits, received, delayed

    @cached_property
    def _sqs(self):
        return self.deployment.aws("sqs")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
