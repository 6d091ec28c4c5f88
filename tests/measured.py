"""What an app's runs count and measure."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

from lambda_durable.aws.emf import MetricLines
from lambda_durable.testing import LocalRuntime


class MeasuredRuntime(LocalRuntime):
    """A LocalRuntime whose worker has metrics, as on Lambda, which writes them at the end of each
    invocation: `lines(capsys)` has what it wrote."""

    def __init__(self, *args, **options):
        self._lines = None
        super().__init__(*args, **options)

    def _world(self, clock, executor, version=None):
        if self._lines is None:
            self._lines = MetricLines("stack", clock)
        return replace(super()._world(clock, executor, version), metrics=self._lines)

    def _handle(self, world, delivery, invocation):
        try:
            super()._handle(world, delivery, invocation)
        finally:
            self._lines.write()

    def lines(self, capsys):
        self._lines.write()  # of who looks after runs
        return metric_lines(capsys.readouterr().out)

    def counted(self, capsys):
        """The sum of each metric, by its name and function ("" for the whole)."""
        return counted(self.lines(capsys))


def metric_lines(text):
    return [line for each in text.splitlines() if '"_aws"' in each and (line := json.loads(each))]


def values(line, name):
    return line[name] if isinstance(line[name], list) else [line[name]]


def counted(lines):
    found = Counter()
    for line in lines:
        for name in names(line):
            found[name, line.get("function", "")] += sum(values(line, name))
    return found


def names(line):
    """The metrics of a line, as CloudWatch finds them."""
    return [metric["Name"] for each in line["_aws"]["CloudWatchMetrics"] for metric in each["Metrics"]]
