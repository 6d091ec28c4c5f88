"""A short scripts/chaos: a deployed stack, killed and cut off at random, loses nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from deployment import InfrastructureError
from toolbox import ROOT, TOOLS

RUNS, SEED = 40, 1


@pytest.mark.skipif(
    TOOLS is None or not (TOOLS / "clock.so").exists(), reason="no C compiler to build the clock with"
)
def test_runs_end_as_they_must_and_nothing_is_left_whatever_is_killed():
    path = os.pathsep.join([str(ROOT / "tests/e2e"), str(ROOT)])
    chaos = [sys.executable, "-m", "chaos.chaos", "--json", "--runs", str(RUNS), "--seed", str(SEED)]
    done = subprocess.run(
        chaos,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    if done.returncode not in (0, 1) or not done.stdout:
        raise InfrastructureError(done.stderr[-3000:])
    account = json.loads(done.stdout)

    assert account["violations"] == []
    assert sum(account["started"].values()) == RUNS
    assert account["faults"]["kills"] > 0
    assert account["invocations"]["died"] > 0
    assert {"throttled", "server errors", "cut connections"} <= account["faults"].keys()
