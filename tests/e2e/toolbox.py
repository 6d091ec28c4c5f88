"""What scripts/e2e installed, and how it is used."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lambda_durable.local import LocalCloud

ROOT = Path(__file__).parents[2]
TOOLS = Path(os.environ["LAMBDA_DURABLE_E2E"]) if "LAMBDA_DURABLE_E2E" in os.environ else None


def tool(environment: str, name: str) -> str:
    """A program of one of the environments."""
    assert TOOLS is not None
    return str(TOOLS / environment / "bin" / name)


def sam_cloud(environment: Mapping[str, str]) -> LocalCloud:
    """A cloud whose Lambdas see what they would on AWS: their own code, and the runtime's boto3."""
    return LocalCloud(python=tool("cloud", "python"), environment=environment)


def spent(*, seconds: float) -> Callable[[], bool]:
    """A condition for what can only be waited out: that so many seconds have passed."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end


class Clock:
    """The time of day on the cloud: ministack's and its Lambdas'. This process keeps its own."""

    monotonic = staticmethod(time.monotonic)

    def __init__(self, file: Path) -> None:
        self._file = file
        self._offset = timedelta()
        self._write()

    @property
    def environment(self) -> dict[str, str]:
        assert TOOLS is not None
        return {"LD_PRELOAD": str(TOOLS / "clock.so"), "CLOCK_OFFSET_FILE": str(self._file)}

    def now(self) -> datetime:
        return datetime.now(UTC) + self._offset

    def advance(self, by: timedelta) -> None:
        self._offset += by
        self._write()

    def _write(self) -> None:
        with self._file.open("r+b" if self._file.exists() else "wb") as file:
            file.write(struct.pack("d", self._offset.total_seconds()))
