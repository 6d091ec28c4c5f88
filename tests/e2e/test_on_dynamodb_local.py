"""The store's contract on DynamoDB Local: Amazon's own reading of every expression that we send."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
from deployment import InfrastructureError
from toolbox import ROOT, TOOLS


@pytest.fixture
def endpoint(tmp_path):
    home = TOOLS / "dynamodb-local" / "package" / "emulator"
    if not home.exists():
        pytest.skip("DynamoDB Local could not be fetched: it needs npm and java")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["java", f"-Djava.library.path={home / 'DynamoDBLocal_lib'}", "-jar", "DynamoDBLocal.jar"]
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(
            [*command, "-inMemory", "-port", str(port)], cwd=home, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        _await(server, f"http://127.0.0.1:{port}", tmp_path / "log")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)


def _await(server, url, log):
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


def test_the_store_keeps_its_contract(endpoint):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "tests/conformance", "-k", "dynamodb-local"],
        cwd=ROOT,
        env={**os.environ, "DYNAMODB_LOCAL_ENDPOINT": endpoint},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:]
    assert " passed" in done.stdout


def test_a_page_is_a_query_a_shard_with_a_hundred_thousand_runs_in_the_table(endpoint):
    done = subprocess.run(
        [sys.executable, "-m", "tests.e2e.lists", endpoint, "100000"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-8000:]
    found = json.loads(done.stdout)["lists"]
    print(done.stdout)  # noqa: T201
    for name in ("the newest", "of a day, a while ago", "failed, one in ten"):
        assert found[name]["calls"] == {"Query": 32}
    assert found["with a label, one in a hundred"]["calls"] == {"Query": 32}
    assert found["cancelled, one in ten thousand"]["calls"] == {"Query": 64}
    assert found["by an expression"]["calls"] == {"Query": 32, "BatchGetItem": 1}
