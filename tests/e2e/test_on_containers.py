"""The worker in Lambda's own container: `sam local invoke`, and `dev --executor` with `sam local start-lambda`."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
from deployment import OURS, PARAMETERS, InfrastructureError
from toolbox import ROOT, TOOLS, tool

STAND_IN = ROOT.parent / "shared/tools/samlocal/samlocal.sh"
"""Makes an engine and an image where none can be pulled, if it lies there."""

PATIENCE = 120.0


def wait(what, look, *processes):
    deadline = time.monotonic() + PATIENCE
    while not (found := look()):
        for name, process, log in processes:
            assert process.poll() is None, f"{name} ended: {log.read_text()[-3000:]}"
        said = "\n".join(log.read_text()[-3000:] for _, _, log in processes)
        assert time.monotonic() < deadline, f"after {PATIENCE:.0f} s: not {what}\n{said}"
        time.sleep(0.2)
    return found


@pytest.fixture(scope="module")
def engine():
    """The environment in which sam finds a container engine, and its options."""
    docker = shutil.which("docker")
    if docker and subprocess.run([docker, "info"], capture_output=True, check=False).returncode == 0:
        yield {}, ["--add-host", "host.docker.internal:host-gateway"]
        return
    if not STAND_IN.exists():
        pytest.skip("there is no container engine: `docker info` fails")
    home = TOOLS / "engine"
    environment = {**os.environ, "STATE": str(home), "VENV": str(TOOLS / "sam")}
    up = subprocess.run([STAND_IN, "up"], env=environment, capture_output=True, text=True, check=False)
    try:
        if up.returncode:
            raise InfrastructureError(f"no container engine: {up.stderr[-2000:]}")
        said = dict(re.findall(r"^export (\w+)=(\S+)$", (home / "env.sh").read_text(), re.MULTILINE))
        options = ["--skip-pull-image", "--add-host", f"host.docker.internal:{said['HOST_GW']}"]
        yield {"DOCKER_HOST": said["DOCKER_HOST"]}, options
    finally:
        subprocess.run([STAND_IN, "down"], env=environment, capture_output=True, check=False)


class Processes:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.running: list[tuple[str, subprocess.Popen[bytes], Path]] = []

    def start(self, name, command, environment):
        log = self._folder / f"{name}.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        self.running.append((name, process, log))
        return log

    def stop(self):
        for _, process, _ in reversed(self.running):
            process.send_signal(signal.SIGINT)
        for _, process, _ in reversed(self.running):
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture
def processes(tmp_path):
    processes = Processes(tmp_path)
    yield processes
    processes.stop()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_an_event_is_invoked_in_a_container_and_its_run_goes_on_in_one(engine, processes, tmp_path):
    environment, options = engine
    path = os.pathsep.join([str(Path(tool("cloud", "python")).parent), os.environ["PATH"]])
    quiet = {"AWS_EC2_METADATA_DISABLED": "true", "SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": "us-east-1"}
    environment = {**os.environ, **environment, **quiet, "PATH": path}
    built = tmp_path / "built"
    architecture = ["--parameter-overrides", f"Architecture={PARAMETERS['Architecture']}"]
    build = [tool("sam", "sam"), "build", "-b", str(built), *architecture]
    done = subprocess.run(build, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

    # Containers reach this machine by another address than loopback.
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    dev = [*OURS, "dev", "functions/checkout/app.py", "--host", "0.0.0.0", "--executor", url]
    heard = processes.start("dev", dev, environment)
    wait("a cloud", lambda: "Ctrl-C" in heard.read_text(), *processes.running)
    variables = re.search(r"--env-vars (\S+)", heard.read_text())[1]
    exported = re.search(r"^export (.*)$", heard.read_text(), re.MULTILINE)[1]
    client = {**environment, **dict(pair.split("=", 1) for pair in exported.split())}

    options = ["-t", str(built / "template.yaml"), "--env-vars", variables, *options, *architecture]
    start = [tool("sam", "sam"), "local", "start-lambda", "-p", str(port), "--warm-containers", "EAGER"]
    containers = processes.start("start-lambda", [*start, *options], environment)
    wait("containers", lambda: "Running on" in containers.read_text(), *processes.running)
    invoke = [tool("sam", "sam"), "local", "invoke", "Worker", "-e", "events/checkout.json", *options]
    invoked = subprocess.run(invoke, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    answer = json.loads(invoked.stdout.strip().splitlines()[-1]) if invoked.stdout.strip() else {}
    assert "runs" in answer, invoked.stdout + invoked.stderr[-3000:]
    (run_id,) = answer["runs"]

    def show():
        shown = subprocess.run(
            [*OURS, "show", run_id, "--json"],
            env=client,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        return json.loads(shown.stdout) if shown.returncode == 0 else {"steps": {}}

    wait("a run that cools off", lambda: "cool-off" in show()["steps"], *processes.running)
    steps = show()["steps"]
    assert steps["charge"]["status"] == "completed"
    assert steps["charge"]["attempts"] == 3
    assert containers.read_text().count("Invoking app.handler") >= 3
