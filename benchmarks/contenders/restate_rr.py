"""Restate: its server, and a service in the request/response mode that its Lambda adapter uses."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from threading import local
from typing import Any

from serving import scratch, serve

_mine = local()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


INGRESS, ADMIN, SERVICE, NODE = (_free_port() for _ in range(4))


def _cpu(process: subprocess.Popen[bytes]) -> float:
    """Milliseconds that a process was at work."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def _call(steps: int, size: int) -> int:
    if not hasattr(_mine, "connection"):
        _mine.connection = HTTPConnection("127.0.0.1", INGRESS, timeout=600)
    body = json.dumps({"steps": steps, "size": size})
    _mine.connection.request("POST", "/Bench/sequence", body, {"Content-Type": "application/json"})
    answer = _mine.connection.getresponse()
    text = answer.read()
    assert answer.status == 200, text
    return int(text)


def _until_up(url: str) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        time.sleep(0.1)
    raise TimeoutError(f"{url} did not come up")


@contextlib.contextmanager
def running(folder: str) -> Iterator[subprocess.Popen[bytes]]:
    """The server and the service, which is what it gives."""
    settings = {
        "RESTATE_LOG_FILTER": "error",
        "RESTATE_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "1",
        "RESTATE_BIND_IP": "127.0.0.1",
        "RESTATE_LISTEN_MODE": "tcp",
        "RESTATE_BIND_PORT": str(NODE),
        "RESTATE_ADVERTISED_ADDRESS": f"http://127.0.0.1:{NODE}/",
        "RESTATE_INGRESS__BIND_PORT": str(INGRESS),
        "RESTATE_ADMIN__BIND_PORT": str(ADMIN),
        "RESTATE_DEFAULT_NUM_PARTITIONS": "1",
        "RESTATE_ROCKSDB_TOTAL_MEMORY_SIZE": "256MB",
    }
    command = [os.environ["RESTATE_SERVER"], "--base-dir", folder, "--node-name", "bench", "--no-logo"]
    with open(f"{folder}/log", "wb") as log:
        server = subprocess.Popen(command, env={**os.environ, **settings}, stdout=log, stderr=log)
        script = str(Path(__file__).with_name("restate_service.py"))
        service = subprocess.Popen([sys.executable, script, str(SERVICE)], stdout=log, stderr=log)
        try:
            _until_up(f"http://127.0.0.1:{ADMIN}/health")
            _until_up(f"http://127.0.0.1:{INGRESS}/restate/health")
            body = json.dumps({"uri": f"http://127.0.0.1:{SERVICE}", "use_http_11": True, "force": True})
            _register(body.encode())
            yield service
        finally:
            service.kill()
            server.send_signal(signal.SIGTERM)
            server.wait(30)


def _register(body: bytes) -> None:
    deadline = time.monotonic() + 60
    while True:
        request = urllib.request.Request(
            f"http://127.0.0.1:{ADMIN}/deployments", body, {"Content-Type": "application/json"}
        )
        try:
            urllib.request.urlopen(request, timeout=30).read()
            return
        except (OSError, urllib.error.HTTPError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def throughput(clients: int, runs: int) -> dict[str, Any]:
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(lambda _: _call(5, 1), range(clients)))
        began = time.perf_counter()
        assert set(pool.map(lambda _: _call(5, 1), range(runs))) == {5}
        return {"runs_per_second": runs / (time.perf_counter() - began)}


if __name__ == "__main__":
    with scratch() as base, running(base) as process:

        def sequence(steps: int, size: int = 1) -> dict[str, Any]:
            """The CPU time is the service's; the server's is not in it."""
            wall, cpu = time.perf_counter(), _cpu(process)
            assert _call(steps, size) == steps * size
            return {"wall": (time.perf_counter() - wall) * 1000, "cpu": _cpu(process) - cpu}

        serve({"sequence": sequence, "throughput": throughput})
