"""Metrics as lines of the log, in CloudWatch's embedded metric format: no call of AWS, and no permission.

The lines are our own, as the loop over a batch is: Powertools' Metrics writes the same (a test compares them), and
importing it was measured at 7 to 11 ms of CPU beside boto3, in each cold start.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

from ..errors import ConfigurationError
from ..metrics import NAMESPACE, UNMEASURED, Metric, Metrics
from ..ports import Clock
from .settings import PREFIX

MOST_VALUES: Final = 100
"""CloudWatch: values of one metric in a line."""

LONGEST_SERVICE: Final = 1024
"""CloudWatch: characters of a dimension's value."""

SWITCH: Final = f"{PREFIX}METRICS"


class MetricLines:
    """Collects what an invocation adds, and writes a line for each function, and one for the whole."""

    def __init__(self, service: str, clock: Clock) -> None:
        self._service = service[:LONGEST_SERVICE]
        self._clock = clock
        self._values: dict[str, dict[Metric, list[float]]] = {}

    def add(self, metric: Metric, value: float = 1, function_id: str = "") -> None:
        if metric.by_function:
            self._values.setdefault(function_id, {}).setdefault(metric, []).append(value)
        if metric.whole:
            self._values.setdefault("", {}).setdefault(metric, []).append(value)

    def write(self) -> None:
        """Write what was added since the last time."""
        collected, self._values = self._values, {}
        for function_id, values in collected.items():
            for line in self._lines(function_id, values):
                sys.stdout.write(line + "\n")
        if collected:
            sys.stdout.flush()

    def _lines(self, function_id: str, values: Mapping[Metric, list[float]]) -> Iterator[str]:
        told = {metric: [sum(each)] if metric.unit == "Count" else each for metric, each in values.items()}
        for start in range(0, max(map(len, told.values())), MOST_VALUES):
            some = {metric: each[start : start + MOST_VALUES] for metric, each in told.items()}
            yield self._line(function_id, {metric: each for metric, each in some.items() if each})

    def _line(self, function_id: str, values: Mapping[Metric, list[float]]) -> str:
        dimensions = {"service": self._service} | ({"function": function_id} if function_id else {})
        described = {
            "Namespace": NAMESPACE,
            "Dimensions": [list(dimensions)],
            "Metrics": [{"Name": metric.name, "Unit": metric.unit} for metric in values],
        }
        line: dict[str, Any] = {
            "_aws": {
                "Timestamp": round(self._clock.now().timestamp() * 1000),
                "CloudWatchMetrics": [described],
            },
            **dimensions,
            **{metric.name: each if len(each) > 1 else each[0] for metric, each in values.items()},
        }
        return json.dumps(line, separators=(",", ":"))


def metric_lines(app_id: str, clock: Clock) -> MetricLines | None:
    """Those of a worker on Lambda, unless LAMBDA_DURABLE_METRICS is "off". Raises ConfigurationError."""
    switch = os.environ.get(SWITCH, "on").strip()
    if switch not in ("on", "off"):
        raise ConfigurationError(f"{SWITCH} is on or off, and this is {switch!r}")
    if switch == "off" or "AWS_LAMBDA_FUNCTION_NAME" not in os.environ:
        return None
    return MetricLines(os.environ.get("POWERTOOLS_SERVICE_NAME") or app_id, clock)


def or_unmeasured(lines: MetricLines | None) -> Metrics:
    return UNMEASURED if lines is None else lines
