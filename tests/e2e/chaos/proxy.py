"""microburst, between the workers and the cloud: it throttles, fails, cuts connections, and loses responses after
what they answer was done."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.request
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deployment import InfrastructureError
from toolbox import tool

PATIENCE = 30.0

READS = ("Query", "GetItem", "GetObject", "GetQueueAttributes", "GetSchedule", "ListSchedules", "Scan")

Rule = Mapping[str, Any]

THROTTLED: Rule = {"service": "dynamodb", "error": {"code": "ProvisionedThroughputExceededException"}}
FAILED: Rule = {"service": "*", "error": {"code": "InternalError", "status": 500}}
UNAVAILABLE: Rule = {"service": "*", "error": {"code": "ServiceUnavailable", "status": 503}}
CUT: Rule = {"service": "*", "reset": True}
LOST: Rule = {"service": "*", "response": {"abort_bytes": 0}}
SLOW: Rule = {"service": "*", "latency": {"min": 20, "max": 300}}

DRIZZLE: Sequence[tuple[Rule, float]] = (
    (THROTTLED, 0.01),
    (FAILED, 0.01),
    (CUT, 0.01),
    (LOST, 0.02),
    (SLOW, 0.01),
)
"""What always goes on, and how often. The SDK tries again, so it rarely fails an invocation; a storm does."""

STORMS: Sequence[tuple[Rule, ...]] = ((THROTTLED,), (FAILED,), (UNAVAILABLE,), (CUT,), (LOST,), (LOST, CUT))


class Proxy:
    """microburst as a subprocess, on loopback."""

    def __init__(self, upstream: str, port: int, folder: Path, *, seed: int) -> None:
        self.endpoint = f"http://127.0.0.1:{port}"
        self._log = folder / "microburst.log"
        begin = f"import random; random.seed({seed}); from microburst.cli import main; main()"
        arguments = ["--upstream", upstream, "--host", "127.0.0.1", "--port", str(port)]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [tool("proxy", "python"), "-c", begin, *arguments],
                env={"PATH": os.environ["PATH"]},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._wait()

    def rain(self, *storm: Rule) -> None:
        """The usual faults, and those of a storm: these hit most of what they are about."""
        heavy = [{**rule, "probability": 0.75 / len(storm)} for rule in storm]
        always = [{**rule, "probability": probability} for rule, probability in DRIZZLE]
        self._call("rules", [*heavy, *always])

    def clear(self) -> None:
        self._call("rules", [])

    def requests(self) -> int:
        seen: int = self._call("health")["requests_seen"]
        return seen

    def faults(self) -> Counter[str]:
        """How many of each there were."""
        found: Counter[str] = Counter()
        for line in self._get("metrics").decode().splitlines():
            if line.startswith("microburst_faults_total{"):
                labels, _, count = line.rpartition(" ")
                found[_kind(labels)] += int(count)
        return found

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def check(self) -> None:
        if self._process.poll() is not None:
            raise InfrastructureError(f"microburst is gone: {self._log.read_text(errors='replace')[-1000:]}")

    def _call(self, path: str, rules: list[Rule] | None = None) -> Any:
        return json.loads(self._get(path, None if rules is None else json.dumps(rules).encode()))

    def _get(self, path: str, body: bytes | None = None) -> bytes:
        self.check()
        request = urllib.request.Request(f"{self.endpoint}/_microburst/{path}", data=body)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=PATIENCE) as answer:
            found: bytes = answer.read()
        return found

    def _wait(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                self.requests()
            except OSError:
                self.check()
                time.sleep(0.05)
            else:
                return
        self.stop()
        raise InfrastructureError(
            f"microburst does not answer: {self._log.read_text(errors='replace')[-1000:]}"
        )


def _kind(labels: str) -> str:
    action = labels.partition('action="')[2].partition('"')[0]
    operation = labels.partition('operation="')[2].partition('"')[0]
    match action.partition(":")[::2]:
        case "error", "ProvisionedThroughputExceededException":
            return "throttled"
        case "error", _:
            return "server errors"
        case "response", _:
            return "cut connections" if operation in READS else "lost responses"
        case "latency", _:
            return "slow answers"
        case _:
            return "cut connections"
