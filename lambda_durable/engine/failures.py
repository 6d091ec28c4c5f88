"""Kept errors made into exceptions again, the same on the first run as on every replay."""

from __future__ import annotations

import ast
import sys
from contextlib import suppress

from .. import errors
from ..errors import ErrorInfo, StepError, type_name

_KINDS: dict[str, type[StepError]] = {
    type_name(kind): kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, StepError) and kind is not StepError
}


def step_error(info: ErrorInfo, step_id: str) -> StepError:
    """The error of a step that has failed for good."""
    kind = _KINDS.get(info.raised_as or info.type, StepError)
    error = kind(
        info.message,
        step_id=info.step_id or step_id,
        error_type=info.type,
        attempts=info.attempts or 0,
        traceback=info.traceback,
    )
    if isinstance(error, errors.TransactionError):
        error.reasons = info.reasons or []
    return error


def rebuild(info: ErrorInfo) -> BaseException:
    """The error that left a group, as it was: a step's error, or one that the group's own code raised.

    The type is looked up among the modules already imported, and its __init__ is not called: the journal
    is data, and must not be able to run code.
    """
    if info.step_id is not None:
        return step_error(info, info.step_id)
    module, _, name = info.type.rpartition(".")
    kind = getattr(sys.modules.get(module or "builtins"), name, None)
    if not (isinstance(kind, type) and issubclass(kind, Exception)) or issubclass(kind, StepError):
        return step_error(info, "")
    error = kind.__new__(kind)
    error.args = (info.message,)
    if isinstance(error, KeyError):  # its text is the repr of the key
        with suppress(ValueError, SyntaxError):
            error.args = (ast.literal_eval(info.message),)
    return error
