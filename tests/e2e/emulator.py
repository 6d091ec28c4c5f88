"""The Lambda runtime itself: AWS's runtime interface emulator, and its Python client, without a container."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deployment import InfrastructureError
from toolbox import ROOT, TOOLS, tool

PATIENCE = 60.0
"""Seconds for the emulator to start, and beyond a Lambda's timeout for an answer."""


class Emulator:
    """Runs `app.handler` of a folder. One invocation at a time; a runtime that died is started again."""

    def __init__(self, folder: Path, environment: Mapping[str, str], *, timeout: int) -> None:
        self._timeout = timeout
        port, api = _free_port(), _free_port()
        self._url = f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations"
        self.log = folder / "emulator.log"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(_binary(), "--runtime-interface-emulator-address", f"127.0.0.1:{port}"),
                    *("--runtime-api-address", f"127.0.0.1:{api}"),
                    *(tool("runtime", "python"), "-m", "awslambdaric", "app.handler"),
                ],
                cwd=folder,
                env={
                    "PATH": os.environ["PATH"],
                    "PYTHONPATH": str(ROOT),
                    "AWS_LAMBDA_FUNCTION_TIMEOUT": str(timeout),
                    **environment,
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._wait_for(port)

    def invoke(self, event: Any) -> tuple[int, Any]:
        """The HTTP status and the answer of an invocation."""
        request = urllib.request.Request(self._url, data=json.dumps(event).encode())
        try:
            with urllib.request.urlopen(request, timeout=self._timeout + PATIENCE) as answer:
                return answer.status, _parsed(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, _parsed(error.read())

    def stop(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _wait_for(self, port: int) -> None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self._process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.02)
        self.stop()
        raise InfrastructureError(
            f"the Lambda runtime emulator did not start: {self.log.read_text(errors='replace')[-1000:]}"
        )


def _binary() -> str:
    assert TOOLS is not None
    kind = "x86_64" if os.uname().machine == "x86_64" else "arm64"
    found = list((TOOLS / "sam").glob(f"lib/python3*/site-packages/samcli/local/rapid/aws-lambda-rie-{kind}"))
    if not found:
        raise InfrastructureError("aws-sam-cli has no aws-lambda-rie for this machine")
    return str(found[0])


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")  # the emulator's own words


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
