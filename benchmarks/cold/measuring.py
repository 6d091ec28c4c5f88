"""A first invocation in a fresh process, and what that took: printed as a line of JSON."""

import json
import sys
import time
from collections.abc import Callable
from typing import Any


class LambdaContext:
    aws_request_id = "request"
    invoked_function_arn = "arn:aws:lambda:us-east-1:000000000000:function:f:1"
    function_name = "f"
    function_version = "1"
    memory_limit_in_mb = "256"
    log_group_name = log_stream_name = "log"
    tenant_id = client_context = identity = None

    def get_remaining_time_in_millis(self) -> int:
        return 900_000


def first(handler: Callable[[Any, Any], Any], began: float) -> None:
    """Invoke it with the event of the command line. The first import began at `began`, as `perf_counter` had it."""
    answer = handler(json.loads(sys.argv[1]), LambdaContext())
    wall, cpu = (time.perf_counter() - began) * 1000, time.process_time() * 1000
    print(json.dumps({"answer": answer, "took": {"wall": wall, "cpu": cpu, "megabytes": _peak()}}))


def _peak() -> float:
    """Megabytes. getrusage's are those of the process that started this one, where it had more: they outlive exec."""
    from pathlib import Path  # not before the times are taken

    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024
