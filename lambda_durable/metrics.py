"""What is counted and measured of an app, by name; CloudWatch gets it (aws/emf.py), where there is one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, Protocol

NAMESPACE: Final = "lambda_durable"

Unit = Literal["Count", "Milliseconds"]


@dataclass(frozen=True, slots=True)
class Metric:
    """CloudWatch bills each metric by its dimensions: `service` (the stack) and `function`, and nothing that grows
    with use. One that is `whole` has the stack's sum beside those of functions, which an alarm needs; one that is
    not `by_function` has the sum alone."""

    name: str
    unit: Unit
    by_function: bool = True
    whole: bool = False


RUNS_STARTED: Final = Metric("RunsStarted", "Count")
RUNS_COMPLETED: Final = Metric("RunsCompleted", "Count")
RUNS_FAILED: Final = Metric("RunsFailed", "Count", whole=True)
RUNS_CANCELLED: Final = Metric("RunsCancelled", "Count")
RUNS_SKIPPED: Final = Metric("RunsSkipped", "Count")
RUNS_DELAYED: Final = Metric("RunsDelayed", "Count")
RUN_DURATION: Final = Metric("RunDuration", "Milliseconds")
STEP_LATENCY: Final = Metric("StepLatency", "Milliseconds")
STEP_RETRIES: Final = Metric("StepRetries", "Count")
STEP_FAILURES: Final = Metric("StepFailures", "Count")
QUEUE_DELAY: Final = Metric("QueueDelay", "Milliseconds")
WAKE_LATENESS: Final = Metric("WakeLateness", "Milliseconds")
RUNS_OVERDUE: Final = Metric("RunsOverdue", "Count", by_function=False, whole=True)
MESSAGES_FAILED: Final = Metric("MessagesFailed", "Count", by_function=False, whole=True)

METRICS: Final = tuple(value for value in list(globals().values()) if isinstance(value, Metric))


class Metrics(Protocol):
    """Takes what is counted and measured. Never raises."""

    def add(self, metric: Metric, value: float = 1, function_id: str = "") -> None: ...


class Unmeasured:
    """Where nobody asks."""

    def add(self, metric: Metric, value: float = 1, function_id: str = "") -> None: ...


UNMEASURED: Final = Unmeasured()
