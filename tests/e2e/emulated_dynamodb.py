"""DynamoDB Local, which scripts/e2e fetches: Amazon's own reading of every expression that we send."""

from __future__ import annotations

import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from deployment import InfrastructureError
from toolbox import TOOLS


@contextmanager
def dynamodb_local(folder: Path) -> Iterator[str]:
    """Its endpoint, while the block lasts; its log is in `folder`. Skips the test where it could not be fetched."""
    home = TOOLS / "dynamodb-local" / "package" / "emulator" if TOOLS is not None else None
    if home is None or not home.exists():
        pytest.skip("DynamoDB Local could not be fetched: it needs npm and java")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["java", f"-Djava.library.path={home / 'DynamoDBLocal_lib'}", "-jar", "DynamoDBLocal.jar"]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [*command, "-inMemory", "-port", str(port)], cwd=home, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        _await(server, f"http://127.0.0.1:{port}", folder / "log")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)


def _await(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except urllib.error.HTTPError:
            return  # it answers, and wants a signature
        except OSError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise InfrastructureError(
                    f"DynamoDB Local did not start: {log.read_text()[-2000:]}"
                ) from None
            time.sleep(0.1)
