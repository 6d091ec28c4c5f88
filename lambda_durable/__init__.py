"""Durable execution for Python on AWS Lambda, in your own account."""

from .app import Durable
from .async_steps import AsyncStep
from .callbacks import Callback
from .cancel_on import CancelOn
from .client import Client
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
from .queues import Queue
from .runs import FailedAttempt, Message, MessagePage, Run, RunSummary, StepRecord, Update, WaitingFor
from .schedules import Schedule, cron, every
from .signals import Signal
from .step_info import StepInfo, current_step
from .steps import Step

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
