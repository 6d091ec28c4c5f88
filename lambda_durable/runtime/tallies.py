"""Tallies: runs that are skipped or have to wait are told of in the log, and counted.

On Lambda the count is a line of CloudWatch's embedded metric format. Its library is imported by the first of them.
"""

from __future__ import annotations

import logging
import os
from typing import Literal

logger = logging.getLogger(__name__)

NAMESPACE = "lambda_durable"

What = Literal["skipped", "delayed"]
METRICS: dict[What, str] = {"skipped": "RunsSkipped", "delayed": "RunsDelayed"}


def tally(what: What, run_id: str, function_id: str, why: str) -> None:
    """Say that a run was skipped or delayed, and why."""
    logger.info(
        "run %s of function %r is %s: %s",
        run_id,
        function_id,
        what,
        why,
        extra={"run_id": run_id, "function_id": function_id},
    )
    if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
        from aws_lambda_powertools.metrics import MetricUnit, single_metric

        with single_metric(METRICS[what], MetricUnit.Count, 1, namespace=NAMESPACE) as metric:
            metric.add_dimension("function", function_id)
