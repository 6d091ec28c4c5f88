"""Cold starts: a process that begins, imports, makes its clients, and does a first invocation; by itself, and under
AWS's runtime interface emulator, as Lambda's own Python client would have it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

from .environment import ROOT, Environment

SCRIPTS = ROOT / "benchmarks" / "cold"
PATIENCE = 60.0
"""Seconds for the emulator to listen, and to answer."""


def event(script: str, message: dict[str, Any], queue: str) -> dict[str, Any]:
    """What a script's handler is invoked with: `message` begins a run of ours."""
    if script == "ours":
        received = {"attributes": {"ApproximateReceiveCount": "1"}, "eventSourceARN": queue}
        return {"Records": [{**message, **received}]}
    if script == "floor":
        return {}
    execution = {
        "Id": "cold",
        "Type": "EXECUTION",
        "Status": "STARTED",
        "StartTimestamp": 1_767_225_600_000,
        "ExecutionDetails": {"InputPayload": "{}"},
    }
    return {
        "DurableExecutionArn": "arn:aws:lambda:us-east-1:000000000000:function:f:1/durable-execution/bench/cold",
        "CheckpointToken": "t0",
        "InitialExecutionState": {"Operations": [execution], "NextMarker": ""},
    }


def of_a_process(
    environment: Environment, environ: dict[str, str], script: str, event: Any
) -> dict[str, float]:
    """Milliseconds from its first import on, and megabytes at most."""
    done = subprocess.run(
        [environment.python, str(SCRIPTS / f"{script}.py"), json.dumps(event)],
        env=environ,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise OSError(done.stderr.strip()[-500:])
    told = json.loads(done.stdout.splitlines()[-1])
    _check(script, told["answer"])
    return dict(told["took"])


def under_the_emulator(
    environment: Environment, environ: dict[str, str], script: str, event: Any
) -> dict[str, float]:
    """Milliseconds until the first invocation is answered: the interpreter's own start is in it, too."""
    port, api = _free_port(), _free_port()
    log = environment.cache / "emulator.log"
    with log.open("ab") as said:
        process = subprocess.Popen(
            [
                *(environment.emulator, "--runtime-interface-emulator-address", f"127.0.0.1:{port}"),
                *("--runtime-api-address", f"127.0.0.1:{api}"),
                *(environment.python, "-m", "awslambdaric", f"{script}.handler"),
            ],
            env={**environ, "AWS_LAMBDA_FUNCTION_TIMEOUT": "60"},
            cwd=SCRIPTS,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_for(process, port, log)
        url = f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations"
        began = time.perf_counter()
        with urllib.request.urlopen(url, json.dumps(event).encode(), PATIENCE) as answered:
            answer = json.loads(answered.read())
        wall = (time.perf_counter() - began) * 1000
        _check(script, answer)
        return {"wall": wall, **_memory(process.pid)}
    finally:
        runtimes = _children(process.pid)
        process.kill()
        process.wait()
        for runtime in runtimes:
            with suppress(ProcessLookupError):
                os.kill(runtime, 9)


def _check(script: str, answer: Any) -> None:
    good = {"ours": {"batchItemFailures": []}, "floor": None}
    assert answer == good[script] if script in good else answer["Status"] == "SUCCEEDED", answer


def _memory(emulator: int) -> dict[str, float]:
    """The most that the runtime had, where the system tells."""
    if not sys.platform.startswith("linux"):
        return {}
    (runtime,) = _children(emulator)
    status = dict(line.split(":", 1) for line in Path(f"/proc/{runtime}/status").read_text().splitlines())
    return {"megabytes": int(status["VmHWM"].split()[0]) / 1024}


def _children(process: int) -> list[int]:
    files = Path(f"/proc/{process}/task").glob("*/children")
    return [int(child) for file in files for child in file.read_text().split()]


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    raise OSError(f"the Lambda runtime emulator did not start: {log.read_text(errors='replace')[-500:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
