"""Testing durable functions: a whole deployment in one process, in virtual time, with faults on request."""

from .crash import Crash, crash_everywhere
from .elsewhere import assert_deterministic
from .faults import Faults
from .journals import verify_journals
from .local_runtime import LocalRuntime
from .model_server import ModelServer, Refusal, Stop

__all__ = [
    "Crash",
    "Faults",
    "LocalRuntime",
    "ModelServer",
    "Refusal",
    "Stop",
    "assert_deterministic",
    "crash_everywhere",
    "verify_journals",
]
