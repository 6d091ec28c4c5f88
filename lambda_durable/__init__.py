"""Durable execution for Python on AWS Lambda, in your own account."""

from importlib import import_module
from typing import TYPE_CHECKING

from .app import Durable
from .async_steps import AsyncStep
from .callbacks import Callback
from .cancel_on import CancelOn
from .config import Retry, Timeouts
from .context import AsyncContext, Context
from .durations import Duration
from .errors import (
    CallbackError,
    CallbackTokenError,
    ConfigurationError,
    DamagedItemError,
    DeterminismError,
    DuplicateStepError,
    DurableError,
    ErrorInfo,
    EventDataError,
    InvokeError,
    MiddlewareError,
    NestedStepError,
    NonRetriableError,
    PayloadTooLargeError,
    RetryAfterError,
    RunCancelledError,
    RunFailedError,
    RunNotFoundError,
    RunSkippedError,
    RunTimeoutError,
    SerializationError,
    SignalConflictError,
    StepError,
    StepInterruptedError,
    StepTimeoutError,
    TransactionError,
)
from .events import Event, Trigger, on_event
from .flow_control import (
    Batch,
    Concurrency,
    Debounce,
    Idempotency,
    Priority,
    RateLimit,
    Singleton,
    Throttle,
)
from .function import Failure, Function
from .futures import StepFuture
from .log_keys import RunKeys
from .middleware import EndedStep, HandlerReplay, Middleware, Place, RunInfo, StepAttempt
from .signals import Signal
from .step_info import StepInfo, current_step
from .steps import Step

if TYPE_CHECKING:
    from .client import Client
    from .queues import Queue
    from .runs import (
        FailedAttempt,
        Message,
        MessagePage,
        Run,
        RunSummary,
        StepRecord,
        Update,
        WaitingFor,
    )
    from .schedules import Schedule, cron, every

__all__ = [
    "AsyncContext",
    "AsyncStep",
    "Batch",
    "Callback",
    "CallbackError",
    "CallbackTokenError",
    "CancelOn",
    "Client",
    "Concurrency",
    "ConfigurationError",
    "Context",
    "DamagedItemError",
    "Debounce",
    "DeterminismError",
    "DuplicateStepError",
    "Durable",
    "DurableError",
    "Duration",
    "EndedStep",
    "ErrorInfo",
    "Event",
    "EventDataError",
    "FailedAttempt",
    "Failure",
    "Function",
    "HandlerReplay",
    "Idempotency",
    "InvokeError",
    "Message",
    "MessagePage",
    "Middleware",
    "MiddlewareError",
    "NestedStepError",
    "NonRetriableError",
    "PayloadTooLargeError",
    "Place",
    "Priority",
    "Queue",
    "RateLimit",
    "Retry",
    "RetryAfterError",
    "Run",
    "RunCancelledError",
    "RunFailedError",
    "RunInfo",
    "RunKeys",
    "RunNotFoundError",
    "RunSkippedError",
    "RunSummary",
    "RunTimeoutError",
    "Schedule",
    "SerializationError",
    "Signal",
    "SignalConflictError",
    "Singleton",
    "Step",
    "StepAttempt",
    "StepError",
    "StepFuture",
    "StepInfo",
    "StepInterruptedError",
    "StepRecord",
    "StepTimeoutError",
    "Throttle",
    "Timeouts",
    "TransactionError",
    "Trigger",
    "Update",
    "WaitingFor",
    "cron",
    "current_step",
    "every",
    "on_event",
]

_IMPORTED_LATER = {
    "Client": "client",
    "FailedAttempt": "runs",
    "Message": "runs",
    "MessagePage": "runs",
    "Queue": "queues",
    "Run": "runs",
    "RunSummary": "runs",
    "Schedule": "schedules",
    "StepRecord": "runs",
    "Update": "runs",
    "WaitingFor": "runs",
    "cron": "schedules",
    "every": "schedules",
}
"""Names that most workers do without, by their modules: a cold start is spared what those import."""

if not TYPE_CHECKING:  # which would take any name to be there

    def __getattr__(name: str) -> object:
        if name not in _IMPORTED_LATER:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = getattr(import_module(f".{_IMPORTED_LATER[name]}", __name__), name)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
