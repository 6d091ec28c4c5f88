"""The summary for the finance team. In production: a file in S3 and a message."""

from __future__ import annotations

import logging

from models import Report
from references import reference

logger = logging.getLogger(__name__)


def publish(report: Report) -> str:
    logger.info("%s: %s invoices, %s failed", report.day, report.invoices, len(report.failed))
    return reference("report")
