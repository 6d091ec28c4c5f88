"""Every error a user can meet. All derive from `DurableError`."""

from __future__ import annotations

import traceback as _traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

LONGEST_TEXT = 16 * 1024
"""Bytes of an error's message, and of its traceback, that are kept."""


@dataclass(frozen=True, kw_only=True)
class ErrorInfo:
    """An error as it is kept: in a journal, in a finished run, in an event.

    `type` is `module.QualName`, bare for builtins; `raised_as` is the kind of StepError that it was raised as, where
    that is another one: an InvokeError, say. `reasons` are those of a transaction that was refused. `sealed` is what an
    app's middleware made of the rest but for step and attempts; only the state has it.
    """

    type: str
    message: str
    traceback: str = ""
    step_id: str | None = None
    attempts: int | None = None
    reasons: list[dict[str, str]] | None = None
    raised_as: str | None = field(default=None, repr=False)
    sealed: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        vars(self).update(message=_fit_to_be_kept(self.message), traceback=_fit_to_be_kept(self.traceback))

    @classmethod
    def of(cls, error: BaseException, *, attempts: int | None = None) -> ErrorInfo:
        """What is kept of an exception. A StepError stands for the error that it reports."""
        if isinstance(error, StepError):
            kind = type_name(type(error))
            return cls(
                type=error.error_type,
                message=error.message,
                traceback=error.traceback,
                step_id=error.step_id,
                attempts=error.attempts or attempts,
                reasons=[*error.reasons] if isinstance(error, TransactionError) else None,
                raised_as=None if kind in (error.error_type, type_name(StepError)) else kind,
            )
        lines = _traceback.format_exception(error, limit=-20)
        return cls(
            type=type_name(type(error)), message=_text(error), traceback="".join(lines), attempts=attempts
        )


def _fit_to_be_kept(text: str) -> str:
    """An error must be kept whatever it says: UTF-8 has no lone surrogates, and an item 400 KB in all."""
    kept = text.encode("utf-8", "replace")
    if len(kept) <= LONGEST_TEXT:
        return kept.decode()
    return kept[: LONGEST_TEXT - 40].decode(errors="ignore") + f"... ({len(kept):,} bytes)"


def type_name(type_: type) -> str:
    if type_.__module__ == "builtins":
        return type_.__qualname__
    return f"{type_.__module__}.{type_.__qualname__}"


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return "<its __str__ raised>"


class DurableError(Exception):
    """The root of this library's errors. Uncaught in a handler, one fails the run: it is not retried."""


class ConfigurationError(DurableError, ValueError):
    """Something was declared or called in a way that cannot work; the message says what to change."""


class SetupError(ConfigurationError):
    """AWS is not set up as the app needs it: a permission, a resource or a login is missing."""


class NonRetriableError(DurableError):
    """Raise it in a step to say that another attempt is useless."""


class RetryAfterError(DurableError):
    """Raise it in a step to say when the next attempt is due: after a duration, or at an aware datetime."""

    def __init__(self, message: str, after: timedelta | str | datetime) -> None:
        super().__init__(message)
        from .durations import parse_duration, require_aware

        self.after: timedelta | datetime = (
            require_aware(after, "RetryAfterError(after=)")
            if isinstance(after, datetime)
            else parse_duration(after, "RetryAfterError(after=)")
        )


class StepError(DurableError):
    """A step has failed for good. Raised in the handler, where it can be caught.

    `step_id` is its path, `attempts` how many there were. Of the last one's error, `error_type` is the type, as
    `module.QualName`, and `message` and `traceback` are texts.
    """

    def __init__(
        self,
        message: str = "",
        *,
        step_id: str = "",
        error_type: str | None = None,
        attempts: int = 0,
        traceback: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.step_id = step_id
        self.error_type = error_type or type_name(type(self))
        self.attempts = attempts
        self.traceback = traceback

    def __str__(self) -> str:
        if not self.step_id:
            return self.message
        tries = f" after {self.attempts} attempts" if self.attempts > 1 else ""
        return f"step {self.step_id!r} failed{tries}: {self.error_type}: {self.message}"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    __hash__ = DurableError.__hash__


class StepTimeoutError(StepError):
    """A step, or what it waited for, took longer than it may."""


class StepInterruptedError(StepError):
    """An attempt began and was never heard of again: its Lambda was killed, ran out of memory or of time."""


class InvokeError(StepError):
    """The function that a step invoked failed, was cancelled or was skipped."""


class CallbackError(StepError):
    """The outside world reported a failure to a callback, or a payload that its model refuses."""


class TransactionError(StepError):
    """A condition of `step.transact` failed; `reasons` has DynamoDB's, one per item."""

    def __init__(
        self,
        message: str = "",
        *,
        reasons: Sequence[dict[str, str]] = (),
        step_id: str = "",
        attempts: int = 0,
        error_type: str | None = None,
        traceback: str = "",
    ) -> None:
        super().__init__(
            message, step_id=step_id, error_type=error_type, attempts=attempts, traceback=traceback
        )
        self.reasons = list(reasons)


class SerializationError(StepError):
    """A value that cannot be kept, or no longer read. Says which step, which type, and what can be done."""


class PayloadTooLargeError(StepError):
    """A value larger than `max_output` (5 MiB of JSON unless the app says otherwise)."""


class EventDataError(DurableError, ValueError):
    """An event's data is not what the function's model says. The run fails at once, naming the field."""


class DeterminismError(DurableError):
    """The journal and the code disagree: replaying the run's past on this code makes no sense."""


class DuplicateStepError(DurableError):
    """One step id was used by two tasks of one scope; `step.group` gives each its own scope."""


class NestedStepError(DurableError):
    """A step was called inside another step."""


class MiddlewareError(DurableError):
    """An app's middleware could not encode or decode what is kept. The message comes back, and is tried again."""


class CallbackTokenError(DurableError):
    """A callback token that is forged, or belongs to another app."""


class SignalConflictError(StepError):
    """Somebody else already waits for this signal."""


class RunNotFoundError(DurableError, LookupError):
    """There is no run with this id."""


class DamagedItemError(DurableError):
    """An item of the table, or an object that it refers to, can't be read back; the message names it, and nothing is
    done with it."""


class RunFailedError(DurableError):
    """The run failed; `error` has why."""

    def __init__(self, message: str, *, run_id: str = "", error: ErrorInfo | None = None) -> None:
        super().__init__(message)
        self.run_id = run_id
        self.error = error


class RunCancelledError(DurableError):
    """The run was cancelled."""


class RunTimeoutError(DurableError):
    """The run took longer than it may; or `client.result` waited longer than it was told to."""


class RunSkippedError(DurableError):
    """The run was never started: a rate limit, a singleton or an idempotency key dropped it."""


class InvokeSkippedError(InvokeError, RunSkippedError):
    """The run that a step invoked was never started."""
