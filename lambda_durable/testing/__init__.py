"""Testing durable functions: a whole deployment in one process, in virtual time, with faults on request."""

from .crash import Crash, crash_everywhere
from .faults import Faults
from .local_runtime import LocalRuntime

__all__ = ["Crash", "Faults", "LocalRuntime", "crash_everywhere"]
