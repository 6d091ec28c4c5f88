"""One of the programs that deploy a stack of their own, in a test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from deployment import InfrastructureError
from toolbox import ROOT, TOOLS

needs_a_clock = pytest.mark.skipif(
    TOOLS is None or not (TOOLS / "clock.so").exists(), reason="no C compiler to build the clock with"
)


def played(program: str, *arguments: str) -> dict[str, Any]:
    """The account that it gives."""
    path = os.pathsep.join([str(ROOT / "tests/e2e"), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-m", program, "--json", *arguments],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    if done.returncode not in (0, 1) or not done.stdout:
        raise InfrastructureError(done.stderr[-3000:])
    account: dict[str, Any] = json.loads(done.stdout)
    return account
